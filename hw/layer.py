"""What a row of `hw/layers.py` is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codesign.graph import Graph, Node, TensorType
from codesign.ops.integer import Center
from codesign.ops.pad import Pad
from hw.netlist.clock import MOST_LEVELS
from hw.pipeline import Stage
from hw.stream import StreamType


@dataclass(frozen=True)
class Folding:
    """Elements in and out of a layer in a cycle; `whole`: a sliding window hands over all its positions at once.

    `skip`: blocks of weights that are all zero take no cycle. `dsp`: neurons that share a DSP48E1; 0: products in LUTs.
    `levels` of logic stand between registers. Where nothing is folded, weights become `gates` ("auto",
    "unrolled" or "table"; see hw/style.py). `pixels`: neighbouring results of windows that come in one beat
    (hw/pixels.py).
    """

    lanes_in: int
    lanes_out: int
    whole: bool = False
    skip: bool = False
    levels: int = MOST_LEVELS
    gates: str = "auto"
    dsp: int = 0
    pixels: int = 1


Chain = list[tuple[str, Stage]]  # (suffix of the stage's name, stage)


@dataclass(frozen=True)
class Layer:
    """`foldings` that are possible, `stages` of one of them, and the cycles a frame takes."""

    foldings: Callable[[Graph, Node], Sequence[Folding]]
    stages: Callable[[Graph, Node, Folding], Chain]
    cycles: Callable[[Graph, Node, Folding], int]


def border_of(graph: Graph, node: Node) -> Node | None:
    """The padding that nothing but this layer's windows see, so that they make it themselves."""
    below = graph.by_name.get(node.inputs[0])
    while below is not None and isinstance(below.op, Center) and len(graph.readers[below.name]) == 1:
        below = graph.by_name.get(below.inputs[0])
    if below is None or not isinstance(below.op, Pad) or any(below.op.gaps) or below.name in graph.outputs:
        return None
    return below if len(graph.readers[below.name]) == 1 else None


def arriving(graph: Graph, node: Node, folding: Folding) -> int:
    """Beats that a layer of windows takes a frame: none of the border (whole windows: those of one side)."""
    pad = border_of(graph, node)
    if pad is None or len(graph.types[pad.name].shape) != 3:
        return graph.types[node.inputs[0]].size // folding.lanes_in
    assert isinstance(pad.op, Pad)
    rows, columns, channels = graph.types[pad.inputs[0]].shape
    if folding.whole:
        sent = [max(sides) for sides in zip(pad.op.before, pad.op.after, strict=True)]
        rows, columns = rows + sent[0], columns + sent[1]
    return rows * columns * channels // folding.lanes_in


def stream_of(t: TensorType, lanes: int) -> StreamType:
    """A tensor as a stream."""
    assert t.format is not None
    return StreamType(t.shape, t.format, lanes)


def input_stream(graph: Graph, node: Node, folding: Folding) -> StreamType:
    """Of a layer's first operand."""
    return stream_of(graph.types[node.inputs[0]], folding.lanes_in)
