"""Bitstreams by the open tools of openXC7: Yosys, nextpnr, and Project X-Ray's database and assembler."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from boards import carries, frames
from boards.placed import Placed
from codesign.errors import UserError
from hw import synth

SCRIPT, CONSTRAINTS, LOG, PLACEMENT = "build_openxc7.sh", "clock_openxc7.xdc", "nextpnr.log", "placed.json"
REPORTS = (LOG, PLACEMENT)
NETLIST, _FASM, _FRAMES = "top.json", "top.fasm", "top.frames"
_HALVES, _CARRIES, _TO_FRAMES = "lut6_2_halves.v", "carries.py", "frames.py"
# What the steps read beside the sources, by name.
FILES = {
    _HALVES: synth.LUT6_2_HALVES,
    _CARRIES: Path(carries.__file__).read_text(),
    _TO_FRAMES: Path(frames.__file__).read_text(),
}
_HIMBAECHEL, _NEXTPNR, _ASSEMBLER = "nextpnr-himbaechel-xilinx", "nextpnr-xilinx", "xc7frames2bit"
_HALF_LUT = re.compile(r"(.*SLICE.*\.[A-D])[56]LUT")  # such as X63Y47/SLICE_X0Y0.A6LUT
# Placers of nextpnr-himbaechel-xilinx. The analytical one gives up after a number of tries that overflows with more
# than 46,340 cells: none is set. The static one is quicker and makes shorter wires, but not around the PS7.
ANALYTICAL, STATIC = ("--placer-heap-cell-placement-timeout", "0"), ("--placer", "static")
_PREFIX, _CHIPDB, _DATABASE = "CODESIGN_OPENXC7", "CODESIGN_CHIPDB", "CODESIGN_PRJXRAY_DB"
_DEBIAN_DATABASE = "/usr/share/prjxray/database/zynq7"  # of the package prjxray-database


@dataclass(frozen=True)
class Tools:
    """How nextpnr's command begins, the other programs, and Project X-Ray's database of the family.

    `carries`: whether nextpnr gets carry chains as carries.py leaves them; it is written for the himbaechel one.
    """

    placer: tuple[str, ...]
    python: str
    assembler: str
    database: str
    carries: bool


def find(part: str) -> Tools:
    """What is installed; UserError names all that is missing, and the variable that helps."""
    missing = [*_missing_placer(part), *_missing_assembler(part)]
    if missing:
        raise UserError("openXC7 is not complete: " + "; ".join(missing))
    return Tools(_placer(part), sys.executable, _program(_ASSEMBLER), _database(), bool(_program(_HIMBAECHEL)))


def _placer(part: str, placer: Sequence[str] = ANALYTICAL) -> tuple[str, ...]:
    himbaechel = _program(_HIMBAECHEL)
    return _by_device(himbaechel, part, placer) if himbaechel else _by_chipdb(_program(_NEXTPNR), os.environ[_CHIPDB])


def _missing_placer(part: str) -> Iterator[str]:
    if not _program(_HIMBAECHEL) and not _program(_NEXTPNR):
        yield f"neither {_HIMBAECHEL} nor {_NEXTPNR} is on PATH or in {_PREFIX}/bin"
    elif not _program(_HIMBAECHEL) and not Path(os.environ.get(_CHIPDB, "")).is_file():
        yield f"{_CHIPDB} names no chip database (a file such as {device(part)}.bin)"


def _missing_assembler(part: str) -> Iterator[str]:
    if not _program(_ASSEMBLER):
        yield f"{_ASSEMBLER} is not on PATH nor in {_PREFIX}/bin"
    if not Path(_part_file(_database(), part)).is_file():
        yield f"{_DATABASE} names no folder with {_part_file('', part)} (zynq7 of Project X-Ray's database)"


def _program(name: str) -> str:
    """Its path; empty where it is not installed."""
    prefix = os.environ.get(_PREFIX)
    path = os.pathsep.join([str(Path(prefix) / "bin"), os.environ.get("PATH", "")]) if prefix else None
    return shutil.which(name, path=path) or ""


def _database() -> str:
    return os.environ.get(_DATABASE, _DEBIAN_DATABASE)


def _by_device(program: str, part: str, placer: Sequence[str] = ANALYTICAL) -> tuple[str, ...]:
    """nextpnr with its chip databases installed."""
    return program, "--device", part, "-o", f"xdc={CONSTRAINTS}", "-o", f"fasm={_FASM}", *placer


def _by_chipdb(program: str, chipdb: str) -> tuple[str, ...]:
    return program, "--chipdb", chipdb, "--xdc", CONSTRAINTS, "--fasm", _FASM


def device(part: str) -> str:
    """xc7z020 of xc7z020clg400-1."""
    return part[: part.index("clg")]


def commands(tools: Tools, part: str, clock_mhz: float, bitstream: str) -> list[tuple[str, list[str]]]:
    """From the netlist to the bitstream: what each step is, and its program with arguments; run beside the files."""
    chains = [("carry chains", [tools.python, _CARRIES, NETLIST])] if tools.carries else []
    place = _placed_by(tools.placer, clock_mhz)
    to_frames = [tools.python, _TO_FRAMES, tools.database, part, _FASM, _FRAMES]
    named = ["--part_file", _part_file(tools.database, part), "--part_name", part]
    to_bit = [tools.assembler, *named, "--frm_file", _FRAMES, "--output_file", bitstream]
    return [*chains, ("placement and routing", place), ("frames", to_frames), ("the bitstream", to_bit)]


def placement(part: str, clock_mhz: float, placer: Sequence[str]) -> list[str]:
    """The command that places and routes NETLIST by CONSTRAINTS; UserError where nextpnr is missing.

    `placer`: which, of nextpnr-himbaechel-xilinx; the other nextpnr has one.
    """
    missing = list(_missing_placer(part))
    if missing:
        raise UserError("; ".join(missing))
    return _placed_by(_placer(part, placer), clock_mhz)


def _placed_by(placer: Sequence[str], clock_mhz: float) -> list[str]:
    # Whether timing is met is read from the log, which names the path; nextpnr would write no design.
    options = ["--json", NETLIST, "--freq", f"{clock_mhz:.4f}", "--timing-allow-fail", "--seed", "1"]
    return [*placer, *options, "--log", LOG, "--write", PLACEMENT]


def synthesis(sources: Sequence[str], top: str) -> str:
    """The Yosys script that writes NETLIST, without what nextpnr 0.11 cannot take.

    No $scopeinfo, and no LUT6_2: it finds no wire for O5. No shift registers in LUTs: it places two of different
    enables in one slice, which has one (its pull request 1782). Yosys' RAMs in LUTs fill a slice each.
    """
    read = "".join(f"read_verilog {name}\n" for name in sources)
    halves = f"techmap -map {_HALVES}\nopt_lut_ins -tech xilinx\nclean\n"
    return f"{read}{synth.synthesis(top)} -nosrl\n{halves}delete t:$scopeinfo\nwrite_json {NETLIST}\n"


_SCRIPT = """\
#!/bin/sh
# Generated by codesign. Yosys, nextpnr, Python 3.9 or newer and xc7frames2bit are expected on PATH.
set -e
cd "$(dirname "$0")"
: "${{{database}:={default}}}"
test -f {part_file} || {{ echo "{database} names no folder with {part}/part.yaml" >&2; exit 1; }}
if command -v {himbaechel} > /dev/null
then set -- {by_device}
else set -- {by_chipdb}
fi
yosys -p "{yosys}"
case "$1" in {himbaechel}) {chains} ;; esac
{steps}
"""


def script(sources: Sequence[str], top: str, part: str, clock_mhz: float, bitstream: str) -> str:
    """The same as a shell script, for another machine."""
    database, chipdb = f'"${_DATABASE}"', f'"${{{_CHIPDB}:?names no chip database, a file such as {device(part)}.bin}}"'
    tools = Tools(('"$@"',), "python3", _ASSEMBLER, database, carries=True)
    chains, *steps = [_shell(step) for _, step in commands(tools, part, clock_mhz, bitstream)]
    return _SCRIPT.format(
        database=_DATABASE, default=_DEBIAN_DATABASE, part=part, part_file=_part_file(database, part),
        himbaechel=_HIMBAECHEL, by_device=_shell(_by_device(_HIMBAECHEL, part)),
        by_chipdb=_shell(_by_chipdb(_NEXTPNR, chipdb)), chains=chains, steps="\n".join(steps),
        yosys="; ".join(synthesis(sources, top).strip().splitlines()).replace("$", r"\$"),
    )  # fmt: skip


def _shell(command: Sequence[str]) -> str:
    """A line of it; what has a variable is quoted already."""
    return " ".join(word if "$" in word else shlex.quote(word) for word in command)


def constraints(clock_net: str, period_ns: float) -> str:
    return f"create_clock -period {period_ns:.3f} [get_nets {clock_net}]\n"


def read_back(folder: Path, clock_mhz: float) -> Placed:
    """The last figures of nextpnr's log, and the LUTs of its placement; UserError names a line that the log lacks."""
    log = (folder / LOG).read_text(errors="replace")
    reached = dict(re.findall(r"Max frequency for clock +'([^']*)': +([\d.]+) MHz", log))  # the last of each counts
    if not reached:
        raise UserError(f"{LOG} has no line 'Max frequency for clock': routing did not come to its end")
    slowest = min(reached, key=lambda name: float(reached[name]))
    fmax = float(reached[slowest])
    return Placed(
        source="placed and routed (nextpnr; LUT counts the LUT6s of which a half or all is used)",
        clock_mhz=clock_mhz,
        fmax_mhz=fmax,
        wns_ns=1000 / clock_mhz - 1000 / fmax,
        lut=occupied(folder)[0],
        ff=_used(log, "SLICE_FFX"),
        dsp=_used(log, "DSP48E1_DSP48E1"),
        bram36=_used(log, "RAMB36E1_RAMB36E1") + _used(log, "RAMB18E1_RAMB18E1") / 2,
        worst_path=_worst_path(log, slowest),
    )


def occupied(folder: Path) -> tuple[int, int]:
    """LUT6s and slices of which anything is used; both halves of a LUT6, which the log counts apart, are one."""
    (module,) = (m for m in json.loads((folder / PLACEMENT).read_text())["modules"].values() if m["cells"])
    places = [cell["attributes"].get("NEXTPNR_BEL", "") for cell in module["cells"].values()]
    luts = {found[1] for found in map(_HALF_LUT.fullmatch, places) if found}
    return len(luts), len({place.rpartition(".")[0] for place in places if "SLICE" in place})


def _used(log: str, cell: str) -> int:
    """The last count of a kind of cell in `Device utilisation`, which lists all kinds of the device."""
    found = re.findall(rf"^Info:\s+{cell}:\s+(\d+)/", log, re.MULTILINE)
    if not found:
        raise UserError(f"{LOG} has no line '{cell}: used/available': placement did not come to its end")
    return int(found[-1])


def _worst_path(log: str, clock: str) -> str:
    """Both ends of the last critical path of that clock, and its delay.

    With their nets, whose names are of the design more often than those of the cells.
    """
    start = log.rfind(f"Critical path report for clock '{clock}'")
    path = log[start : log.find("\n\n", start)] if start >= 0 else ""
    sources, nets, sinks = (re.findall(rf" {word} (\S+)", path) for word in ("Source", "Net", "Sink"))
    if not sources or not nets or not sinks:
        return "none listed"
    delay = re.search(r"([\d.]+ ns logic, [\d.]+ ns routing)", path)
    return f"{sources[0]} ({nets[0]}) to {sinks[-1]} ({nets[-1]})" + (f", {delay[1]}" if delay else "")


def _part_file(database: str, part: str) -> str:
    return str(Path(database) / part / "part.yaml")
