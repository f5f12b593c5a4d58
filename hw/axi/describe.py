"""The system as plain data for the manifest: what a driver must know, and what tells one build from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from codesign.errors import UserError
from hw.axi.registers import MAP_VERSION, register_map
from hw.axi.shell import refuse_too_many
from hw.axi.system import SYSTEM, System, memory_port, system_verilog
from hw.pipeline import Pipeline
from hw.rtl import TOP, verilog
from hw.rtlil import to_rtlil
from hw.stream import StreamType

IDENTITY_BITS = 128
_ACCELERATOR_FILE, _SYSTEM_FILE = f"rtl/{TOP}.v", f"rtl/{SYSTEM}.v"


def with_system(pipeline: Pipeline, meaning: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Every file of a build's `rtl/` by name, and the manifest's section on the system.

    `meaning`: what makes numbers of the words, such as scales and the host's part; it enters the identity. Where there
    are more streams than memory ports the section says so under `missing`, and the accelerator stands alone.
    """
    accelerator = verilog(pipeline)
    texts = {_ACCELERATOR_FILE: accelerator}
    try:
        refuse_too_many(len(pipeline.inputs), len(pipeline.outputs))
    except UserError as e:
        return texts, {"missing": str(e)}
    identity = identity_of(pipeline, accelerator, meaning)
    return {**texts, _SYSTEM_FILE: system_verilog(pipeline, identity)}, describe_system(pipeline, identity)


def identity_of(pipeline: Pipeline, accelerator: str, meaning: Mapping[str, Any]) -> int:
    """128 bits of a hash of all RTL and of `meaning`: what makes numbers of the words (scales, the host's part)."""
    blank = System(pipeline, 0)
    system = to_rtlil(blank, SYSTEM, blank.ports, None)
    texts = (system, accelerator, json.dumps(meaning, sort_keys=True))
    digest = hashlib.sha256("\0".join(texts).encode()).digest()
    return int.from_bytes(digest[: IDENTITY_BITS // 8], "big")


def describe_system(pipeline: Pipeline, identity: int) -> dict[str, Any]:
    """Top module, files, registers, the layout of frames in memory, and the identity as hexadecimal digits."""
    registers = register_map(len(pipeline.inputs), len(pipeline.outputs))
    return {
        "top": SYSTEM,
        "files": [_SYSTEM_FILE, _ACCELERATOR_FILE],
        "clock": "aclk",
        "reset": "aresetn",
        "identity": f"{identity:0{IDENTITY_BITS // 4}x}",
        "map_version": MAP_VERSION,
        "registers": {r.name: r.offset for r in registers},
        "status": {f.name: f.low for r in registers if r.name == "status" for f in r.fields},
        "inputs": [_port(k, name, s) for k, (name, s) in enumerate(pipeline.inputs)],
        "outputs": [_port(k, name, s) for k, (name, s) in enumerate(pipeline.outputs)],
    }


def _port(index: int, name: str, s: StreamType) -> dict[str, Any]:
    port = memory_port(s)
    layout = {"beats": s.beats, "lanes": s.lanes, "element_bits": s.format.bits, "signed": s.format.signed}
    return {
        "name": name, "port": f"m_axi_hp{index}", "shape": list(s.shape), "frame_bytes": port.frame_bytes,
        "beat_bytes": port.beat_bytes, **layout, "binary": s.binary,
    }  # fmt: skip
