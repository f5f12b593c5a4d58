"""Softmax and the choice of the largest elements, along the axis stored last."""

from __future__ import annotations

from dataclasses import replace

from codesign.graph import Op
from codesign.importer.call import Call
from codesign.importer.codes import INDEX
from codesign.importer.quantizers import axis_last
from codesign.importer.shapes import squeezed
from codesign.importer.values import Refused, Stored
from codesign.ops.argmax import ArgMax
from codesign.ops.elementwise import Sub
from codesign.ops.moves import Slice
from codesign.ops.softmax import Hardmax, Softmax
from codesign.ops.top_k import TopIndices, TopValues


def softmax(call: Call) -> Stored:
    return _along_axis(call, Softmax())


def log_softmax(call: Call) -> Stored:
    return _along_axis(call, Softmax(log=True))


def hardmax(call: Call) -> Stored:
    return _along_axis(call, Hardmax())


def _along_axis(call: Call, op: Op) -> Stored:
    """Up to opset 12 over all axes from `axis` on, from 13 over `axis` alone."""
    x = call.tensor()
    axis = call.axis(call.integer("axis", 1 if call.opset < 13 else -1), call.rank(x))
    if call.opset < 13 and any(n != 1 for n in x.shape[axis + 1 :]):
        raise Refused("it spans several axes (as up to opset 12); export it with opset 13 or flatten before")
    return call.build.apply(op, axis_last(call, x, axis))


def arg_max(call: Call) -> Stored:
    return _arg_extreme(call, least=False)


def arg_min(call: Call) -> Stored:
    return _arg_extreme(call, least=True)


def _arg_extreme(call: Call, least: bool) -> Stored:
    x = call.tensor()
    axis = call.axis(call.integer("axis", 0), call.rank(x))
    y = _index(call, x, axis, least, last=bool(call.integer("select_last_index", 0)))
    y = y if call.integer("keepdims", 1) else squeezed(call, y, [axis])
    return replace(y, codes=INDEX)


def _index(call: Call, x: Stored, axis: int, least: bool, last: bool) -> Stored:
    """The index along an axis (of one sample), which stays with length 1; of equals the first or the `last`."""
    x = axis_last(call, x, axis)
    shape = tuple(1 if a == axis else n for a, n in enumerate(x.shape))
    if not last:
        return Stored(call.build.emit(ArgMax(least), x.name), shape, x.order)
    index = call.build.emit(ArgMax(least), _reversed(call, x))
    return Stored(call.build.emit(Sub(), call.build.number(x.shape[axis] - 1), index), shape, x.order)


def _reversed(call: Call, x: Stored) -> str:
    """The last stored axis backwards."""
    sizes = x.stored_shape
    starts, steps = [0] * len(sizes), [1] * len(sizes)
    starts[-1], steps[-1] = sizes[-1] - 1, -1
    return call.build.emit(Slice(tuple(starts), sizes, tuple(steps)), x.name)


def top_k(call: Call) -> tuple[Stored | None, Stored | None]:
    """The k largest (or smallest) elements along an axis, in order, and their indices; what is not read is None."""
    x = call.tensor()
    axis = call.axis(call.integer("axis", -1), call.rank(x))
    k = call.scalar(1, "k") if call.has(1) else call.integer("k")
    if k != int(k) or not 1 <= k <= x.shape[axis]:
        raise Refused(f"k = {k:g} does not fit an axis of {x.shape[axis]} elements")
    x, least = axis_last(call, x, axis), not call.integer("largest", 1)
    shape = tuple(int(k) if a == axis else n for a, n in enumerate(x.shape))
    wanted = [o in call.needed for o in (*call.node.outputs, "")]
    values = call.build.emit(TopValues(int(k), least), x.name) if wanted[0] else ""
    op = ArgMax(least) if k == 1 else TopIndices(int(k), least)
    indices = call.build.emit(op, x.name) if wanted[1] else ""
    return (
        Stored(values, shape, x.order) if values else None,
        Stored(indices, shape, x.order, INDEX) if indices else None,
    )
