"""Layers that only move elements, as hardware: joined in turns, cropped, or else through a memory."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np

from codesign.graph import Graph, Node, Op, Operand, TensorType
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.layout import Concat, Transpose
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.take import Take
from hw.divisors import divisors
from hw.layer import Chain, Folding, stream_of
from hw.moves import Access, Picks, access, picks
from hw.pipeline import Stage
from hw.stages.channel_concat import ChannelConcat
from hw.stages.concat import Concat as ConcatStage
from hw.stages.crop import Crop
from hw.stages.gather import Gather
from hw.stages.reorder import Reorder

MOVES = (Transpose, Slice, Expand, Upsample, Take, DepthToSpace, SpaceToDepth)


def concat_foldings(graph: Graph, node: Node) -> list[Folding]:
    """Lanes that divide the channels of every part, in turns; or all channels of every part at once."""
    lanes = divisors(gcd(*(graph.types[i].shape[-1] for i in node.inputs)))
    whole = [Folding(lanes[-1], graph.types[node.name].shape[-1], whole=True)] if _of_channels(graph, node) else []
    return [Folding(d, d) for d in lanes] + whole


def concat_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    types = [graph.types[i] for i in node.inputs]
    if folding.whole:
        return [("concat", ChannelConcat(tuple(stream_of(t, t.shape[-1]) for t in types)))]
    return [("concat", ConcatStage(tuple(stream_of(t, folding.lanes_in) for t in types), _axis(graph, node)))]


def _of_channels(graph: Graph, node: Node) -> bool:
    """Whether a concatenation joins channels, so that a beat of each part can go at once."""
    return _axis(graph, node) == len(graph.types[node.name].shape) - 1


def _axis(graph: Graph, node: Node) -> int:
    """Of a concatenation."""
    assert isinstance(node.op, Concat)
    return node.op.axis % len(graph.types[node.name].shape)


def concat_cycles(graph: Graph, node: Node, folding: Folding) -> int:
    return graph.types[node.name].size // folding.lanes_out


def moving_foldings(graph: Graph, node: Node) -> list[Folding]:
    """The lanes that stay together."""
    before, after = graph.types[node.inputs[0]].shape[-1], graph.types[node.name].shape[-1]
    return [Folding(d, d) for d in divisors(gcd(before, after)) if _can_move(graph, node, d)]


def moving_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    return [_moving_stage(graph, node, folding.lanes_in)]


def _can_move(graph: Graph, node: Node, lanes: int) -> bool:
    """Whether a moving layer can work on `lanes` elements a beat."""
    if isinstance(node.op, Slice) and _crops(node.op):
        ends = (node.op.starts[-1], node.op.sizes[-1], graph.types[node.inputs[0]].shape[-1])
        return all(n % lanes == 0 for n in ends)
    return _movement(node.op, graph.types[node.inputs[0]].shape, lanes) is not None


def _moving_stage(graph: Graph, node: Node, lanes: int) -> tuple[str, Stage]:
    """The stage of a moving layer, and the suffix of its name."""
    t, out = graph.types[node.inputs[0]], graph.types[node.name]
    stream = stream_of(t, lanes)
    if isinstance(node.op, Slice) and _crops(node.op):
        return "crop", Crop(stream, node.op.starts, node.op.sizes)
    found = _movement(node.op, t.shape, lanes)
    assert found is not None
    if isinstance(found, Picks):
        return "gather", Gather(stream, out.shape, found)
    return "reorder", Reorder(stream, out.shape, found)


def _crops(op: Slice) -> bool:
    return all(step == 1 for step in op.steps)


@lru_cache(maxsize=1024)  # folding asks again for every plan
def _movement(op: Op, shape: tuple[int, ...], lanes: int) -> Access | Picks | None:
    """How the result is read from the operand, found by moving the elements' own numbers; None: beats do not stay."""
    size = int(np.prod(shape))
    index = op.run(op.infer(Operand(TensorType(shape))), np.arange(size).reshape(1, *shape))
    return access(index, size, lanes) or picks(index, size, lanes)
