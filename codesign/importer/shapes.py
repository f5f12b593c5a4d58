"""Operators that change a tensor's axes; axis 0 is the sample axis and must stay where it is."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from codesign.importer.call import Call
from codesign.importer.values import MixesSamples, Refused, Stored
from codesign.ops.layout import Concat


def reshape(call: Call) -> Stored:
    x = call.tensor()
    wanted = call.array(1, "shape")
    if wanted.ndim != 1:
        raise Refused(f"its target has {wanted.ndim} axes; a vector is needed")
    target = wanted.astype(np.int64).tolist()
    if not call.integer("allowzero", 0):
        if any(n == 0 and i >= call.rank(x) for i, n in enumerate(target)):
            raise Refused(f"its target {target} copies an axis that the input lacks")
        target = [call.shape(x)[i] if n == 0 else n for i, n in enumerate(target)]
    return _reshaped(call, x, target)


def flatten(call: Call) -> Stored:
    x = call.tensor()
    axis, shape = call.integer("axis", 1), call.shape(x)
    if not -len(shape) <= axis <= len(shape):
        raise Refused(f"axis {axis} does not exist in a tensor of {len(shape)} axes")
    axis += len(shape) if axis < 0 else 0
    return _reshaped(call, x, [prod(shape[:axis]), prod(shape[axis:])])


def _reshaped(call: Call, x: Stored, target: list[int]) -> Stored:
    """Reshape to a target with at most one -1; samples must stay apart."""
    shape, size = call.shape(x), prod(call.shape(x))
    known = prod(n for n in target if n != -1)
    if target.count(-1) == 1 and known > 0:
        target = [size // known if n == -1 else n for n in target]
    if min(target, default=1) < 1 or prod(target) != size:
        raise Refused(f"it reshapes {shape} to {target}")
    if call.lead and target[:1] != [call.batch]:
        raise MixesSamples(
            f"it reshapes {shape} to {target}, which mixes the sample axis (axis 0) "
            f"with others; keep it as the first axis"
        )
    return call.build.reshape(x, tuple(target[call.lead :]))


def transpose(call: Call) -> Stored:
    """Only the order changes: what is stored stays."""
    x = call.tensor()
    rank = call.rank(x)
    perm = call.integers("perm", range(rank - 1, -1, -1))
    if sorted(perm) != list(range(rank)):
        raise Refused(f"perm {list(perm)} does not fit a tensor of {rank} axes")
    if call.lead and perm[0] != 0:
        raise MixesSamples(f"perm {list(perm)} moves the sample axis (axis 0), which must stay first")
    return transposed(x, tuple(p - call.lead for p in perm[call.lead :]))


def transposed(x: Stored, perm: tuple[int, ...]) -> Stored:
    """ONNX's view with axis k taken from axis perm[k] of one sample."""
    return Stored(x.name, tuple(x.shape[p] for p in perm), tuple(perm.index(a) for a in x.order))


def squeeze(call: Call) -> Stored:
    x = call.tensor()
    rank = call.rank(x)
    axes = _axes(call)
    if axes is None and call.lead and call.batch == 1:
        raise MixesSamples("without axes it would drop the sample axis; name the axes to drop")
    if axes is None:
        return squeezed(call, x, [a for a, n in enumerate(x.shape) if n == 1])
    return squeezed(call, x, [call.axis(a, rank) for a in axes])


def squeezed(call: Call, x: Stored, axes: Sequence[int]) -> Stored:
    """Drop axes of length 1 (of one sample) from ONNX's view, and from storage where they are there."""
    if any(x.shape[a] != 1 for a in axes):
        raise Refused(f"it drops axes {sorted(a + 1 for a in axes)} of {call.shape(x)}; not all have length 1")
    x = call.build.arrange(x, tuple(a for a in x.order if a not in axes))
    left = [a for a in range(len(x.shape)) if a not in axes]
    return Stored(x.name, tuple(x.shape[a] for a in left), tuple(left.index(a) for a in x.order))


def unsqueeze(call: Call) -> Stored:
    axes = _axes(call)
    if axes is None:
        raise Refused("its axes are missing")
    x = call.tensor()
    return unsqueezed(x, [call.axis(a, call.rank(x) + len(axes)) for a in axes])


def unsqueezed(x: Stored, axes: Sequence[int]) -> Stored:
    """New axes of length 1 at these places (of one sample) in ONNX's view; storage stays."""
    rank = len(x.shape) + len(axes)
    if len(set(axes)) != len(axes):
        raise Refused("it names an axis twice")
    old = [a for a in range(rank) if a not in axes]
    lengths = iter(x.shape)
    shape = tuple(1 if a in axes else next(lengths) for a in range(rank))
    return Stored(x.name, shape, tuple(old[a] for a in x.order))


def _axes(call: Call) -> list[int] | None:
    """The axes, an attribute up to opset 12, an input from 13."""
    if call.has(1):
        axes = call.array(1, "axes")
        if axes.ndim > 1:
            raise Refused(f"its axes have shape {axes.shape}; a vector is needed")
        return axes.astype(np.int64).reshape(-1).tolist()
    return list(call.integers("axes", ())) or None


def concat(call: Call) -> Stored:
    """All parts in the order of the first computed one; constants are the same for every sample."""
    first = next(v for v in call.inputs if isinstance(v, Stored))
    axis = call.axis(call.integer("axis"), call.rank(first))
    parts = [v if isinstance(v, Stored) else _constant_part(call, i, first) for i, v in enumerate(call.inputs)]
    for p in parts:
        if len(p.shape) != len(first.shape) or _without(p.shape, axis) != _without(first.shape, axis):
            raise Refused(f"it joins shapes {[p.shape for p in parts]} (of one sample) along axis {axis}")
    order = first.order if len(first.order) == len(first.shape) else tuple(range(len(first.shape)))
    names = [
        call.build.arrange(p, order).name if isinstance(p, Stored) else call.build.constant(p.transpose(order))
        for p in parts
    ]
    if len(names) == 1:
        return Stored(names[0], first.shape, order)
    shape = list(first.shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    return Stored(call.build.emit(Concat(order.index(axis)), *names), tuple(shape), order)


def _constant_part(call: Call, index: int, first: Stored) -> np.ndarray:
    """A constant operand of Concat, the same for every sample."""
    value = call.array(index, "operand")
    if value.ndim != call.rank(first):
        raise Refused(f"its constant of {value.ndim} axes does not fit {call.rank(first)} axes")
    if not call.lead:
        return value
    if len(value) != call.batch or (value != value[:1]).any():
        raise MixesSamples(f"its constant of shape {value.shape} differs between samples (axis 0)")
    return value[0]


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
