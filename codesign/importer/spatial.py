"""Windows and convolution: ONNX's (C, H, W) stored channels last; (C, W) as a single row."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codesign.importer.call import Call
from codesign.importer.elementwise import along_axis, with_constant
from codesign.importer.shapes import squeezed, transposed, unsqueezed
from codesign.importer.values import Constantlike, Refused, Stored
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add
from codesign.ops.pad import Pad

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
    over: Pair = (0, 0)  # beyond the padding, where the last windows of ceil_mode reach

    @property
    def reach(self) -> Pair:
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    def ceiled(self, size: Pair) -> Window:
        """With room for windows that start inside of the image or its front padding, but end outside."""
        over = []
        for n, b, a, r, s in zip(size, self.before, self.after, self.reach, self.stride, strict=True):
            count = -(-(n + b + a - r) // s) + 1
            count -= (count - 1) * s >= n + b
            over.append(max((count - 1) * s + r - (n + b + a), 0))
        return replace(self, over=(over[0], over[1]))


def image(call: Call) -> Stored:
    """Input 0 as (C, H, W), channels last in storage; a one-dimensional (C, W) gets a single row."""
    x = call.tensor()
    if not call.lead:
        if x.shape[:1] != (1,):
            raise Refused(f"its input {x.shape} holds several samples, but another node works along axis 0")
        x = squeezed(call, x, [0])
    if channels_last(call) and x.shape:
        x = transposed(x, (len(x.shape) - 1, *range(len(x.shape) - 1)))
    if len(x.shape) == 2:
        x = unsqueezed(x, [1])
    if len(x.shape) != 3:
        raise Refused(f"its input has {call.rank(call.tensor())} axes; 4 (images) or 3 (sequences) are supported")
    return call.build.arrange(x, CHANNELS_LAST)


def restored(call: Call, name: str) -> Stored:
    """A channels-last result as the node's own axes."""
    rows, columns, channels = call.build.types[name].shape
    y = Stored(name, (channels, rows, columns), CHANNELS_LAST)
    if spatial_axes(call) == 1:
        y = squeezed(call, y, [1])
    if channels_last(call):
        y = transposed(y, (*range(1, len(y.shape)), 0))
    return y if call.lead else unsqueezed(y, [0])


def channels_last(call: Call) -> bool:
    return call.node.domain == DOMAIN_LAST or bool(call.node.attributes.get("channels_last", 0))


def spatial_axes(call: Call) -> int:
    """2 for images, 1 for sequences."""
    return call.rank(call.tensor()) - 2


def pair(call: Call, name: str, default: int) -> Pair:
    """A list attribute with one entry an axis."""
    rank = spatial_axes(call)
    value = call.integers(name, (default,) * rank)
    if len(value) != rank or min(value) < 1:
        raise Refused(f"attribute '{name}' {list(value)} does not fit {rank} axes")
    return (value[0], value[1]) if rank == 2 else (1, value[0])


def window(call: Call, size: Pair, kernel: Pair) -> Window:
    """Strides, dilations and padding of a node whose input has `size`."""
    given = Window(kernel, pair(call, "strides", 1), pair(call, "dilations", 1), (0, 0), (0, 0))
    auto = call.text("auto_pad", "NOTSET")
    if auto == "NOTSET":
        before, after = pads(call)
    elif auto == "VALID":
        before, after = (0, 0), (0, 0)
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        before, after = _same(given, size, upper=auto == "SAME_UPPER")
    else:
        raise Refused(f"auto_pad {auto!r} is unknown")
    return Window(given.kernel, given.stride, given.dilation, before, after)


def pads(call: Call) -> tuple[Pair, Pair]:
    """The padding stated: rows and columns before, and after."""
    rank = spatial_axes(call)
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
    after = (w.after[0] + w.over[0], w.after[1] + w.over[1])
    if not any((*w.before, *after)):
        return x.name
    return call.build.emit(Pad(w.before, after, value), x.name)


def conv(call: Call) -> Stored:
    x, weights = image(call), _filters(call)
    outputs, _, *kernel = weights.shape
    stated = call.integers("kernel_shape", kernel[-spatial_axes(call) :])
    if list(stated) != kernel[-len(stated) :]:
        raise Refused(f"kernel_shape {list(stated)} differs from its weights' {kernel}")
    w = window(call, (x.shape[1], x.shape[2]), (kernel[0], kernel[1]))
    op = Conv(w.stride, w.dilation, call.integer("group", 1))
    y = call.build.emit(op, padded(call, x, w, 0.0), call.build.weights(weights, (2, 3, 1, 0)))
    result = restored(call, y)
    return biased(call, result, outputs) if call.has(2) else result


def _filters(call: Call) -> Constantlike:
    """The weights as (O, C / groups, rows, columns)."""
    w, rank = call.constant(1, "weights"), call.rank(call.tensor())
    if len(w.shape) != rank:
        raise Refused(f"its weights have shape {w.shape}; {rank} axes are needed")
    if channels_last(call):
        w = w.transpose((0, rank - 1, *range(1, rank - 1)))
    return w if rank == 4 else w.reshape((*w.shape[:2], 1, w.shape[2]))


def biased(call: Call, y: Stored, outputs: int) -> Stored:
    bias = call.array(2, "bias")
    if bias.shape != (outputs,):
        raise Refused(f"its bias has shape {bias.shape}; ({outputs},) is needed")
    channels = len(y.shape) - 1 if channels_last(call) else 1 - call.lead
    return with_constant(call.build, Add(), y, along_axis(bias, channels, len(y.shape)))
