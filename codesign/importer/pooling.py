"""Pooling and padding, and pixels into channels and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codesign import arithmetic
from codesign.graph import Op
from codesign.importer.call import Call
from codesign.importer.pick import sliced
from codesign.importer.spatial import Pair, Window, image, padded, pair, restored, spatial_axes, window
from codesign.importer.values import MixesSamples, Refused, Stored
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.elementwise import Mul
from codesign.ops.pad import Pad
from codesign.ops.pad_any import MODES, PadAny
from codesign.ops.pool import AveragePool, MaxPool


def max_pool(call: Call) -> Stored:
    call.only_first_output()
    x, w = _window(call)
    return restored(call, call.build.emit(MaxPool(w.kernel, w.stride, w.dilation), padded(call, x, w, -np.inf)))


def average_pool(call: Call) -> Stored:
    """The mean of what a window covers; padding counts where count_include_pad says so."""
    x, w = _window(call)
    y = call.build.emit(AveragePool(w.kernel, w.stride, w.dilation), padded(call, x, w, 0.0))
    factor = int(np.prod(w.kernel)) / _counts(w, (x.shape[1], x.shape[2]), bool(call.integer("count_include_pad", 0)))
    return restored(call, y if (factor == 1).all() else call.build.emit(Mul(), y, call.build.constant(factor)))


def _window(call: Call) -> tuple[Stored, Window]:
    if "kernel_shape" not in call.node.attributes:
        raise Refused("attribute 'kernel_shape' is missing")
    x = image(call)
    size = (x.shape[1], x.shape[2])
    w = window(call, size, pair(call, "kernel_shape", 1))
    if any(p >= r for side in (w.before, w.after) for p, r in zip(side, w.reach, strict=True)):
        raise Refused(f"its padding is as large as its window {w.kernel}")
    return x, w.ceiled(size) if call.integer("ceil_mode", 0) else w


def _counts(w: Window, size: Pair, padding_counts: bool) -> np.ndarray:
    """How many elements each window's mean is over: (rows, columns, 1)."""
    whole = [b + n + a for b, n, a in zip(w.before, size, w.after, strict=True)]
    mask = np.zeros((1, whole[0] + w.over[0], whole[1] + w.over[1], 1))
    if padding_counts:
        mask[:, : whole[0], : whole[1]] = 1
    else:
        mask[:, w.before[0] : w.before[0] + size[0], w.before[1] : w.before[1] + size[1]] = 1
    if min(n - r for n, r in zip(mask.shape[1:3], w.reach, strict=True)) < 0:
        raise Refused(f"its window {w.kernel} is larger than its input {size}")
    counts = arithmetic.windows(mask, w.kernel, w.stride, w.dilation).sum(axis=(3, 4))[0]
    if not counts.all():
        raise Refused("a window covers padding only")
    return counts


def global_pool(op: Op) -> Callable[[Call], Stored]:
    """The handler of a pool over all rows and columns."""
    return lambda call: restored(call, call.build.emit(op, image(call).name))


def pad(call: Call) -> Stored:
    """Rows and columns of an image with a constant, or any axes in any mode; negative padding cuts off."""
    x, mode = call.tensor(), call.text("mode", "constant")
    if mode not in MODES:
        raise Refused(f"attribute 'mode' is {mode!r}; supported: {', '.join(MODES)}")
    before, after = _onnx_pads(call)
    x = _cropped(call, x, before, after)
    before, after = ([max(p, 0) for p in side] for side in (before, after))
    if not any((*before, *after)):
        return x
    value = call.number("value", 0.0) if call.opset < 11 else call.scalar(2, "value") if call.has(2) else 0.0
    is_image = x is call.tensor() and call.lead and spatial_axes(call) in (1, 2)
    if mode == "constant" and is_image and not (before[0] or after[0]):
        rows = (0, 0) if len(before) == 2 else (before[1], after[1])
        columns = (before[-1], after[-1])
        op = Pad((rows[0], columns[0]), (rows[1], columns[1]), value)
        return restored(call, call.build.emit(op, image(call).name))
    return _padded_anywhere(call, x, before, after, mode, value)


def _cropped(call: Call, x: Stored, before: list[int], after: list[int]) -> Stored:
    """x without what negative padding cuts off."""
    if min(*before, *after, 0) == 0:
        return x
    cut = {a: range(max(-b, 0), n - max(-e, 0)) for a, (n, b, e) in enumerate(zip(x.shape, before, after, strict=True))}
    return sliced(call, x, cut)


def _padded_anywhere(call: Call, x: Stored, before: list[int], after: list[int], mode: str, value: float) -> Stored:
    if any((before[a] or after[a]) and a not in x.order for a in range(len(x.shape))):
        x = call.build.full(x)
    op = PadAny(tuple(before[a] for a in x.order), tuple(after[a] for a in x.order), mode, value)
    shape = tuple(n + b + a for n, b, a in zip(x.shape, before, after, strict=True))
    return Stored(call.build.emit(op, x.name), shape, x.order)


def _onnx_pads(call: Call) -> tuple[list[int], list[int]]:
    """Begins and ends of a sample's axes."""
    x = call.tensor()
    rank = call.rank(x)
    pads = call.array(1, "pads").reshape(-1).tolist() if call.opset >= 11 else list(call.integers("pads", ()))
    axes = call.array(3, "axes").reshape(-1).tolist() if call.has(3) else list(range(rank))
    if len(pads) != 2 * len(axes) or any(not -rank <= a < rank for a in axes):
        raise Refused(f"pads {pads} do not fit its input {call.shape(x)}")
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(axes):
        before[int(axis)], after[int(axis)] = int(pads[k]), int(pads[len(axes) + k])
    if call.lead and (before[0] or after[0]):
        raise MixesSamples(f"pads {pads} add samples (axis 0)")
    return before[call.lead :], after[call.lead :]


def depth_to_space(call: Call) -> Stored:
    mode = call.text("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise Refused(f"attribute 'mode' is {mode!r}; DCR and CRD are known")
    op = DepthToSpace(call.integer("blocksize"), columns_first=mode == "CRD")
    return restored(call, call.build.emit(op, image(call).name))


def space_to_depth(call: Call) -> Stored:
    return restored(call, call.build.emit(SpaceToDepth(call.integer("blocksize")), image(call).name))
