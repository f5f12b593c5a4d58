"""Transposed convolution (an image spread by a kernel) as zeros between the pixels and a convolution."""

from __future__ import annotations

import numpy as np

from codesign.importer.call import Call
from codesign.importer.spatial import Pair, Window, biased, image, pads, pair, restored, spatial_axes
from codesign.importer.values import Constantlike, Quantized, Refused, Stored
from codesign.ops.conv import Conv
from codesign.ops.moves import Slice
from codesign.ops.pad import Pad


def conv_transpose(call: Call) -> Stored:
    """Every pixel adds its kernel at `stride` times its place: the mirrored kernel over pixels that far apart."""
    x, w = image(call), _filters(call)
    groups = call.integer("group", 1)
    if groups < 1 or w.shape[0] % groups or w.shape[0] != x.shape[0]:
        raise Refused(f"it spreads {x.shape[0]} channels by weights {w.shape} in {groups} groups")
    given = Window((w.shape[2], w.shape[3]), pair(call, "strides", 1), pair(call, "dilations", 1), (0, 0), (0, 0))
    mirrored = w.each(lambda a: _mirrored(a, groups)) if isinstance(w, Quantized) else _mirrored(w, groups)
    name = call.build.emit(
        Conv((1, 1), given.dilation, groups), _spread(call, x, given), call.build.weights(mirrored, (2, 3, 1, 0))
    )
    y = restored(call, name)
    return biased(call, y, w.shape[1] * groups) if call.has(2) else y


def _filters(call: Call) -> Constantlike:
    """The weights as (C, O / groups, rows, columns)."""
    w, rank = call.constant(1, "weights"), call.rank(call.tensor())
    if len(w.shape) != rank:
        raise Refused(f"its weights have shape {w.shape}; {rank} axes are needed")
    return w if rank == 4 else w.reshape((*w.shape[:2], 1, w.shape[2]))


def _mirrored(w: np.ndarray, groups: int) -> np.ndarray:
    """(C, O / groups, rows, columns) -> (O, C / groups, rows, columns), rows and columns reversed."""
    channels, outputs, *kernel = w.shape
    parts = w.reshape(groups, channels // groups, outputs, *kernel).swapaxes(1, 2)
    return parts.reshape(groups * outputs, channels // groups, *kernel)[..., ::-1, ::-1]


def _spread(call: Call, x: Stored, w: Window) -> str:
    """The image with zeros between its pixels and around it, so that the kernel's every place gives a result."""
    size, extra = (x.shape[1], x.shape[2]), _extra(call)
    before, after = _cut(call, w, size, extra)
    gaps = (w.stride[0] - 1, w.stride[1] - 1)
    around = [
        (r - 1 - b, r - 1 - a + e) for r, b, a, e in zip(w.reach, before, after, extra, strict=True)
    ]  # below 0 where an edge of the image itself is cut off
    left = [s * (n - 1) + 1 + b + a - r + 1 for n, s, r, (b, a) in zip(size, w.stride, w.reach, around, strict=True)]
    if min(left) < 1:
        raise Refused(f"its padding leaves {left[0]} by {left[1]} pixels")
    (top, bottom), (start, end) = ((max(b, 0), max(a, 0)) for b, a in around)
    name, op = x.name, Pad((top, start), (bottom, end), 0.0, gaps)
    if any((*op.before, *op.after, *gaps)):
        name = call.build.emit(op, name)
    if min(*around[0], *around[1]) >= 0:
        return name
    starts = tuple(max(-b, 0) for b, _ in around)
    sizes = tuple(m - s - max(-a, 0) for m, s, (_, a) in zip(op.size(size), starts, around, strict=True))
    return call.build.emit(Slice((*starts, 0), (*sizes, x.shape[0]), (1, 1, 1)), name)


def _extra(call: Call) -> Pair:
    axes = spatial_axes(call)
    extra = call.integers("output_padding", (0,) * axes)
    if len(extra) != axes or min(extra) < 0:
        raise Refused(f"attribute 'output_padding' {list(extra)} does not fit {axes} axes")
    return (extra[0], extra[1]) if axes == 2 else (0, extra[0])


def _cut(call: Call, w: Window, size: Pair, extra: Pair) -> tuple[Pair, Pair]:
    """What is cut off before and after: stated, or what leaves the stated size."""
    auto, axes = call.text("auto_pad", "NOTSET"), spatial_axes(call)
    stated = call.integers("output_shape", ())[-axes:]
    if not stated and auto == "NOTSET":
        return pads(call)
    if not stated and auto == "VALID":
        return (0, 0), (0, 0)
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER") or len(stated) not in (0, axes):
        raise Refused(f"auto_pad {auto!r} with output_shape {list(stated)} is unknown")
    wanted = [1] * (2 - axes) + list(stated) if stated else [n * s for n, s in zip(size, w.stride, strict=True)]
    parts = zip(size, w.stride, w.reach, extra, wanted, strict=True)
    total = [s * (n - 1) + r + e - m for n, s, r, e, m in parts]
    if min(total) < 0:
        raise Refused(f"output_shape {wanted} is larger than what its kernel reaches; use output_padding")
    less, more = (total[0] // 2, total[1] // 2), (total[0] - total[0] // 2, total[1] - total[1] // 2)
    return (less, more) if auto == "SAME_UPPER" else (more, less)
