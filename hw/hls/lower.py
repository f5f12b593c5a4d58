"""Integer network -> hls4ml layers: one row an operator. What hls4ml would compute wrongly is refused, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from codesign.errors import UserError
from codesign.graph import Constant, Graph, Node
from codesign.ops.argmax import ArgMax
from codesign.ops.conv import Conv
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.integer import Center, Reinterpret
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalMaxPool, GlobalSumPool, MaxPool, SumPool
from codesign.ops.reduce import Reduce
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.take import Take
from codesign.ops.threshold import Threshold
from codesign.ops.weigh import Weigh
from hw.hls.builder import Builder
from hw.hls.elements import MERGES, affine, center, merge, reinterpret, requant, table, threshold, weigh
from hw.hls.moves import concat, move, reshape
from hw.hls.products import product
from hw.hls.spec import HlsLayer, HlsNetwork, check_width, integers_of
from hw.hls.windows import argmax, global_pool, pad, pool, reduce

MOST_READERS = 7  # of a stream, in hls4ml 1.3


def lower(graph: Graph, io: str, interval_cycles: int) -> HlsNetwork:
    """Every tensor of the graph as a layer; UserError names the operator that has no exact HLS form."""
    b = Builder(graph, io, interval_cycles)
    for i in graph.inputs:
        check_width(i.name, integers_of(i.type))
        name = b.names.fresh(i.name, "input")
        span = {"result": integers_of(i.type)}
        b.made[i.name] = b.add(HlsLayer(name, "Input", (), i.type.shape or (1,), span, tensor=i.name, origin=i.name))
    for node in graph.nodes:
        if isinstance(node.op, Constant):
            continue
        row = ROWS.get(type(node.op))
        if row is None:
            raise UserError(
                f"node '{node.label}' ({type(node.op).__name__}) has no HLS form; "
                "keep it at the beginning or the end of the network, where the host can run it"
            )
        b.made[node.name] = row(b, node)
    for name in graph.outputs:
        check_width(name, integers_of(graph.types[name]))
    outputs = _outputs(b)
    network = HlsNetwork(tuple(b.layers), tuple(b.made[i.name] for i in graph.inputs), outputs, io)
    _check_readers(network)
    return network


def _check_readers(network: HlsNetwork) -> None:
    """hls4ml copies a stream to at most so many readers."""
    if network.io != "io_stream":
        return
    reads = Counter([*(i for x in network.layers for i in x.inputs), *network.outputs])
    for layer in network.layers:
        if reads[layer.name] > MOST_READERS:
            raise UserError(
                f"'{layer.origin}' is read {reads[layer.name]} times; hls4ml copies a stream {MOST_READERS} times at "
                "most: use --io parallel"
            )


def _outputs(b: Builder) -> tuple[str, ...]:
    """The layers that are outputs: each its own, and none of them an input as it is."""
    given, found = {b.made[i.name] for i in b.graph.inputs}, []
    for name in b.graph.outputs:
        layer = b.made[name]
        if layer in given or layer in found:
            t = b.graph.types[name]
            layer = affine(b, Node(name, Reinterpret((1.0,)), (), name), layer, t.shape, integers_of(t), 1, 0)
        found.append(layer)
    return tuple(found)


def _product(b: Builder, node: Node) -> str:
    source = b.made[node.inputs[0]]
    for layer in product(b.graph, node, source, b.io, b.interval, b.names):
        source = b.add(layer)
    return source


ROWS: dict[type, Callable[[Builder, Node], str]] = {
    MatMul: _product,
    Conv: _product,
    Threshold: threshold,
    Requant: requant,
    Table: table,
    Center: center,
    Weigh: weigh,
    Reinterpret: reinterpret,
    **dict.fromkeys(MERGES, merge),
    **dict.fromkeys((Transpose, Slice, Expand, Upsample, Take, DepthToSpace, SpaceToDepth), move),
    Reshape: reshape,
    Concat: concat,
    Pad: pad,
    **dict.fromkeys((MaxPool, SumPool), pool),
    **dict.fromkeys((GlobalMaxPool, GlobalSumPool), global_pool),
    Reduce: reduce,
    ArgMax: argmax,
}
