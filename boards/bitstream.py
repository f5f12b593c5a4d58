"""Verilog + Board -> accelerator.bit, by Vivado or openXC7; or a folder that another machine can make it from."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards import board_named, ipxact, openxc7, vivado
from boards.bitfile import Bitfile
from boards.board import Board
from boards.overlay import hwh
from boards.placed import Placed
from boards.process import run_logged
from boards.readme import readme
from codesign.build import put_in_place, read_manifest, record
from codesign.errors import CheckFailed, UserError
from hw.axi.ps7 import CHIP_TOP, CLOCK_NET, CLOCK_PIN, chip_top
from hw.axi.registers import register_map
from hw.yosys import YosysError, run_yosys

FOLDER, FAILED_FOLDER, IP_FOLDER = "bitstream", "bitstream-failed", "ip"
NAME = "accelerator"  # PYNQ wants .bit and .hwh under one name
BIT, BIN, HWH, OUTPUT_LOG = f"{NAME}.bit", f"{NAME}.bin", f"{NAME}.hwh", "output.log"
TOOLS = {"vivado": vivado, "openxc7": openxc7}
_TOP_FILE = f"{CHIP_TOP}.v"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """What is to be made: `sources` are the files that the tools read, by name; `clock_mhz` is what FCLK0 gives."""

    board: Board
    clock_mhz: float
    sources: Mapping[str, str]
    hwh: str

    @classmethod
    def of(cls, build: Path, manifest: Mapping[str, Any]) -> Job:
        system = manifest.get("system", {"missing": "this build has no system"})
        if "missing" in system:
            raise UserError(f"no bitstream for {build}: {system['missing']}")
        board = board_named(manifest["board"]["name"])
        asked_hz = manifest["estimated"]["clock_mhz"] * 1e6
        inputs, outputs = len(system["inputs"]), len(system["outputs"])
        texts = {Path(name).name: _text(build / name) for name in system["files"]}
        sources = {_TOP_FILE: chip_top(inputs, outputs), **texts}
        return cls(board, board.fclk(asked_hz).hz / 1e6, sources, hwh(register_map(inputs, outputs), board, asked_hz))

    @property
    def files(self) -> dict[str, str]:
        """Everything that the folder holds before a tool runs."""
        names, part, period_ns = list(self.sources), self.board.part, 1000 / self.clock_mhz
        return {
            **self.sources,
            **openxc7.FILES,
            HWH: self.hwh,
            vivado.SCRIPT: vivado.script(names, CHIP_TOP, part, BIT),
            vivado.CONSTRAINTS: vivado.constraints(CLOCK_PIN, period_ns),
            openxc7.SCRIPT: openxc7.script(names, CHIP_TOP, part, self.clock_mhz, BIT),
            openxc7.CONSTRAINTS: openxc7.constraints(CLOCK_NET, period_ns),
            "README.md": readme(self.board, self.clock_mhz),
        }


def make_bitstream(build: Path, tool: str | None, progress: Progress) -> dict[str, Any]:
    """BUILD/bitstream with accelerator.bit, .hwh and .bin, and the figures; `failed` where timing is not met.

    `tool`: vivado, openxc7, or None for the first that is installed. UserError where none is: the folder then holds
    all that another machine needs.
    """
    manifest = read_manifest(build)
    job = Job.of(build, manifest)
    found, lacking = _choose(tool, job.board.part)
    with _fresh_folder(build) as folder:
        _write(folder, job.files)
        if found is None:
            put_in_place(folder, build / FOLDER)
            raise UserError(f"{lacking}. {build / FOLDER} can be taken to a machine that has the tools: see README.md")
        try:
            _run(found, job, folder, progress)
            result = _result(found, job, folder)
        except (CheckFailed, UserError) as e:
            put_in_place(folder, build / FAILED_FOLDER)
            raise type(e)(f"{e}; see {build / FAILED_FOLDER}") from None
        put_in_place(folder, build / FOLDER)
    record(build, "placed", result)
    return result


def read_bitstream(build: Path, tool: str | None) -> dict[str, Any]:
    """The same for a folder in which one of the scripts was run by hand, here or on another machine."""
    job, folder = Job.of(build, read_manifest(build)), build / FOLDER
    for name, text in job.sources.items():
        if not (folder / name).is_file() or (folder / name).read_text() != text:
            raise UserError(f"{folder / name} is not of this build; make the folder anew: `codesign bitstream {build}`")
    ran = [t for t in ([tool] if tool else TOOLS) if _complete(folder, t)]
    if not ran:
        raise UserError(f"{folder} has no {BIT} with its reports; run one of its scripts first, see README.md there")
    result = _result(ran[0], job, folder)
    record(build, "placed", result)
    return result


def package_ip(build: Path) -> dict[str, Any]:
    """BUILD/ip: the accelerator with its AXI4-Stream ports, for Vivado's IP catalogue."""
    manifest = read_manifest(build)
    rtl, name = manifest["rtl"], manifest["model"].get("file", "a network")
    texts = {file: _text(build / file) for file in rtl["files"]}
    with _fresh_folder(build) as folder:
        files = ipxact.package(rtl, f"{name}, by codesign", texts, folder)
        put_in_place(folder, build / IP_FOLDER)
    return {"ip": str(build / IP_FOLDER), "vlnv": ":".join((ipxact.VENDOR, ipxact.LIBRARY, rtl["top"], ipxact.VERSION)),
            "files": files}  # fmt: skip


def _complete(folder: Path, tool: str) -> bool:
    return all((folder / name).is_file() for name in (BIT, *TOOLS[tool].REPORTS))


def _choose(tool: str | None, part: str) -> tuple[str | None, str]:
    """The tool to use, or None and why."""
    lacking: list[str] = []
    for name in [tool] if tool else list(TOOLS):
        try:
            _require(name, part)
            return name, ""
        except UserError as e:
            lacking.append(str(e))
    return None, "; ".join(lacking)


def _require(tool: str, part: str) -> None:
    if tool == "openxc7":
        openxc7.find(part)
    elif shutil.which(vivado.PROGRAM) is None:
        raise UserError("vivado is not on PATH (source its settings64.sh)")


def _run(tool: str, job: Job, folder: Path, progress: Progress) -> None:
    log = folder / OUTPUT_LOG
    if tool == "vivado":
        progress("starting Vivado")
        run_logged(vivado.command(vivado.PROGRAM), folder, log, lambda line: _step_told(line, progress))
        return
    progress("synthesis")
    _synthesize(job, folder)
    for step, command in openxc7.commands(openxc7.find(job.board.part), job.board.part, job.clock_mhz, BIT):
        progress(step)
        run_logged(command, folder, log, lambda line: None)


def _step_told(line: str, progress: Progress) -> None:
    if line.startswith(vivado.STEP):
        progress(line[len(vivado.STEP) :])


def _synthesize(job: Job, folder: Path) -> None:
    script = openxc7.synthesis(list(job.sources), CHIP_TOP)
    try:
        _, written = run_yosys(script, {**job.sources, **openxc7.FILES}, [openxc7.NETLIST])
    except YosysError as e:
        raise CheckFailed(f"Yosys: {e}") from None
    (folder / openxc7.NETLIST).write_text(written[openxc7.NETLIST])


def _result(tool: str, job: Job, folder: Path) -> dict[str, Any]:
    """Figures and files; also writes the .bin. UserError where the bitstream is none, or for another chip."""
    if not (folder / BIT).is_file():
        raise CheckFailed(f"{tool} ended without writing {BIT}")
    content = (folder / BIT).read_bytes()
    bitfile = Bitfile.parse(content)
    device = job.board.part[len("xc") : job.board.part.rindex("-")]
    if device not in bitfile.part:
        raise UserError(f"{BIT} is for {bitfile.part or 'an unnamed chip'}, the board has {device}")
    _write_bytes(folder / BIN, bitfile.to_bin())
    placed: Placed = TOOLS[tool].read_back(folder, job.clock_mhz)
    digest = hashlib.sha256(content).hexdigest()
    files = {"bitstream": f"{FOLDER}/{BIT}", "sha256": digest}
    return {"tool": tool, **placed.to_dict(), **files, "failed": placed.failed}


@contextmanager
def _fresh_folder(build: Path) -> Iterator[Path]:
    """A folder in the build that is gone afterwards, unless it was put in place."""
    fresh = Path(tempfile.mkdtemp(prefix=f".{FOLDER}.", dir=build))
    fresh.chmod(0o755)
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
        if name.endswith(".sh"):
            (folder / name).chmod(0o755)


def _write_bytes(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    os.replace(fresh, path)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        raise UserError(f"{path} is missing; run `codesign compile` again") from None
