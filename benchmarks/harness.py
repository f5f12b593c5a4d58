"""A design between registers, with one input and one output beside the clock: the same around every side's design.

A shift register feeds all inputs, all outputs are registered and folded by registered XORs of four: no path but the
design's own is long, nothing is optimized away, and no pin binds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HARNESS = "harness"
CLOCKS = ("clk", "aclk")
_PORT = re.compile(r"\b(input|output)\s+(?:wire\s+|reg\s+)?(?:\[(\d+):0\]\s*)?(\w+)\s*[,;)\n]")


@dataclass(frozen=True)
class Ports:
    """A module's clock, and names and widths of its other inputs and of its outputs."""

    clock: str
    inputs: dict[str, int]
    outputs: dict[str, int]


def ports_of(verilog: str, top: str) -> Ports:
    """Of a module with plain vectors as ports; ValueError where there is no such module or clock."""
    found = re.search(rf"^module {top}\b.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"no module {top}")
    ports = [(way, name, int(high or 0) + 1) for way, high, name in _PORT.findall(found[0])]
    inputs, outputs = ({name: width for way, name, width in ports if way == which} for which in ("input", "output"))
    clock = next((name for name in CLOCKS if name in inputs), None)
    if clock is None:
        raise ValueError(f"module {top} has no clock of the names {', '.join(CLOCKS)}")
    return Ports(clock, {k: v for k, v in inputs.items() if k != clock}, outputs)


def harnessed(verilog: str, top: str) -> str:
    """The text with a module `harness` around `top`."""
    ports = ports_of(verilog, top)
    taken, given = sum(ports.inputs.values()), sum(ports.outputs.values())
    pins = [f".{ports.clock}(clk)", *_slices("fed", ports.inputs), *_slices("results", ports.outputs)]
    return f"""{verilog}
module {HARNESS}(input clk, input si, output so);
reg [{taken - 1}:0] fed;
always @(posedge clk) fed <= {{fed, si}};
wire [{given - 1}:0] results;
{top} design({", ".join(pins)});
reg [{given - 1}:0] held;
always @(posedge clk) held <= results;
{_folded("held", given)}
endmodule
"""


def _slices(bus: str, widths: dict[str, int]) -> list[str]:
    """The pins of these names and widths, one behind the other on a bus."""
    pins, low = [], 0
    for name, width in widths.items():
        pins.append(f".{name}({bus}[{low + width - 1}:{low}])")
        low += width
    return pins


def _folded(bus: str, width: int) -> str:
    """Registered XORs of four bits each, level by level, down to `so`."""
    lines, level = [], 0
    while width > 1:
        parts = [f"^{bus}[{min(k + 4, width) - 1}:{k}]" for k in range(0, width, 4)]
        level, bus, width = level + 1, f"fold{level}", len(parts)
        lines.append(f"reg [{width - 1}:0] {bus};")
        lines.append(f"always @(posedge clk) {bus} <= {{{', '.join(reversed(parts))}}};")
    return "\n".join([*lines, f"assign so = {bus};"])
