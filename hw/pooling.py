"""Pools and reductions as hardware: over sliding windows, over whole images, along any neighbouring axes."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from codesign.graph import Graph, Node, Op
from codesign.ops.pool import GlobalSumPool, MaxPool, SumPool
from codesign.ops.reduce import Reduce, neighbours
from hw.divisors import divisors
from hw.layer import Chain, Folding, arriving, border_of, input_stream
from hw.pixels import MOST
from hw.reduce import Operation
from hw.stages.global_pool import GlobalPool
from hw.stages.pool import Pool
from hw.stages.window import Window
from hw.stream import StreamType


def wide_pools(graph: Graph, node: Node) -> list[Folding]:
    """Of pools whose windows stand side by side: all columns of one or more of them a beat."""
    op, (_, columns, channels) = node.op, graph.types[node.inputs[0]].shape
    assert isinstance(op, (MaxPool, SumPool))
    side_by_side = op.kernel[1] == op.stride[1] and op.dilation[1] == 1 and columns % op.stride[1] == 0
    if not side_by_side or border_of(graph, node) is not None:
        return []
    each = op.stride[1] * channels
    pixels = [n for n in divisors(columns // op.stride[1]) if n <= MOST]
    return [Folding(n * each, n * channels, whole=True, pixels=n) for n in pixels]


def pool_cycles(graph: Graph, node: Node, folding: Folding) -> int:
    if folding.whole:
        return graph.types[node.inputs[0]].size // folding.lanes_in
    taps = int(np.prod(node.op.kernel))  # type: ignore[attr-defined]
    positions = graph.types[node.name].size // folding.lanes_out
    return max(arriving(graph, node, folding), positions * taps)


def _reduced_shape(graph: Graph, node: Node) -> tuple[int, int, int]:
    """Elements in front of the axes that are reduced, along them, and behind them."""
    op, shape = node.op, graph.types[node.inputs[0]].shape
    assert isinstance(op, Reduce) and len(neighbours(op.axes, shape)) == 1, "integerize splits other reductions"
    terms, behind = op.terms(shape), prod(shape[max(op.axes) + 1 :])
    return prod(shape) // (terms * behind), terms, behind


def reduce_foldings(graph: Graph, node: Node) -> list[Folding]:
    """Lanes within what lies behind the axes, or else along them, into one."""
    _, terms, behind = _reduced_shape(graph, node)
    return [Folding(d, d) for d in divisors(behind)] if behind > 1 else [Folding(d, 1) for d in divisors(terms)]


def reduce_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    parts, terms, behind = _reduced_shape(graph, node)
    kind, lanes, source = _kind(node.op), folding.lanes_in, input_stream(graph, node, folding)
    if behind > 1 or lanes == 1:
        return [("pool", GlobalPool(replace(source, shape=(parts, terms, behind)), kind, parts))]
    chain: Chain = []
    if lanes < terms:
        chain.append(("pool", GlobalPool(replace(source, shape=(parts, terms // lanes, lanes)), kind, parts)))
        source = chain[0][1].outputs[0]
    return [*chain, ("tree", Pool(replace(source, shape=(parts, 1, lanes, 1)), kind))]


def _kind(op: Op) -> Operation:
    if isinstance(op, Reduce):
        return op.function  # type: ignore[return-value]
    if isinstance(op, (SumPool, GlobalSumPool)):
        return "sum"
    return "min" if op.least else "max"  # type: ignore[attr-defined]


def pool_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, (MaxPool, SumPool))
    if folding.whole:
        return _wide_stages(graph, node, folding)
    source = input_stream(graph, node, folding)
    window = Window(source, op.kernel, op.stride, op.dilation, channelwise=True)
    return [("window", window), ("pool", Pool(window.outputs[0], _kind(op)))]


def _wide_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    """First along the columns, then along the rows."""
    op, source, kind = node.op, input_stream(graph, node, folding), _kind(node.op)
    assert isinstance(op, (MaxPool, SumPool))
    rows, columns, channels = source.shape
    count = columns // op.stride[1]
    along = Pool(replace(source, shape=(rows, count, op.stride[1], channels)), kind)
    chain: Chain = [("columns", along)] if op.stride[1] > 1 else []
    fmt, lanes = (along.outputs[0] if chain else source).format, folding.lanes_out
    if op.kernel[0] == op.stride[0] == 1:
        return chain
    image = StreamType((rows, count // folding.pixels, lanes), fmt, lanes)
    above, stride = (op.kernel[0], 1), (op.stride[0], 1)
    window = Window(image, above, stride, (op.dilation[0], 1), channelwise=True, parallel=True)
    return [*chain, ("window", window), ("pool", Pool(window.outputs[0], kind))]


def global_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    return [("pool", GlobalPool(input_stream(graph, node, folding), _kind(node.op)))]
