"""A build folder with what boards need of it, and stand-ins for programs."""

import json
import struct
import sys
from pathlib import Path

from boards import board_named
from codesign import __version__
from codesign.build import NEEDED
from hw.axi.system import system_verilog
from hw.rtl import verilog
from tests.test_axi_text import pipelines

IDENTITY = 0x0123_4567_89AB_CDEF_0011_2233_4455_6677


def bitfile(part: str = "7z020clg400", words: int = 40) -> bytes:
    """A .bit as the tools write it: fields a to d, then the data with its synchronization word."""
    fields = (("a", "top;UserID=0XFFFFFFFF;Version=2022.1"), ("b", part), ("c", "2024/01/01"), ("d", "00:00:00"))
    head = b"\x00\x09" + bytes.fromhex("0ff00ff00ff00ff000") + b"\x00\x01"
    for tag, text in fields:
        head += tag.encode() + struct.pack(">H", len(text) + 1) + text.encode() + b"\0"
    data = b"\xff" * 16 + bytes.fromhex("aa99556620000000") + bytes(range(8)) * ((words - 6) // 2)
    return head + b"e" + struct.pack(">I", len(data)) + data


def make_texts() -> dict[str, str]:
    """The RTL of a queue of bytes."""
    pipeline = pipelines(1)
    return {"rtl/accelerator.v": verilog(pipeline), "rtl/system.v": system_verilog(pipeline, IDENTITY)}


def make_build(folder: Path, texts: dict[str, str]) -> Path:
    """As much of a build folder as a bitstream needs."""
    for name in ("rtl", "vectors"):
        (folder / name).mkdir(parents=True)
    for name, text in {**texts, "model.npz": ""}.items():
        (folder / name).write_text(text)
    manifest = {key: {} for key in NEEDED} | {
        "schema": 1, "tool": {"name": "codesign", "version": __version__}, "board": board_named("pynq-z2").describe(),
        "rtl": {"files": ["rtl/accelerator.v"]},
        "system": {"files": ["rtl/system.v", "rtl/accelerator.v"], "inputs": [{}], "outputs": [{}],
                   "identity": f"{IDENTITY:032x}"},
        "estimated": {"clock_mhz": 100.0, "lut": 900.0, "ff": 800.0, "dsp": 0.0, "bram36": 0.5}, "results": {},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def stand_in(folder: Path, name: str, body: str) -> None:
    """A program that notes its arguments beside itself, then does `body` in its current folder."""
    folder.mkdir(exist_ok=True)
    note = f"import json, sys, os, pathlib\njson.dump(sys.argv[1:], open({str(folder / name)!r} + '.arguments', 'w'))\n"
    (folder / name).write_text(f"#!{sys.executable}\n{note}{body}\n")
    (folder / name).chmod(0o755)


def writes(files: dict[str, str | bytes]) -> str:
    pairs = {k: v if isinstance(v, bytes) else v.encode() for k, v in files.items()}
    return f"for k, v in {pairs!r}.items(): pathlib.Path(k).write_bytes(v)"


def arguments_of(folder: Path, name: str) -> list[str]:
    return json.loads((folder / f"{name}.arguments").read_text())
