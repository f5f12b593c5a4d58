"""Convolution, pooling and padding: ONNX's (C, H, W) stored channels last; (C, W) as a single row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.graph import Op
from codesign.importer.call import Call
from codesign.importer.elementwise import along_axis, with_constant
from codesign.importer.shapes import squeezed, transposed, unsqueezed
from codesign.importer.values import Constantlike, Refused, Stored
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool

Pair = tuple[int, int]
CHANNELS_LAST = (1, 2, 0)  # of (C, H, W)
DOMAIN_LAST = "qonnx.custom_op.channels_last"


@dataclass(frozen=True)
class Window:
    """A sliding window over rows and columns."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    before: Pair
    after: Pair

    @property
    def reach(self) -> Pair:
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    def left_over(self, size: Pair) -> Pair:
        """Rows and columns that no window covers."""
        return tuple(
            (n + b + a - r) % s
            for n, b, a, r, s in zip(size, self.before, self.after, self.reach, self.stride, strict=True)
        )  # type: ignore[return-value]


def image(call: Call) -> Stored:
    """Input 0 as (C, H, W), channels last in storage; a one-dimensional (C, W) gets a single row."""
    x = call.tensor()
    if call.node.domain == DOMAIN_LAST and x.shape:
        x = transposed(x, (len(x.shape) - 1, *range(len(x.shape) - 1)))
    if len(x.shape) == 2:
        x = unsqueezed(x, [1])
    if len(x.shape) != 3:
        raise Refused(f"its input has {len(x.shape) + 1} axes; 4 (images) or 3 (sequences) are supported")
    return call.build.arrange(x, CHANNELS_LAST)


def restored(call: Call, name: str) -> Stored:
    """A channels-last result as the node's own axes."""
    rows, columns, channels = call.build.types[name].shape
    y = Stored(name, (channels, rows, columns), CHANNELS_LAST)
    rank = len(call.tensor().shape)
    if rank == 2:
        y = squeezed(call, y, [1])
    return transposed(y, (*range(1, rank), 0)) if call.node.domain == DOMAIN_LAST else y


def _pair(call: Call, name: str, default: int) -> Pair:
    """A list attribute with one entry an axis."""
    rank = len(call.tensor().shape) - 1
    value = call.integers(name, (default,) * rank)
    if len(value) != rank or min(value) < 1:
        raise Refused(f"attribute '{name}' {list(value)} does not fit {rank} axes")
    return (value[0], value[1]) if rank == 2 else (1, value[0])


def window(call: Call, size: Pair, kernel: Pair) -> Window:
    """Strides, dilations and padding of a node whose input has `size`."""
    given = Window(kernel, _pair(call, "strides", 1), _pair(call, "dilations", 1), (0, 0), (0, 0))
    auto = call.text("auto_pad", "NOTSET")
    if auto == "NOTSET":
        before, after = _pads(call)
    elif auto == "VALID":
        before, after = (0, 0), (0, 0)
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        before, after = _same(given, size, upper=auto == "SAME_UPPER")
    else:
        raise Refused(f"auto_pad {auto!r} is unknown")
    return Window(given.kernel, given.stride, given.dilation, before, after)


def _pads(call: Call) -> tuple[Pair, Pair]:
    rank = len(call.tensor().shape) - 1
    pads = call.integers("pads", (0,) * 2 * rank)
    if len(pads) != 2 * rank or min(pads) < 0:
        raise Refused(f"attribute 'pads' {list(pads)} does not fit {rank} axes (none may be negative)")
    if rank == 1:
        return (0, pads[0]), (0, pads[1])
    return (pads[0], pads[1]), (pads[2], pads[3])


def _same(w: Window, size: Pair, upper: bool) -> tuple[Pair, Pair]:
    """The padding that gives ceil(size / stride) results; an odd pixel goes after (upper) or before."""
    total = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(size, w.stride, w.reach, strict=True)]
    less, more = ((t // 2 for t in total), (t - t // 2 for t in total))
    before, after = (tuple(less), tuple(more)) if upper else (tuple(more), tuple(less))
    return before, after  # type: ignore[return-value]


def padded(call: Call, x: Stored, w: Window, value: float) -> str:
    """The name of the padded image."""
    if not any((*w.before, *w.after)):
        return x.name
    return call.build.emit(Pad(w.before, w.after, value), x.name)


def conv(call: Call) -> Stored:
    x, weights = image(call), _filters(call)
    outputs, _, *kernel = weights.shape
    stated = call.integers("kernel_shape", kernel[-(len(call.tensor().shape) - 1) :])
    if list(stated) != kernel[-len(stated) :]:
        raise Refused(f"kernel_shape {list(stated)} differs from its weights' {kernel}")
    w = window(call, (x.shape[1], x.shape[2]), (kernel[0], kernel[1]))
    op = Conv(w.stride, w.dilation, call.integer("group", 1))
    y = call.build.emit(op, padded(call, x, w, 0.0), call.build.weights(weights, (2, 3, 1, 0)))
    result = restored(call, y)
    return _biased(call, result, outputs) if call.has(2) else result


def _filters(call: Call) -> Constantlike:
    """The weights as (O, C / groups, rows, columns)."""
    w, rank = call.constant(1, "weights"), len(call.tensor().shape) + 1
    if len(w.shape) != rank:
        raise Refused(f"its weights have shape {w.shape}; {rank} axes are needed")
    if call.node.domain == DOMAIN_LAST:
        w = w.transpose((0, rank - 1, *range(1, rank - 1)))
    return w if rank == 4 else w.reshape((*w.shape[:2], 1, w.shape[2]))


def _biased(call: Call, y: Stored, outputs: int) -> Stored:
    bias = call.array(2, "bias")
    if bias.shape != (outputs,):
        raise Refused(f"its bias has shape {bias.shape}; ({outputs},) is needed")
    channels = len(y.shape) - 1 if call.node.domain == DOMAIN_LAST else 0
    return with_constant(call.build, Add(), y, along_axis(bias, channels, len(y.shape)))


def max_pool(call: Call) -> Stored:
    call.only_first_output()
    return _pool(call, MaxPool, -np.inf)


def average_pool(call: Call) -> Stored:
    return _pool(call, AveragePool, 0.0)


def _pool(call: Call, kind: Callable[[Pair, Pair, Pair], Op], padding: float) -> Stored:
    if "kernel_shape" not in call.node.attributes:
        raise Refused("attribute 'kernel_shape' is missing")
    x = image(call)
    size = (x.shape[1], x.shape[2])
    w = window(call, size, _pair(call, "kernel_shape", 1))
    if call.integer("ceil_mode", 0) and any(w.left_over(size)):
        raise Refused("ceil_mode=1 with windows that reach over the edge is not supported; pad explicitly")
    if kind is AveragePool and any((*w.before, *w.after)) and not call.integer("count_include_pad", 0):
        raise Refused("padding with count_include_pad=0 divides by a varying count, which is not supported")
    y = call.build.emit(kind(w.kernel, w.stride, w.dilation), padded(call, x, w, padding))
    return restored(call, y)


def global_pool(op: Op) -> Callable[[Call], Stored]:
    """The handler of a pool over all rows and columns."""
    return lambda call: restored(call, call.build.emit(op, image(call).name))


def reduce_mean(call: Call) -> Stored:
    """The mean over rows and columns of an image."""
    x = call.tensor()
    axes = call.array(1, "axes").reshape(-1).tolist() if call.has(1) else call.integers("axes", ())
    found = sorted(call.axis(int(a), len(x.shape) + 1) for a in axes)
    if len(x.shape) != 3 or found != [1, 2]:
        raise Refused("only a mean over rows and columns (axes 2 and 3 of 4) is supported")
    y = restored(call, call.build.emit(GlobalAveragePool(), image(call).name))
    return y if call.integer("keepdims", 1) else squeezed(call, y, [1, 2])


def global_max_pool(call: Call) -> Stored:
    return global_pool(GlobalMaxPool())(call)


def pad(call: Call) -> Stored:
    """Constant padding of rows and columns."""
    if call.text("mode", "constant") != "constant":
        raise Refused(f"mode {call.text('mode', '')!r} is not supported, only 'constant' is")
    x, pads = image(call), _onnx_pads(call)
    rank = len(pads) // 2
    if any(pads[a] or pads[rank + a] for a in range(rank - 2)) or len(call.tensor().shape) != 3 or min(pads) < 0:
        raise Refused(f"it pads by {pads}; only rows and columns of an image can be padded")
    value = call.number("value", 0.0) if call.opset < 11 else call.scalar(2, "value") if call.has(2) else 0.0
    op = Pad((pads[rank - 2], pads[rank - 1]), (pads[-2], pads[-1]), value)
    return restored(call, call.build.emit(op, x.name))


def _onnx_pads(call: Call) -> list[int]:
    """Begins, then ends, of all four axes."""
    if call.has(3):
        raise Refused("its input 3 (axes) is not supported; pad all axes")
    pads = call.array(1, "pads").reshape(-1).tolist() if call.opset >= 11 else list(call.integers("pads", ()))
    if len(pads) != 2 * (len(call.tensor().shape) + 1):
        raise Refused(f"pads {pads} do not fit its input")
    return [int(p) for p in pads]
