"""Padding of any axes, with a constant or with the tensor's own elements."""

from __future__ import annotations

from math import gcd, prod

import numpy as np

from codesign.importer.call import Call
from codesign.importer.pick import sliced, taken
from codesign.importer.spatial import CHANNELS_LAST
from codesign.importer.values import MixesSamples, Refused, Stored
from codesign.ops.layout import Reshape
from codesign.ops.pad import Pad

MODES = ("constant", "edge", "reflect", "wrap")


def pad(call: Call) -> Stored:
    """In the end elements picked again (edge, reflect, wrap) or a constant; negative padding cuts off."""
    x, mode = call.tensor(), call.text("mode", "constant")
    if mode not in MODES:
        raise Refused(f"attribute 'mode' is {mode!r}; supported: {', '.join(MODES)}")
    before, after = _onnx_pads(call)
    x = _cropped(call, x, before, after)
    before, after = ([max(p, 0) for p in side] for side in (before, after))
    if not any((*before, *after)):
        return x
    if mode == "constant":
        value = call.number("value", 0.0) if call.opset < 11 else call.scalar(2, "value") if call.has(2) else 0.0
        return _with_constant(call, x, before, after, value)
    for axis, (n, b, a) in enumerate(zip(x.shape, before, after, strict=True)):
        x = taken(call, x, axis, _places(n, b, a, mode))
    return x


def _places(n: int, before: int, after: int, mode: str) -> tuple[int, ...]:
    """Which of an axis' n elements stand in its padded place."""
    if (mode == "reflect" and max(before, after) >= n) or (mode == "wrap" and max(before, after) > n):
        raise Refused(f"{mode} padding by {max(before, after)} needs more than the {n} elements of its axis")
    return tuple(np.pad(np.arange(n), (before, after), mode=mode).tolist())  # type: ignore[call-overload]


def _cropped(call: Call, x: Stored, before: list[int], after: list[int]) -> Stored:
    """x without what negative padding cuts off."""
    if min(*before, *after, 0) == 0:
        return x
    cut = {a: range(max(-b, 0), n - max(-e, 0)) for a, (n, b, e) in enumerate(zip(x.shape, before, after, strict=True))}
    return sliced(call, x, cut)


def _with_constant(call: Call, x: Stored, before: list[int], after: list[int], value: float) -> Stored:
    """Rows and columns of an image at once, other axes one by one."""
    if call.lead and len(x.shape) == 3:
        x = call.build.arrange(x, CHANNELS_LAST)
    elif any((before[a] or after[a]) and a not in x.order for a in range(len(x.shape))):
        x = call.build.full(x)
    shape = tuple(n + b + a for n, b, a in zip(x.shape, before, after, strict=True))
    name, sizes = x.name, list(x.stored_shape)
    around = [(before[a], after[a]) for a in x.order]
    if len(around) == 3 and around[2] == (0, 0):
        (top, bottom), (left, right), _ = around
        name = call.build.emit(Pad((top, left), (bottom, right), value), name)
        return Stored(name, shape, x.order)
    for axis, (b, a) in enumerate(around):
        if b or a:
            name = _along(call, name, sizes, axis, b, a, value)
            sizes[axis] += b + a
    return Stored(name, shape, x.order)


def _along(call: Call, name: str, sizes: list[int], axis: int, before: int, after: int, value: float) -> str:
    """One axis: an image whose columns are its elements, and whose channels as many as stay together."""
    last = axis == len(sizes) - 1
    together = gcd(sizes[axis], before, after) if last else sizes[-1]
    each = 1 if last else prod(sizes[axis + 1 : -1])
    columns, b, a = ((n * each) // (together if last else 1) for n in (sizes[axis], before, after))
    padded = [n + before + after if k == axis else n for k, n in enumerate(sizes)]
    name = call.build.emit(Reshape((prod(sizes[:axis]), columns, together)), name)
    name = call.build.emit(Pad((0, b), (0, a), value), name)
    return call.build.emit(Reshape(tuple(padded)), name)


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
