"""QONNX's FloatQuant: rounding to small floating-point numbers, as the qonnx package executes it."""

from __future__ import annotations

import numpy as np

from codesign.formats import Int, MiniFloat
from codesign.graph import TensorType
from codesign.importer.call import Call
from codesign.importer.quantizers import axis_last
from codesign.importer.values import Quantized, Refused, Stored
from codesign.ops.round_to_float import RoundToFloat

MODES = ("ROUND", "CEIL", "FLOOR")


def float_quant(call: Call) -> Stored | Quantized:
    """Inputs: x, scale, exponent bits, mantissa bits, exponent bias, largest value."""
    fmt = _format(call)
    rounding = call.text("rounding_mode", "ROUND").upper()
    if rounding not in MODES:
        raise Refused(f"rounding_mode {rounding!r} is unknown; known are {', '.join(MODES)}")
    if not call.integer("saturation", 1):
        raise Refused("saturation=0 makes infinite values or NaN, which integers do not have")
    scale = call.array(1, "scale")
    if not (scale > 0).all():
        raise Refused("its scale is not positive")
    if isinstance(call.inputs[0], Stored):
        return _activation(call, fmt, scale, rounding)
    x = call.array(0, "tensor")
    try:
        scale = np.broadcast_to(scale, x.shape)
    except ValueError:
        raise Refused(f"scales of shape {scale.shape} do not fit its input {x.shape}") from None
    integers = RoundToFloat(fmt, (1.0,), rounding).run(TensorType(x.shape), x / scale).astype(np.int64)
    return Quantized(integers, Int(fmt.lo, fmt.hi), scale * 2.0**-fmt.frac, np.zeros(x.shape, dtype=np.int64))


def _format(call: Call) -> MiniFloat:
    exponent, mantissa, bias = (_whole(call, i, what) for i, what in ((2, "exponent"), (3, "mantissa"), (4, "bias")))
    if not (1 <= exponent <= 8 and 0 <= mantissa <= 23):
        raise Refused(f"{exponent} exponent and {mantissa} mantissa bits are not those of a small float")
    fmt = MiniFloat(exponent, mantissa, bias, call.scalar(5, "largest value"))
    if not 0 < fmt.largest < np.inf:
        raise Refused(f"its largest value {fmt.largest:g} is not positive and finite")
    if fmt.hi >= 1 << 53:
        raise Refused(f"its values span {fmt.hi.bit_length()} bits as integers; at most 53 are supported")
    if np.ldexp(fmt.largest, fmt.frac) != fmt.hi or not fmt.contains(np.array([fmt.hi])):
        raise Refused(f"its largest value {fmt.largest:g} is none of its values")
    return fmt


def _whole(call: Call, index: int, what: str) -> int:
    value = call.scalar(index, what)
    if value != int(value):
        raise Refused(f"its {what} {value:g} is not a whole number")
    return int(value)


def _activation(call: Call, fmt: MiniFloat, scale: np.ndarray, rounding: str) -> Stored:
    x = call.tensor()
    laid = call.aligned(scale, x)
    axes = [a for a, n in enumerate(laid.shape) if n != 1]
    if len(laid.shape) != len(x.shape) or len(axes) > 1 or any(laid.shape[a] != x.shape[a] for a in axes):
        raise Refused(f"its scales do not fit one axis of its input {call.shape(x)}")
    x = axis_last(call, x, axes[0]) if axes else x
    return call.build.apply(RoundToFloat(fmt, tuple(map(float, laid.reshape(-1))), rounding), x)
