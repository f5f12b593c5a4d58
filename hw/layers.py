"""Each integer operator as hardware: which foldings it has, and the chain of stages that each gives.

One row an operator in LAYERS. A folding is how many elements enter and leave a layer in a cycle.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.errors import UserError
from codesign.formats import hull, of_values
from codesign.graph import Graph, GraphError, Node, TensorType
from codesign.ops.argmax import ArgMax
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Maximum, Minimum, Mul
from codesign.ops.integer import Center
from codesign.ops.layout import Concat
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalMaxPool, GlobalSumPool, MaxPool, SumPool
from codesign.ops.reduce import Reduce
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.ops.weigh import Weigh
from hw.arith.order import Order
from hw.arith.packing import legal_lanes, worth_trying
from hw.layer import Chain, Folding, Layer, arriving, border_of, divisors, stream_of
from hw.netlist.dense import Dense
from hw.pooling import global_stages, pool_cycles, pool_stages, reduce_foldings, reduce_stages
from hw.rearrange import MOVES, concat_cycles, concat_foldings, concat_stages, moving_foldings, moving_stages
from hw.stages.activation import cheapest
from hw.stages.argmax import ArgMax as ArgMaxStage
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.join import Add as AddStage
from hw.stages.join import Extreme
from hw.stages.join import Mul as MulStage
from hw.stages.matvec import MatVec
from hw.stages.pad import Pad as PadStage
from hw.stages.unrolled import Unrolled
from hw.stages.weigh import WeighStage
from hw.stages.window import Window
from hw.stream import StreamType


def layer_of(graph: Graph, node: Node) -> Layer:
    """The row of LAYERS for a node; UserError where the operator has no hardware."""
    layer = LAYERS.get(type(node.op))
    if layer is None:
        raise UserError(
            f"node '{node.origin or node.name}' ({type(node.op).__name__}) has no hardware stage; "
            "keep it at the beginning or the end of the network, where the host can run it"
        )
    return layer


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


# --- products -------------------------------------------------------------------------------------------------


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


def _has_window(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, (MaxPool, SumPool)) or _is_depthwise(graph, node) or _needs_window(graph, node)


def _product_foldings(graph: Graph, node: Node) -> list[Folding]:
    channels = source_type(graph, node)[0].shape[-1]
    legal = legal_lanes(stream_of(source_type(graph, node)[0], 1).format, _weights(graph, node))
    if _is_depthwise(graph, node):
        multiplier = _weights(graph, node).shape[3] // channels
        return [Folding(d, d, dsp=n) for d in divisors(channels) for n in worth_trying(legal, multiplier)]
    matrix = matrix_of(graph, node)
    rows, columns = matrix.shape
    serial = [Folding(i, o) for i in divisors(channels) for o in divisors(columns)]
    if not matrix.all():
        serial += [replace(f, skip=True) for f in serial if _order(matrix, f).saves]
    if _needs_window(graph, node) and rows != channels:
        serial += [Folding(channels, o, whole=True) for o in divisors(columns)]
    return [replace(f, dsp=n) for f in serial for n in worth_trying(legal, f.lanes_out)]


def _product_cycles(graph: Graph, node: Node, folding: Folding) -> int:
    source, out = source_type(graph, node)[0], graph.types[node.name]
    positions = out.size // out.shape[-1]
    came = arriving(graph, node, folding) if _has_window(graph, node) else source.size // folding.lanes_in
    if _is_depthwise(graph, node):
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
    source, zero = source_type(graph, node)
    stream = stream_of(source, folding.lanes_in)
    if _is_depthwise(graph, node):
        return _depthwise_stages(graph, node, stream, zero, folding.dsp)
    chain: Chain = []
    if _needs_window(graph, node):
        op, kernel = node.op, _kernel(graph, node)
        assert isinstance(op, Conv)
        window = Window(stream, kernel, op.stride, op.dilation, channelwise=False, parallel=folding.whole)
        chain.append(("window", window))
        stream = window.outputs[0]
    matrix = matrix_of(graph, node)
    bias = -zero * matrix.sum(0) if zero else None
    fmt = graph.types[node.inputs[1]].format
    assert fmt is not None
    if not fmt.contains(matrix):  # the zeros between the blocks of a grouped binary convolution
        fmt = hull(fmt, of_values(matrix))
    product = MatVec(stream, matrix, fmt, folding.lanes_out, stream.lanes, bias, folding.skip, folding.dsp)
    if nothing_folded(graph, node, folding):
        layer = Dense(matrix, _or_zeros(bias, matrix), product.outputs[0].format)
        return [*chain, ("unrolled", Unrolled(stream, (layer,), folding.levels, folding.gates))]
    return [*chain, ("matvec", product)]


def nothing_folded(graph: Graph, node: Node, folding: Folding) -> bool:
    """Whether a product takes whole vectors and gives all its results at once: then its weights become gates."""
    if _is_depthwise(graph, node) or folding.dsp:
        return False
    rows, columns = matrix_of(graph, node).shape
    return columns == folding.lanes_out and (folding.whole or rows == folding.lanes_in)


def _or_zeros(bias: np.ndarray | None, matrix: np.ndarray) -> np.ndarray:
    return np.zeros(matrix.shape[1], np.int64) if bias is None else bias


def _depthwise_stages(graph: Graph, node: Node, stream: StreamType, zero: int, dsp: int) -> Chain:
    op, w = node.op, _weights(graph, node)
    assert isinstance(op, Conv)
    window = Window(stream, _kernel(graph, node), op.stride, op.dilation, channelwise=True)
    taps = w.reshape(-1, op.groups, w.shape[3] // op.groups)  # (taps, channels, multiplier)
    bias = (-zero * taps.sum(0)).reshape(-1) if zero else None
    fmt = graph.types[node.inputs[1]].format
    assert fmt is not None
    return [("window", window), ("mac", ChannelwiseMac(window.outputs[0], taps, fmt, bias, dsp))]


# --- layers with one number of lanes ---------------------------------------------------------------------------


def _even(graph: Graph, node: Node) -> list[Folding]:
    """The same lanes in and out: any divisor of the channels."""
    return [Folding(d, d) for d in divisors(graph.types[node.inputs[0]].shape[-1])]


def _to_one(graph: Graph, node: Node) -> list[Folding]:
    return [Folding(d, 1) for d in divisors(graph.types[node.inputs[0]].shape[-1])]


def _beats(graph: Graph, node: Node, folding: Folding) -> int:
    """As many cycles as the larger of input and output has beats."""
    sizes = [graph.types[i].size // folding.lanes_in for i in node.inputs]
    return max(*sizes, graph.types[node.name].size // folding.lanes_out)


def _input(graph: Graph, node: Node, folding: Folding) -> StreamType:
    return stream_of(graph.types[node.inputs[0]], folding.lanes_in)


def _pad_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, Pad)
    return [("pad", PadStage(_input(graph, node, folding), op.before, op.after, int(op.value), op.gaps))]


def _pad_cycles(graph: Graph, node: Node, folding: Folding) -> int:
    """Those of the image alone, where windows make the border."""
    if any(_has_window(graph, n) and border_of(graph, n) is node for n in graph.nodes):
        return graph.types[node.inputs[0]].size // folding.lanes_in
    return _beats(graph, node, folding)


def _add_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    a, b = (stream_of(graph.types[i], folding.lanes_in) for i in node.inputs)
    return [("add", AddStage(a, b))]


def _mul_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    a, b = (stream_of(graph.types[i], folding.lanes_in) for i in node.inputs)
    return [("mul", MulStage(a, b))]


def _extreme_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    a, b = (stream_of(graph.types[i], folding.lanes_in) for i in node.inputs)
    return [("extreme", Extreme(a, b, isinstance(node.op, Minimum)))]


def _argmax_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, ArgMax)
    return [("argmax", ArgMaxStage(_input(graph, node, folding), largest=not op.least))]


def _activation_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, (Threshold, Table, Requant))
    try:
        return [("activation", cheapest(_input(graph, node, folding), op))]
    except GraphError as e:
        raise UserError(f"node '{node.origin or node.name}': {e}; put a quantizer of fewer bits before it") from None


def _weigh_stages(graph: Graph, node: Node, folding: Folding) -> Chain:
    op = node.op
    assert isinstance(op, Weigh)
    return [("weigh", WeighStage(_input(graph, node, folding), op))]


PRODUCT = Layer(_product_foldings, _product_stages, _product_cycles)
ACTIVATION = Layer(_even, _activation_stages, _beats)
POOL = Layer(_even, pool_stages, pool_cycles)
GLOBAL = Layer(_even, global_stages, _beats)

MOVING = Layer(moving_foldings, moving_stages, _beats)

LAYERS: dict[type, Layer] = {
    MatMul: PRODUCT,
    Conv: PRODUCT,
    Threshold: ACTIVATION,
    Table: ACTIVATION,
    Requant: ACTIVATION,
    MaxPool: POOL,
    SumPool: POOL,
    GlobalMaxPool: GLOBAL,
    GlobalSumPool: GLOBAL,
    Reduce: Layer(reduce_foldings, reduce_stages, _beats),
    Pad: Layer(_even, _pad_stages, _pad_cycles),
    Weigh: Layer(_even, _weigh_stages, _beats),
    Add: Layer(_even, _add_stages, _beats),
    Mul: Layer(_even, _mul_stages, _beats),
    **dict.fromkeys((Minimum, Maximum), Layer(_even, _extreme_stages, _beats)),
    Concat: Layer(concat_foldings, concat_stages, concat_cycles),
    ArgMax: Layer(_to_one, _argmax_stages, _beats),
    **dict.fromkeys(MOVES, MOVING),
}
