"""Products as hardware: matrix products and convolutions, folded, of several pixels at a time, or as gates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.formats import hull, of_values
from codesign.graph import Graph, Node, TensorType
from codesign.ops.conv import Conv
from codesign.ops.integer import Center
from codesign.ops.matmul import MatMul
from codesign.ops.pool import MaxPool, SumPool
from hw.arith.order import Order
from hw.arith.packing import legal_lanes, worth_trying
from hw.divisors import divisors
from hw.layer import Chain, Folding, Layer, arriving, border_of, stream_of
from hw.netlist.dense import Dense
from hw.pixels import Wide, widths
from hw.sliding import NO_BORDER, Border
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.matvec import MatVec
from hw.stages.unrolled import Unrolled
from hw.stages.window import Window
from hw.stream import StreamType

MOST_WEIGHTS = 1 << 20  # of a matrix with zeros between channels: one of more would not fit as gates


def source_type(graph: Graph, node: Node) -> tuple[TensorType, int]:
    """Type of the stream into a product, and the zero point that its bias takes back (see Center)."""
    below = graph.by_name.get(node.inputs[0])
    if below is not None and isinstance(below.op, Center) and goes_into_biases(graph, below):
        return graph.types[below.inputs[0]], below.op.zero_point
    return graph.types[node.inputs[0]], 0


def goes_into_biases(graph: Graph, center: Node) -> bool:
    """Whether nothing but products reads a Center, so that their biases can take the zero point back."""
    products = all(isinstance(r.op, (MatMul, Conv)) for r in graph.readers[center.name])
    return products and center.name not in graph.outputs


def _weights(graph: Graph, node: Node) -> np.ndarray:
    return graph.constants[node.inputs[1]].astype(np.int64)


def matrix_of(graph: Graph, node: Node) -> np.ndarray:
    """The weights of a product as (K, N); grouped convolutions as their block-diagonal matrix."""
    w = _weights(graph, node)
    if isinstance(node.op, MatMul):
        return w
    groups = node.op.groups  # type: ignore[attr-defined]
    kr, kc, channels, filters = w.shape
    dense = np.zeros((kr, kc, channels * groups, filters), dtype=np.int64)
    for g in range(groups):
        own = slice(g * filters // groups, (g + 1) * filters // groups)
        dense[:, :, g * channels : (g + 1) * channels, own] = w[..., own]
    return dense.reshape(-1, filters)


def _kernel(graph: Graph, node: Node) -> tuple[int, int]:
    rows, columns = graph.types[node.inputs[1]].shape[:2]
    return rows, columns


def _is_depthwise(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, Conv) and node.op.is_depthwise(graph.types[node.inputs[1]].shape)


def _needs_window(graph: Graph, node: Node) -> bool:
    if not isinstance(node.op, Conv):
        return False
    return graph.types[node.inputs[1]].shape[:2] != (1, 1) or node.op.stride != (1, 1)


def has_window(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, (MaxPool, SumPool)) or _is_depthwise(graph, node) or _needs_window(graph, node)


def _product_foldings(graph: Graph, node: Node) -> list[Folding]:
    channels = source_type(graph, node)[0].shape[-1]
    legal = legal_lanes(stream_of(source_type(graph, node)[0], 1).format, _weights(graph, node))
    if _is_depthwise(graph, node):
        multiplier = _weights(graph, node).shape[3] // channels
        serial = [Folding(d, d, dsp=n) for d in divisors(channels) for n in worth_trying(legal, multiplier)]
        return serial + _whole_depthwise(graph, node, channels)
    matrix = matrix_of(graph, node)
    rows, columns = matrix.shape
    serial = [Folding(i, o) for i in divisors(channels) for o in divisors(columns)]
    if not matrix.all():
        serial += [replace(f, skip=True) for f in serial if _order(matrix, f).saves]
    if _needs_window(graph, node) and rows != channels:
        serial += [Folding(channels, o, whole=True) for o in divisors(columns)]
    tried = [replace(f, dsp=n) for f in serial for n in worth_trying(legal, f.lanes_out)]
    return tried + [_wide_folding(graph, node, n) for n in _widths(graph, node)]


def _whole_depthwise(graph: Graph, node: Node, channels: int) -> list[Folding]:
    """All taps of all channels at once, of one place or of several: as gates, where zeros between channels are free."""
    filters = graph.types[node.name].shape[2]
    most = MOST_WEIGHTS // (int(np.prod(_kernel(graph, node))) * channels * filters)
    several = [_wide_folding(graph, node, n) for n in _widths(graph, node) if n * n <= most]
    return [Folding(channels, filters, whole=True), *several] if most else []


def _wide(graph: Graph, node: Node, pixels: int) -> Wide:
    """A convolution of several pixels a clock, which makes its border itself."""
    op, pad, source = node.op, border_of(graph, node), source_type(graph, node)[0]
    assert isinstance(op, Conv)
    image = source if pad is None else graph.types[pad.inputs[0]]
    border = NO_BORDER if pad is None else Border(pad.op.before, pad.op.after, int(pad.op.value))  # type: ignore[attr-defined]
    rows, columns, _ = graph.types[node.name].shape
    return Wide(stream_of(image, 1), _kernel(graph, node), op.stride, op.dilation, border, (rows, columns), pixels)


def _widths(graph: Graph, node: Node) -> list[int]:
    return widths(_wide(graph, node, 1)) if isinstance(node.op, Conv) else []


def _wide_folding(graph: Graph, node: Node, pixels: int) -> Folding:
    filters = graph.types[node.name].shape[2]
    return Folding(_wide(graph, node, pixels).stream.lanes, pixels * filters, whole=True, pixels=pixels)


def _wide_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    wide, zero = _wide(graph, node, folding.pixels), source_type(graph, node)[1]
    single = matrix_of(graph, node)
    matrix = wide.weights(single.reshape(*_kernel(graph, node), -1, single.shape[1]))
    stream = wide.stream if wide.window is None else wide.window.outputs[0]
    sums = graph.types[node.name].format
    assert sums is not None
    layer = Dense(matrix, -zero * matrix.sum(0), sums)
    chain: Chain = [] if wide.window is None else [("window", wide.window)]
    stream = replace(stream, shape=(*stream.shape[:2], len(matrix)), lanes=len(matrix))
    return [*chain, ("unrolled", Unrolled(stream, (layer,), folding.levels, folding.gates))]


def _product_cycles(graph: Graph, node: Node, folding: Folding) -> int:
    source, out = source_type(graph, node)[0], graph.types[node.name]
    positions = out.size // out.shape[-1]
    came = arriving(graph, node, folding) if has_window(graph, node) else source.size // folding.lanes_in
    if folding.pixels > 1:
        return _wide(graph, node, folding.pixels).cycles
    if _is_depthwise(graph, node) and not folding.whole:
        taps = int(np.prod(graph.types[node.inputs[1]].shape[:2]))
        return max(came, positions * source.shape[-1] // folding.lanes_in * taps)
    matrix = matrix_of(graph, node)
    rows, columns = matrix.shape
    if folding.skip:
        return max(came, positions * _order(matrix, folding).interval)
    beats = 1 if folding.whole else rows // folding.lanes_in
    return max(came, positions * beats * (columns // folding.lanes_out))


def _order(matrix: np.ndarray, folding: Folding) -> Order:
    return Order.skipping(matrix, folding.lanes_in, folding.lanes_out)


def _product_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    if folding.pixels > 1:
        return _wide_stages(graph, node, folding)
    source, zero = source_type(graph, node)
    stream = stream_of(source, folding.lanes_in)
    if _is_depthwise(graph, node) and not folding.whole:
        return _depthwise_stages(graph, node, stream, zero, folding)
    chain: Chain = []
    if _needs_window(graph, node):
        op, kernel = node.op, _kernel(graph, node)
        assert isinstance(op, Conv)
        window = Window(stream, kernel, op.stride, op.dilation, parallel=folding.whole)
        chain.append(("window", window))
        stream = window.outputs[0]
    product = _matvec(graph, node, stream, zero, folding)
    if nothing_folded(graph, node, folding):
        layer = Dense(product.weights, -zero * product.weights.sum(0), product.outputs[0].format)
        return [*chain, ("unrolled", Unrolled(stream, (layer,), folding.levels, folding.gates))]
    return [*chain, ("matvec", product)]


def _matvec(graph: Graph, node: Node, stream: StreamType, zero: int, folding: Folding) -> MatVec:
    """A product of whole vectors, whose bias takes the zero point back."""
    matrix, fmt = matrix_of(graph, node), graph.types[node.inputs[1]].format
    assert fmt is not None
    if not fmt.contains(matrix):  # the zeros between the blocks of a grouped binary convolution
        fmt = hull(fmt, of_values(matrix))
    bias = -zero * matrix.sum(0) if zero else None
    return MatVec(stream, matrix, fmt, folding.lanes_out, stream.lanes, bias, folding.skip, folding.dsp, folding.levels)


def nothing_folded(graph: Graph, node: Node, folding: Folding) -> bool:
    """Whether a product takes whole vectors and gives all its results at once: then its weights become gates."""
    if folding.dsp or (_is_depthwise(graph, node) and not folding.whole):
        return False
    rows, columns = matrix_of(graph, node).shape
    return folding.pixels > 1 or (columns == folding.lanes_out and (folding.whole or rows == folding.lanes_in))


def _depthwise_stages(graph: Graph, node: Node, stream: StreamType, zero: int, folding: Folding) -> Chain:
    op, w = node.op, _weights(graph, node)
    assert isinstance(op, Conv)
    window = Window(stream, _kernel(graph, node), op.stride, op.dilation, channelwise=True)
    taps = w.reshape(-1, op.groups, w.shape[3] // op.groups)  # (taps, channels, multiplier)
    bias = (-zero * taps.sum(0)).reshape(-1) if zero else None
    fmt = graph.types[node.inputs[1]].format
    assert fmt is not None
    mac = ChannelwiseMac(window.outputs[0], taps, fmt, bias, folding.dsp, folding.levels)
    return [("window", window), ("mac", mac)]


PRODUCT = Layer(_product_foldings, _product_stages, _product_cycles)
