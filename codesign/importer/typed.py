"""Operators that treat integers in another way than floats: Cast, Clip, Pow."""

from __future__ import annotations

import numpy as np

from codesign.importer.call import Call
from codesign.importer.codes import plain
from codesign.importer.elementwise import combined
from codesign.importer.qdq import clipped_codes
from codesign.importer.values import INTEGERS, Codes, Refused, Stored
from codesign.ops.elementwise import Power
from codesign.ops.unary import Unary

FLOAT_TYPES = (1, 11)  # TensorProto.FLOAT, DOUBLE: the graph's reals hold both
WIDE = {6: "int32", 7: "int64"}  # TensorProto's types into which narrower integers fit
LARGEST = float(np.finfo(np.float32).max)  # default of Clip's attributes, up to opset 10

INFINITY = float("inf")


def cast(call: Call) -> Stored:
    """Integers to floats, or to wider integers."""
    x, to = call.tensor(), call.integer("to")
    if to in FLOAT_TYPES:
        x = plain(call.build, x)
        return Stored(x.name, x.shape, x.order)
    wider = INTEGERS.get(WIDE.get(to, ""))
    if x.codes is None or wider is None or x.codes.format.lo < wider.lo or x.codes.format.hi > wider.hi:
        raise Refused("only casts to float or double are supported; leave integer conversion to a Quant node")
    return Stored(x.name, x.shape, x.order, Codes(wider, x.codes.scale, x.codes.zero_point, x.codes.axis))


def clip(call: Call) -> Stored:
    """The bounds are attributes up to opset 10, inputs from 11."""
    if call.opset < 11:
        low, high = call.number("min", -LARGEST), call.number("max", LARGEST)
    else:
        low = call.scalar(1, "min") if call.has(1) else -INFINITY
        high = call.scalar(2, "max") if call.has(2) else INFINITY
    x = call.tensor()
    if x.codes is not None:
        return clipped_codes(call, x, low, high)
    return call.build.apply(Unary("clip", (min(low, high), high)), x)


def power(call: Call) -> Stored:
    base, exponent = call.inputs
    if isinstance(base, Stored) and base.codes is not None:
        raise Refused(f"its base is of type {base.codes}; only powers of floats are supported")
    if isinstance(exponent, Stored) and exponent.codes is not None:
        exponent = plain(call.build, exponent)
    if isinstance(exponent, np.ndarray) and exponent.size == 1 and exponent.ndim <= 1:
        return call.build.apply(Unary("pow", (call.scalar(1, "exponent"),)), call.tensor())
    return combined(call, Power(), base, exponent)
