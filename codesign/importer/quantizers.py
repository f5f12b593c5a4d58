"""QONNX's quantizers: Quant, BipolarQuant, Trunc and MultiThreshold, as the qonnx package executes them."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np

from codesign.formats import Binary, Format, Int
from codesign.graph import TensorType
from codesign.importer.call import Call
from codesign.importer.elementwise import with_constant
from codesign.importer.values import Quantized, Refused, Stored
from codesign.ops.elementwise import Add, Div, Mul
from codesign.ops.quantize import ROUNDINGS, Quantize
from codesign.ops.threshold import Threshold

MOST_BITS = 32
LARGEST = 1 << MOST_BITS


def quant(call: Call) -> Stored | Quantized:
    """Inputs: x, scale, zero point, bit width."""
    scale, zero_point = _scale(call, 1), _zero_point(call, 2)
    fmt = _format(_bits(call, 3), call.integer("signed"), call.integer("narrow"))
    if isinstance(fmt, Binary) and zero_point.any():
        raise Refused("its zero point is not 0, which one signed bit cannot have")
    return _quantized(call, fmt, scale, zero_point, _rounding(call, "ROUND"))


def bipolar_quant(call: Call) -> Stored | Quantized:
    """Inputs: x, scale."""
    return _quantized(call, Binary(), _scale(call, 1), np.zeros(()), "ROUND")


def _format(bits: int, signed: int, narrow: int) -> Format:
    """One signed bit is the sign, as in qonnx."""
    if bits == 1 and signed:
        return Binary()
    return Int.of(bits, bool(signed), bool(narrow))


def _scale(call: Call, index: int) -> np.ndarray:
    scale = call.array(index, "scale")
    if scale.dtype == np.bool_:
        raise Refused("its scale is of type bool; a number is needed")
    scale = scale.astype(np.float64)
    if not (scale > 0).all():
        raise Refused("its scale is not positive")
    return scale


def _zero_point(call: Call, index: int) -> np.ndarray:
    zero_point = call.array(index, "zero point").astype(np.float64)
    if (zero_point != np.rint(zero_point)).any():
        raise Refused(f"its zero point {zero_point.flat[0]:g} is not a whole number")
    if (np.abs(zero_point) > LARGEST).any():
        raise Refused(f"its zero point {zero_point.flat[0]:g} is beyond {MOST_BITS} bits")
    return zero_point


def _bits(call: Call, index: int) -> int:
    bits = call.scalar(index, "bit width")
    if bits != int(bits) or not 1 <= bits <= MOST_BITS:
        raise Refused(f"its bit width {bits:g} is not a whole number from 1 to {MOST_BITS}")
    return int(bits)


def _rounding(call: Call, default: str) -> str:
    rounding = call.text("rounding_mode", default).upper()
    if rounding not in ROUNDINGS:
        raise Refused(f"rounding_mode {rounding!r} is unknown; known are {', '.join(ROUNDINGS)}")
    return rounding


def _quantized(call: Call, fmt: Format, scale: np.ndarray, zero_point: np.ndarray, rounding: str) -> Stored | Quantized:
    if isinstance(call.inputs[0], Stored):
        return _activation(call, fmt, scale, zero_point, rounding)
    return quantize_constant(call.array(0, "tensor"), fmt, scale, zero_point, rounding)


def quantize_constant(
    x: np.ndarray, fmt: Format, scale: np.ndarray, zero_point: np.ndarray, rounding: str
) -> Quantized:
    """A quantizer applied to a constant; scale and zero point broadcast to its shape."""
    try:
        scale, zero_point = (np.broadcast_to(a, x.shape) for a in (scale, zero_point))
    except ValueError:
        raise Refused(f"scales of shape {scale.shape} do not fit its input {x.shape}") from None
    if not np.isfinite(x).all():
        raise Refused("a constant that it quantizes is NaN or infinite")
    levels = x / scale + zero_point
    integers = Quantize(fmt, rounding=rounding).run(TensorType(x.shape, fmt), levels)
    return Quantized(integers.astype(np.int64), fmt, scale, zero_point)


def _activation(call: Call, fmt: Format, scale: np.ndarray, zero_point: np.ndarray, rounding: str) -> Stored:
    """Quantize and Dequantize, the axis along which scales vary stored last."""
    x = call.tensor()
    scales, zeros = (call.aligned(a, x) for a in (scale, zero_point))
    if max(scales.ndim, zeros.ndim) > len(x.shape):
        raise Refused(f"its scales have more axes than its input {call.shape(x)}")
    x = _varying_last(call, x, [scales, zeros])
    scale_vector, zero_vector = (a.reshape(-1) for a in (scales, zeros))
    op = Quantize(fmt, tuple(map(float, scale_vector)), tuple(map(int, zero_vector)), rounding)
    return call.build.apply(op, x)


def _varying_last(call: Call, x: Stored, parameters: list[np.ndarray]) -> Stored:
    """x, stored with the one axis last along which the parameters (of its rank) vary."""
    axes = {a for p in parameters for a, n in enumerate(p.shape) if n != 1}
    if not axes:
        return x
    if len(axes) > 1 or any(p.size != 1 and p.size != x.shape[a] for p in parameters for a in axes):
        raise Refused(f"its scales do not fit one axis of its input {x.shape} (of one sample)")
    return axis_last(call, x, axes.pop())


def axis_last(call: Call, x: Stored, axis: int) -> Stored:
    """x, stored with one of its axes (of one sample) last."""
    others = tuple(a for a in x.order if a != axis)
    return call.build.arrange(x, (*others, axis))


def trunc(call: Call) -> Stored:
    """Inputs: x, scale, zero point, input bits, output bits; version 2 has an output scale before the last.

    The integers behind x are divided by a power of two and rounded; all steps in units of one, hence exact.
    """
    last = len(call.inputs) - 1
    scale, bits = float(_scale(call, 1).reshape(-1)[0]), _bits(call, 3)
    if call.array(1, "scale").size != 1:
        raise Refused("a scale for each channel is not supported")
    if call.scalar(2, "zero point"):
        raise Refused("its zero point is not 0, which is not supported")
    out_bits = _bits(call, last)
    given = Int(-(1 << bits), (1 << bits) - 1)  # signed or not is not said: room for both
    if last == 4:
        shift, out_scale = bits - out_bits, scale
        kept = Int(floor(given.lo / 2.0**shift), ceil(given.hi / 2.0**shift))
    else:
        out_scale = call.scalar(4, "output scale")
        if not out_scale > 0:
            raise Refused("its output scale is not positive")
        shift = round(np.log2(out_scale / scale))
        kept = Int.of(out_bits, bool(call.integer("signed", 1)), bool(call.integer("narrow", 0)))
    return _truncated(call, given, kept, scale, out_scale, shift)


def _truncated(call: Call, given: Int, kept: Int, scale: float, out_scale: float, shift: int) -> Stored:
    """Two quantizers in units of one, between a division and a product."""
    step = 2.0**shift
    x = call.tensor()
    x = with_constant(call.build, Div(), x, np.asarray(scale))
    x = call.build.apply(Quantize(given), x)
    x = call.build.apply(Quantize(kept, (step,), (0,), _rounding(call, "FLOOR")), x)
    return with_constant(call.build, Mul(), x, np.asarray(out_scale / step))


def multi_threshold(call: Call) -> Stored:
    """out_scale * (number of thresholds reached) + out_bias."""
    x = call.tensor()
    x = axis_last(call, x, _channel_axis(call, call.rank(x)))
    thresholds = call.array(1, "thresholds")
    if thresholds.ndim != 2 or not thresholds.size:
        raise Refused(f"its thresholds have shape {thresholds.shape}; (channels or 1, steps) is needed")
    scale, bias = call.number("out_scale", 1.0), call.number("out_bias", 0.0)
    if scale == 0:
        raise Refused("its out_scale is 0")
    op, left = _staircase(np.sort(thresholds.astype(np.float64), axis=-1), scale, bias)
    y = call.build.apply(op, x)
    return with_constant(call.build, Add(), y, np.asarray(left)) if left else y


def _staircase(thresholds: np.ndarray, scale: float, bias: float) -> tuple[Threshold, float]:
    """The operator, and what it leaves to be added: a bias that is no multiple of the scale."""
    steps, step, unit = thresholds.shape[1], 1 if scale > 0 else -1, abs(scale)
    base = Fraction(bias) / Fraction(unit)
    if abs(base) > LARGEST:
        raise Refused(f"its out_bias {bias:g} is too large for its out_scale {scale:g}")
    if steps == 1 and base == Fraction(-step, 2):
        return Threshold(thresholds, Binary(), np.array([-step]), np.array([2 * step]), (unit / 2,)), 0.0
    left = 0.0 if base.denominator == 1 else bias
    first = 0 if left else int(base)
    fmt = Int(*sorted((first, first + step * steps)))
    return Threshold(thresholds, fmt, np.array([first]), np.array([step]), (unit,)), left


def _channel_axis(call: Call, rank: int) -> int:
    """The channels' axis in one sample, by qonnx's rules for layouts that are not stated."""
    layout = call.text("data_layout", "") or {2: "NC", 3: "NWC", 4: "NCHW"}.get(rank, "")
    if layout and len(layout) != rank:
        raise Refused(f"data_layout {layout!r} does not fit a tensor of {rank} axes")
    return call.axis(layout.index("C") if "C" in layout else 1, rank)
