"""Operators that pick or repeat elements: Slice, Split, Expand, Tile."""

from __future__ import annotations

from math import prod

import numpy as np

from codesign.graph import Op
from codesign.importer.call import Call
from codesign.importer.elementwise import of_rank
from codesign.importer.values import MOST_ELEMENTS, MixesSamples, Refused, Stored
from codesign.ops.moves import Expand, Slice
from codesign.ops.take import Take


def slices(call: Call) -> Stored:
    """Starts, ends, axes and steps are inputs from opset 10 on, attributes before."""
    x = call.tensor()
    starts, ends, axes, steps = _bounds(call)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise Refused("its starts, ends, axes and steps differ in length")
    found = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step == 0:
            raise Refused("a step is 0")
        if call.lead and axis % call.rank(x) == 0 and range(call.batch)[start:end:step] == range(call.batch):
            continue  # all samples
        k = call.axis(axis, call.rank(x))
        found[k] = range(*slice(start, end, step).indices(x.shape[k]))
    return sliced(call, x, found)


def _bounds(call: Call) -> tuple[list[int], list[int], list[int], list[int]]:
    if call.opset < 10:
        starts, ends = list(call.integers("starts", ())), list(call.integers("ends", ()))
        return starts, ends, list(call.integers("axes", range(len(starts)))), [1] * len(starts)
    starts, ends = (_whole(call, i, what) for i, what in ((1, "starts"), (2, "ends")))
    axes = _whole(call, 3, "axes") if call.has(3) else list(range(len(starts)))
    return starts, ends, axes, _whole(call, 4, "steps") if call.has(4) else [1] * len(starts)


def _whole(call: Call, index: int, what: str) -> list[int]:
    value = call.array(index, what)
    if value.ndim != 1:
        raise Refused(f"its {what} have shape {value.shape}; a vector is needed")
    return value.astype(np.int64).tolist()


def sliced(call: Call, x: Stored, ranges: dict[int, range]) -> Stored:
    """The elements of a few axes (of one sample) at these places."""
    if any(len(r) == 0 for r in ranges.values()):
        raise Refused("it leaves no element, and empty tensors are not supported")
    kept = [ranges.get(a, range(n)) for a, n in enumerate(x.shape)]
    shape = tuple(len(r) for r in kept)
    stored = [kept[a] for a in x.order]
    if all(r == range(n) for r, n in zip(stored, x.stored_shape, strict=True)):
        return x
    op = Slice(tuple(r.start for r in stored), tuple(map(len, stored)), tuple(r.step for r in stored))
    return Stored(call.build.emit(op, x.name), shape, x.order)


def split(call: Call) -> tuple[Stored | None, ...]:
    """Parts along an axis, one for each output that is read."""
    x = call.tensor()
    axis = call.axis(call.integer("axis", 0), call.rank(x))
    sizes, parts, start = _sizes(call, x.shape[axis]), [], 0
    for name, size in zip(call.node.outputs, sizes, strict=True):
        wanted = name in call.needed
        parts.append(sliced(call, x, {axis: range(start, start + size)}) if wanted else None)
        start += size
    return tuple(parts)


def _sizes(call: Call, length: int) -> list[int]:
    """The parts' lengths: stated, or equal but for a shorter last one."""
    count = len(call.node.outputs)
    stated = _whole(call, 1, "split") if call.has(1) else list(call.integers("split", ()))
    if not stated:
        each = -(-length // count)
        stated = [each] * (count - 1) + [length - each * (count - 1)]
    if len(stated) != count or sum(stated) != length or min(stated) < 0:
        raise Refused(f"it splits {length} elements into {stated}")
    return stated


def expand(call: Call) -> Stored:
    x, target = call.tensor(), _whole(call, 1, "shape")
    if call.lead and (len(target) > call.rank(x) or (len(target) == call.rank(x) and target[0] not in (1, call.batch))):
        raise MixesSamples(f"it expands {call.shape(x)} to {target}, which repeats samples (axis 0)")
    wanted = target[1:] if call.lead and len(target) == call.rank(x) else target
    try:
        shape = tuple(map(int, np.broadcast_shapes(x.shape, tuple(wanted))))
    except ValueError:
        raise Refused(f"it expands {call.shape(x)} to {target}") from None
    x = of_rank(x, len(shape))
    if shape == x.shape:
        return x
    x = call.build.full(x)
    return Stored.plain(call.build.emit(Expand(shape), x.name), shape)


def tile(call: Call) -> Stored:
    x, repeats = call.tensor(), _whole(call, 1, "repeats")
    if len(repeats) != call.rank(x) or min(repeats) < 1:
        raise Refused(f"repeats {repeats} do not fit {call.rank(x)} axes")
    if call.lead and repeats[0] != 1:
        raise MixesSamples(f"repeats {repeats} repeat samples (axis 0)")
    if prod(x.shape) * prod(repeats) > MOST_ELEMENTS:
        raise Refused(f"repeats {repeats} make more than {MOST_ELEMENTS} elements")
    for axis, times in enumerate(repeats[call.lead :]):
        x = taken(call, x, axis, tuple(range(x.shape[axis])) * times)
    return x


def taken(call: Call, x: Stored, axis: int, indices: tuple[int, ...]) -> Stored:
    """The elements of one axis (of one sample) at these places."""
    if indices == tuple(range(x.shape[axis])):
        return x
    x = x if axis in x.order else call.build.full(x)
    op: Op = Take(x.order.index(axis), indices)
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    return Stored(call.build.emit(op, x.name), shape, x.order)
