"""Pooling, and pixels into channels and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codesign import arithmetic
from codesign.graph import Op
from codesign.importer.call import Call
from codesign.importer.spatial import Pair, Window, image, padded, pair, restored, window
from codesign.importer.values import Refused, Stored
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.elementwise import Mul
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


def depth_to_space(call: Call) -> Stored:
    mode = call.text("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise Refused(f"attribute 'mode' is {mode!r}; DCR and CRD are known")
    op = DepthToSpace(call.integer("blocksize"), columns_first=mode == "CRD")
    return restored(call, call.build.emit(op, image(call).name))


def space_to_depth(call: Call) -> Stored:
    return restored(call, call.build.emit(SpaceToDepth(call.integer("blocksize")), image(call).name))
