"""Softmax and the choice of the largest element, along the axis stored last."""

from __future__ import annotations

from codesign.importer.call import Call
from codesign.importer.quantizers import axis_last
from codesign.importer.shapes import squeezed
from codesign.importer.values import Refused, Stored
from codesign.ops.argmax import ArgMax
from codesign.ops.softmax import Softmax
from codesign.ops.unary import Unary


def softmax(call: Call) -> Stored:
    """Up to opset 12 over all axes from `axis` on, from 13 over `axis` alone."""
    x = call.tensor()
    rank = len(x.shape) + 1
    axis = call.axis(call.integer("axis", 1 if call.opset < 13 else -1), rank)
    if call.opset < 13 and any(n != 1 for n in x.shape[axis + 1 :]):
        raise Refused("it spans several axes (as up to opset 12); export it with opset 13 or flatten before")
    return call.build.apply(Softmax(), axis_last(call, x, axis))


def log_softmax(call: Call) -> Stored:
    return call.build.apply(Unary("log"), softmax(call))


def arg_max(call: Call) -> Stored:
    return _first_largest(call, least=False)


def arg_min(call: Call) -> Stored:
    return _first_largest(call, least=True)


def _first_largest(call: Call, least: bool) -> Stored:
    if call.integer("select_last_index", 0):
        raise Refused("select_last_index=1 is not supported; the first of equal elements is chosen")
    x = call.tensor()
    axis = call.axis(call.integer("axis", 0), len(x.shape) + 1)
    y = _index(call, x, axis, least)
    return y if call.integer("keepdims", 1) else squeezed(call, y, [axis])


def _index(call: Call, x: Stored, axis: int, least: bool) -> Stored:
    """The index along an axis (of one sample), which stays with length 1."""
    x = axis_last(call, x, axis)
    shape = tuple(1 if a == axis else n for a, n in enumerate(x.shape))
    return Stored(call.build.emit(ArgMax(least), x.name), shape, x.order)


def top_k(call: Call) -> tuple[None, Stored]:
    """k = 1: the index of the largest element, the second result; the values must not be read."""
    if call.node.outputs[0] in call.needed:
        raise Refused("its first result (values) is read; only the indices are supported")
    k = call.scalar(1, "k") if call.has(1) else call.integer("k")
    if k != 1:
        raise Refused(f"k = {k:g} is not supported, only 1 is")
    x = call.tensor()
    axis = call.axis(call.integer("axis", -1), len(x.shape) + 1)
    return None, _index(call, x, axis, least=not call.integer("largest", 1))
