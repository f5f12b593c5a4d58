"""Moves pools and layout below the elementwise functions that follow them, down to where numbers are integers.

max(f(a), f(b)) = f(max(a, b)) for any f that never falls; so a maximum pool between a convolution and its
quantizer can work on the quantizer's few bits instead. Functions that never rise turn it into a minimum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.fusion import Journal
from codesign.graph import Constant, Graph, GraphError, Node, Op
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.moves import Upsample
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalMaxPool, MaxPool
from codesign.ops.quantize import Quantize
from codesign.ops.round_to_float import RoundToFloat
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes.fuse import ARITHMETIC, QUANTIZERS, data_operand, slopes

LAYOUT = (Reshape, Transpose, Upsample, DepthToSpace, SpaceToDepth)  # never fewer elements behind than before
MOVES = (MaxPool, GlobalMaxPool, Pad, *LAYOUT)


def sink(graph: Graph, journal: Journal) -> Graph:
    """Swap movers and functions until nothing moves; note the pools that had to stay."""
    while True:
        swapped = next((g for node in graph.nodes if (g := _swap(graph, node, journal)) is not None), None)
        if swapped is None:
            break
        graph = swapped
    for function in graph.nodes:
        move = graph.by_name.get(_operand(graph, function) or "")
        if move is not None and isinstance(move.op, (MaxPool, GlobalMaxPool, Concat)):
            reason = "falls here and rises there" if _is_private(graph, move) else "is not all that reads it"
            journal.refused(f"stays above {type(function.op).__name__}, which {reason}", move, function)
    return graph


def into_parts(graph: Graph, journal: Journal) -> Graph:
    """Functions behind a concatenation moved into its parts, until nothing moves; `sink` does it too."""
    while True:
        for node in graph.nodes:
            below = graph.by_name.get(_operand(graph, node) or "")
            if below is None or not isinstance(below.op, Concat) or not _is_private(graph, below):
                continue
            if (parted := _into_parts(graph, below, node)) is not None:
                journal.did(f"{type(node.op).__name__} taken into the parts of Concat", below, node)
                graph = parted
                break
        else:
            return graph


def _swap(graph: Graph, function: Node, journal: Journal) -> Graph | None:
    """The graph with `function(move(x))` as `move'(function(x))`, or None where they don't commute.

    The functions that follow are swapped at once: a graph for each of a thousand would take minutes.
    """
    data = _operand(graph, function)
    move = graph.by_name.get(data) if data else None
    if move is None or not isinstance(move.op, (*MOVES, Concat)) or not _is_private(graph, move):
        return None
    if isinstance(move.op, Concat):
        if (parted := _into_parts(graph, move, function)) is not None:
            journal.did(f"{type(function.op).__name__} taken into the parts of Concat", move, function)
        return parted
    passed: list[Node] = []
    following: Node | None = function
    while following is not None and (moved := _moved(graph, move, following)) is not None:
        passed.append(following)
        move = replace(move, op=moved)
        following = _only_function_of(graph, following)
    if not passed or not isinstance(passed[-1].op, QUANTIZERS):  # halfway down it would stand between real functions
        return None
    functions = ", ".join(type(n.op).__name__ for n in passed)
    journal.did(f"{type(move.op).__name__} moved below {functions}", move, *passed)
    return _after(graph, move, passed)


def _operand(graph: Graph, function: Node) -> str | None:
    """The real operand of a function that may be swapped with a mover."""
    if not isinstance(function.op, (*ARITHMETIC, *QUANTIZERS, Unary)):
        return None
    data = data_operand(graph, function)
    return None if data is None or graph.types[data].is_integer else data


def _is_private(graph: Graph, node: Node) -> bool:
    """Whether one node reads it, and nobody else."""
    return len(graph.readers[node.name]) == 1 and node.name not in graph.outputs


def _only_function_of(graph: Graph, node: Node) -> Node | None:
    """The function that alone reads a node, or None."""
    reader = graph.readers[node.name][0] if _is_private(graph, node) else None
    return reader if reader is not None and _operand(graph, reader) == node.name else None


def _after(graph: Graph, move: Node, passed: list[Node]) -> Graph:
    """The graph with a mover (as it must be there) behind the functions that read it one after the other."""
    new = {n.name: n for n in graph.nodes if n.name != move.name}
    source, data = move.inputs[0], move.name
    for function in passed:
        inner = graph.fresh(f"{function.name}_{type(move.op).__name__.lower()}")
        del new[function.name]
        new[inner] = replace(function, name=inner, inputs=tuple(source if i == data else i for i in function.inputs))
        source, data = inner, function.name
    new[data] = Node(data, move.op, (source,), move.origin)
    return graph.replace(new.values())


def _into_parts(graph: Graph, concat: Node, function: Node) -> Graph | None:
    """function(Concat(a, b)) as Concat(function(a), function(b)), each part with its own channels' parameters.

    None where the parts would be integers of different scales, as behind a quantizer with a scale for each channel.
    """
    assert isinstance(concat.op, Concat)
    axis, rank = concat.op.axis % len(graph.types[concat.name].shape), len(graph.types[concat.name].shape)
    added, names, start = [], [], 0
    for part in concat.inputs:
        stop = start + graph.types[part].shape[axis]
        own = slice(start, stop) if axis == rank - 1 else slice(None)
        constants = {i: graph.constants[i] for i in function.inputs if i in graph.constants}
        cut = {
            i: Node(graph.fresh(f"{i}_{start}"), Constant.real(v[..., own])) for i, v in constants.items() if v.size > 1
        }
        given = {concat.name: part, **{i: n.name for i, n in cut.items()}}
        inputs = tuple(given.get(i, i) for i in function.inputs)
        names.append(graph.fresh(f"{function.name}_{start}"))
        added += [*cut.values(), Node(names[-1], _of_channels(function.op, own), inputs, function.origin)]
        start = stop
    joined = Node(function.name, concat.op, tuple(names), concat.origin)
    dropped = {concat.name, function.name}
    try:
        return graph.replace([*(n for n in graph.nodes if n.name not in dropped), *added, joined])
    except GraphError:
        return None


def _of_channels(op: Op, own: slice) -> Op:
    """A quantizer for some of the channels."""
    fields = {
        RoundToFloat: ("scale",),
        Quantize: ("scale", "zero_point"),
        Threshold: ("thresholds", "base", "step"),
    }.get(type(op), ())
    values = {name: getattr(op, name) for name in fields}
    return replace(op, **{k: v[own] for k, v in values.items() if len(v) > 1}) if fields else op  # type: ignore[type-var]


def _moved(graph: Graph, move: Node, function: Node) -> Op | None:
    """The mover as it must be after the function, or None."""
    slope = slopes(graph, function)
    if isinstance(move.op, LAYOUT):
        return move.op if _keeps_channels(graph, move) or _one_for_all(graph, function) else None
    if slope is None or len(set(slope)) != 1:
        return None
    falls = int(slope[0]) < 0
    if isinstance(move.op, Pad):
        return _moved_pad(move.op, function, falls)
    assert isinstance(move.op, (MaxPool, GlobalMaxPool))
    return replace(move.op, least=move.op.least != falls)


def _moved_pad(pad: Pad, function: Node, falls: bool) -> Pad | None:
    """Only the padding of pools moves: minus infinity (plus, below a falling function) is the neutral element."""
    if np.isfinite(pad.value):
        return None
    value = -pad.value if falls else pad.value
    if isinstance(function.op, QUANTIZERS):
        value = float(function.op.format.hi if value > 0 else function.op.format.lo)
    return replace(pad, value=value)


def _keeps_channels(graph: Graph, move: Node) -> bool:
    """Whether the last axis is the same before and after a layout operator."""
    before, after = graph.types[move.inputs[0]].shape, graph.types[move.name].shape
    same = before[-1:] == after[-1:] and not isinstance(move.op, (DepthToSpace, SpaceToDepth))
    return same and (not isinstance(move.op, Transpose) or move.op.perm[-1] == len(before) - 1)


def _one_for_all(graph: Graph, function: Node) -> bool:
    """Whether a function is the same on every channel."""
    op = function.op
    if isinstance(op, Quantize):
        return len(op.scale) == 1 and len(op.zero_point) == 1
    if isinstance(op, RoundToFloat):
        return len(op.scale) == 1
    if isinstance(op, Threshold):
        return len(op.thresholds) == len(op.base) == len(op.step) == 1
    return all(graph.constants[i].size == 1 for i in function.inputs if i in graph.constants)
