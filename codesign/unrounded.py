"""A quantized network without its rounding: what its quantizers cost, where the network before them is not known."""

from __future__ import annotations

import numpy as np

from codesign.formats import Binary
from codesign.graph import Constant, Dequantize, Graph, Node
from codesign.ops.elementwise import Maximum, Minimum
from codesign.ops.quantize import Quantize

BEFORE = "the network before quantization, its batch norms folded and its channels' ranges equalized"
UNROUNDED = "the model came quantized: its network with activations clipped but not rounded, weights as they are"
NO_FLOAT = "none: the model came quantized, by signs and thresholds that have no float counterpart"


def float_network(quantized: Graph, before: Graph | None) -> tuple[Graph | None, str]:
    """What a quantized graph is compared with, and what that is; `before`: what it was made from, where known."""
    if before is not None:
        return before, BEFORE
    real = without_rounding(quantized)
    return real, NO_FLOAT if real is None else UNROUNDED


def without_rounding(graph: Graph) -> Graph | None:
    """The graph with every quantizer of activations clipping to its range, as many models do their ReLU, but not
    rounding; None where there is none to relieve. Weights stay as they are.

    The clipped tensor has the quantizer's name. A sign, a staircase of thresholds, and integers that an operator
    reads as such have no real counterpart: they stay.
    """
    relieved = {n.name: n for n in graph.nodes if _is_plain(graph, n)}
    if not relieved:
        return None
    read = {d.name: name for name in relieved for d in graph.readers[name]}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name in relieved:
            nodes += _clip(graph, node, read.get(node.inputs[0], node.inputs[0]))
        elif node.name not in read:
            inputs = tuple(read.get(i, i) for i in node.inputs)
            nodes.append(Node(node.name, node.op, inputs, node.origin))
    return graph.replace(nodes, [read.get(o, o) for o in graph.outputs])


def _is_plain(graph: Graph, node: Node) -> bool:
    """Whether a node quantizes to more than a sign, and all that reads it makes it real again."""
    if not isinstance(node.op, Quantize) or isinstance(node.op.format, Binary) or node.name in graph.outputs:
        return False
    return node.inputs[0] not in graph.constants and all(isinstance(r.op, Dequantize) for r in graph.readers[node.name])


def _clip(graph: Graph, node: Node, x: str) -> list[Node]:
    """The nodes of max(min(x, highest), lowest), with the quantizer's name."""
    t = graph.types[node.name]
    assert t.format is not None
    lowest, highest = (t.to_real(np.full(1, end)) for end in (t.format.lo, t.format.hi))
    below, low, high = (graph.fresh(f"{node.name}.{part}") for part in ("below", "lowest", "highest"))
    return [
        Node(low, Constant.real(lowest)),
        Node(high, Constant.real(highest)),
        Node(below, Minimum(), (x, high), node.origin),
        Node(node.name, Maximum(), (below, low), node.origin),
    ]
