"""How products are made: what the user may ask of every layer, and how many levels of logic a clock allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.errors import UserError
from codesign.graph import Graph, Node
from codesign.ops.conv import Conv
from codesign.ops.matmul import MatMul
from codesign.options import Options
from hw.layer import Folding
from hw.netlist.clock import levels_at
from hw.netlist.neurons import MOST_BITS
from hw.products import matrix_of, nothing_folded, source_type


@dataclass(frozen=True)
class Style:
    """`auto`: the cheapest of all; `folded`, `unrolled`, `table`: every product so, or UserError says why it cannot."""

    name: str = "auto"
    clock_mhz: float = 100.0

    @classmethod
    def of(cls, options: Options) -> Style:
        return cls(options.style, options.clock_mhz)

    def offers(self, graph: Graph, node: Node, foldings: Sequence[Folding]) -> list[Folding]:
        """Those of a layer's foldings that the style allows, made for the clock."""
        timed = [replace(f, levels=levels_at(self.clock_mhz)) for f in foldings]
        if not isinstance(node.op, (MatMul, Conv)):
            return timed
        gates = [replace(f, gates=self.name) for f in timed if nothing_folded(graph, node, f)]
        rest = [f for f in timed if not nothing_folded(graph, node, f)]
        if self.name == "auto":
            return rest + gates
        offered = rest if self.name == "folded" else gates
        reason = self._refused(graph, node, bool(offered))
        if reason:
            raise UserError(f"layer '{node.label}': {reason}; --style auto takes what there is")
        return offered

    def _refused(self, graph: Graph, node: Node, offered: bool) -> str:
        """Why the style cannot do a layer; "" where it can."""
        if not offered:
            return {
                "folded": "there is nothing to fold in a product of one by one",
                "unrolled": "a depthwise convolution of so many channels has no unrolled circuit",
                "table": "a depthwise convolution of so many channels has no circuit of tables",
            }[self.name]
        return _too_wide(graph, node) if self.name == "table" else ""


AUTO = Style()


def _too_wide(graph: Graph, node: Node) -> str:
    """Names the neuron that reads too many bits for a table, if one does."""
    fmt = source_type(graph, node)[0].format
    assert fmt is not None
    reads = np.count_nonzero(matrix_of(graph, node), axis=0)
    most = int(reads.argmax())
    if reads[most] * fmt.bits <= MOST_BITS:
        return ""
    return (
        f"neuron {most} reads {reads[most]} inputs of {fmt.bits} bits, {reads[most] * fmt.bits} bits in all, and a "
        f"table takes {MOST_BITS}: fewer inputs a neuron (prune), fewer bits, or --style unrolled would do"
    )
