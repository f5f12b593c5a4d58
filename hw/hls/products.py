"""Matrix products and convolutions as hls4ml's own layers, in forms that it computes exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.formats import Int
from codesign.graph import Graph, Node
from codesign.ops.conv import Conv
from hw.hls.spec import EXTENSION, HlsLayer, Names, integers_of, weights_span

MOST_WINDOW_LINES = 1 << 17  # of C++ that hls4ml writes out for the windows of a convolution in io_parallel


@dataclass(frozen=True)
class Window:
    """A convolution as hls4ml has it: weights (rows, columns, channels, filters), no groups, no dilation."""

    weights: np.ndarray
    stride: tuple[int, int]
    depthwise: bool

    @property
    def inputs(self) -> int:
        """Values that one result is summed over, times the channels side by side in a depthwise one."""
        return int(np.prod(self.weights.shape[:3]))


def product(graph: Graph, node: Node, source: str, io: str, interval: int, names: Names) -> list[HlsLayer]:
    """The layers of one product, the last of them its result. `interval`: cycles a frame may take."""
    w = graph.constants[node.inputs[1]].astype(np.int64)
    x = graph.types[node.inputs[0]].shape
    if not isinstance(node.op, Conv) and len(x) == 1:
        return [_dense(graph, node, source, w, interval, names)]
    image = x if len(x) == 3 else (int(np.prod(x[:-1])), 1, x[-1])
    window = _window(node.op, w) if isinstance(node.op, Conv) else Window(w[None, None], (1, 1), False)
    before: list[HlsLayer] = []
    if io == "io_parallel" and image != x:
        before = [_as_image(graph, node, source, image, names)]
        source = before[0].name
    if io == "io_stream" and window.weights.shape[0] == 1 and window.stride[0] > 1:
        before = [_every_row(graph, node, source, image, window.stride[0], names)]
        source, image = before[0].name, before[0].shape
        window = Window(window.weights, (1, window.stride[1]), window.depthwise)
    return [*before, _convolution(graph, node, source, image, window, io, interval, names)]


def _dense(graph: Graph, node: Node, source: str, w: np.ndarray, interval: int, names: Names) -> HlsLayer:
    out = graph.types[node.name]
    reuse = reuse_factor(w.shape[0], w.shape[1], interval, w.size)
    attributes = {"n_in": w.shape[0], "n_out": w.shape[1], "weight_data": w.astype(np.float64), "bias_data": None}
    precision = {"result": integers_of(out), "accum": integers_of(out), "weight": weights_span(w), "bias": Int(0, 1)}
    origin = node.label
    return HlsLayer(
        names.of(node), "Dense", (source,), out.shape, precision, attributes, reuse, _strategy(reuse), node.name,
        origin,
    )  # fmt: skip


def _window(op: Conv, w: np.ndarray) -> Window:
    """Dilation (which hls4ml 1.3 drops) as zeros between the taps, groups (which it lacks) as zero blocks."""
    if op.dilation != (1, 1):
        reach = [(k - 1) * d + 1 for k, d in zip(w.shape[:2], op.dilation)]
        spread = np.zeros((*reach, *w.shape[2:]), dtype=np.int64)
        spread[:: op.dilation[0], :: op.dilation[1]] = w
        w = spread
    if op.is_depthwise(w.shape) and w.shape[3] == op.groups:
        return Window(w.transpose(0, 1, 3, 2), op.stride, True)  # (rows, columns, channels, 1)
    if op.groups == 1:
        return Window(w, op.stride, False)
    rows, columns, channels, filters = w.shape
    whole = np.zeros((rows, columns, channels * op.groups, filters), dtype=np.int64)
    each = filters // op.groups
    for g in range(op.groups):
        own = slice(g * each, (g + 1) * each)
        whole[:, :, g * channels : (g + 1) * channels, own] = w[..., own]
    return Window(whole, op.stride, False)


def _as_image(graph: Graph, node: Node, source: str, image: tuple[int, ...], names: Names) -> HlsLayer:
    """The same elements as (rows, 1, channels), for a product that is a convolution to hls4ml."""
    span, origin = {"result": integers_of(graph.types[node.inputs[0]])}, node.label
    attributes = {"target_shape": list(image)}
    return HlsLayer(names.fresh(origin, "image"), "Reshape", (source,), image, span, attributes, 1, "", "", origin)


def _every_row(graph: Graph, node: Node, source: str, image: tuple[int, ...], stride: int, names: Names) -> HlsLayer:
    """Every `stride`-th row: hls4ml's streams ignore the row stride of kernels of one row."""
    rows, columns, channels = image
    shape = ((rows - 1) // stride + 1, columns, channels)
    sizes = {
        "in_height": rows, "in_width": columns, "channels": channels, "out_height": shape[0], "out_width": columns,
        "combine": 1, "kernel_height": 1, "kernel_width": 1, "stride_height": stride, "stride_width": 1,
        "dilation_height": 1, "dilation_width": 1,
    }  # fmt: skip
    span = {"result": integers_of(graph.types[node.inputs[0]])}
    attributes = {"function": "pool", "out_shape": list(shape), "sizes": sizes, "parameters": {}}
    origin = node.label
    return HlsLayer(names.fresh(origin, "rows"), EXTENSION, (source,), shape, span, attributes, 1, "", "", origin)


def _convolution(
    graph: Graph, node: Node, source: str, image: tuple[int, ...], window: Window, io: str, interval: int, names: Names
) -> HlsLayer:
    out, w = graph.types[node.name], window.weights
    rows, columns, channels = image
    size = [(n - k) // s + 1 for n, k, s in zip(image, w.shape, window.stride)]
    filters = channels if window.depthwise else w.shape[3]
    positions, origin = size[0] * size[1], node.label
    if io == "io_parallel" and positions * window.inputs > MOST_WINDOW_LINES:
        raise UserError(
            f"node '{origin}' (Conv): hls4ml writes out each of the {positions * window.inputs:,} window elements of "
            "io_parallel by itself, which no HLS compiler takes; use --io stream"
        )
    reuse = _reuse(window, filters, interval // positions)
    attributes = {
        "data_format": "channels_last", "in_height": rows, "in_width": columns, "out_height": size[0],
        "out_width": size[1], "n_chan": channels, "n_filt": filters, "filt_height": w.shape[0],
        "filt_width": w.shape[1], "stride_height": window.stride[0], "stride_width": window.stride[1],
        **dict.fromkeys(("pad_top", "pad_bottom", "pad_left", "pad_right"), 0), "bias_data": None,
        ("depthwise_data" if window.depthwise else "weight_data"): w.astype(np.float64),
        **({"depth_multiplier": 1} if window.depthwise else {}),
    }  # fmt: skip
    precision = {"result": integers_of(out), "accum": integers_of(out), "weight": weights_span(w), "bias": Int(0, 1)}
    kind = "DepthwiseConv2D" if window.depthwise else "Conv2D"
    strategy = "latency" if window.depthwise else _strategy(reuse)
    shape = (size[0], size[1], filters)
    return HlsLayer(names.of(node), kind, (source,), shape, precision, attributes, reuse, strategy, node.name, origin)


def _reuse(window: Window, filters: int, cycles: int) -> int:
    """Cycles between two positions; a resource-shared product by hls4ml is right up to one cycle an input."""
    if window.depthwise:
        return max(1, min(cycles, window.inputs))
    return reuse_factor(window.inputs, filters, cycles, window.inputs)


def _strategy(reuse: int) -> str:
    return "latency" if reuse == 1 else "resource"


def reuse_factor(inputs: int, outputs: int, cycles: int, most: int) -> int:
    """The largest factor that hls4ml computes exactly with (see FPGABackend.get_valid_reuse_factors), within `cycles`.

    It divides all products evenly, and either the inputs too, or is a multiple of their number.
    """
    limit = max(1, min(cycles, most))
    total = inputs * outputs
    fits = (f for f in range(limit, 0, -1) if total % f == 0 and _is_exact(inputs, outputs, f))
    return next(fits)


def _is_exact(inputs: int, outputs: int, factor: int) -> bool:
    if factor >= inputs:
        return factor % inputs == 0
    return -(-inputs * outputs // factor) % outputs == 0
