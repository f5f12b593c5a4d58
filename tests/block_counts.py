"""BRAM and DSP of many small circuits by one run of Yosys: `synth_xilinx` as far as these are settled."""

from __future__ import annotations

import json
from collections.abc import Sequence

from amaranth.back import rtlil
from amaranth.lib import wiring

from hw.netlist.circuit import Modules
from hw.yosys import run_yosys

Counts = tuple[float, int]  # RAMB36 (a RAMB18 is a half), DSP48E1

# As `synth_xilinx -flatten` does it, but all at once: the libraries are read once. Memories and multipliers are mapped
# before all else; later steps only work on the logic between them.
_SCRIPT = """
read_rtlil designs.il
read_verilog modules.v
read_verilog -lib -specify +/xilinx/cells_sim.v
read_verilog -lib +/xilinx/cells_xtra.v
setattr -mod -unset top *
proc
flatten {tops}
delete {rest}
synth_xilinx -family xc7 -run prepare:map_ffram
opt_clean
tee -q -o counts.json stat -json
"""


def block_counts(circuits: Sequence[wiring.Component]) -> list[Counts]:
    """What each takes, synthesized alone."""
    modules = Modules()
    each = [rtlil.convert(c, name=f"top{k}", platform=modules, emit_src=False) for k, c in enumerate(circuits)]
    files = {"designs.il": "\n".join(each), "modules.v": "\n".join(modules.texts.values())}
    names = [f"top{k}" for k in range(len(circuits))]
    rest = " ".join(["*", *(f"{name} %d" for name in names)])
    _, written = run_yosys(_SCRIPT.format(tops=" ".join(names), rest=rest), files, ["counts.json"])
    found = json.loads(written["counts.json"])["modules"]
    return [_counts(found[f"\\{name}"]["num_cells_by_type"]) for name in names]


def _counts(cells: dict[str, int]) -> Counts:
    return cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0) / 2, cells.get("DSP48E1", 0)
