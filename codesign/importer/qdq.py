"""ONNX's own quantizers: QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import numpy as np
import onnx

from codesign.formats import Int
from codesign.importer import codes
from codesign.importer.call import Call
from codesign.importer.codes import format_of
from codesign.importer.quantizers import axis_last
from codesign.importer.values import INTEGERS, Codes, Quantized, Refused, Stored, Value
from codesign.ops.quantize import Quantize
from codesign.ops.unary import Unary

DEFAULT = np.zeros((), dtype=np.uint8)  # the zero point where none is given


def quantize_linear(call: Call) -> Stored | np.ndarray:
    """Inputs: x, scale, zero point (whose type is the result's)."""
    scale = codes.positive(call.array(1, "scale"))
    zero_point = call.array(2, "zero point") if call.has(2) else _stated_type(call)
    return quantized(call, call.inputs[0], scale, zero_point, call.integer("axis", 1), call.integer("block_size", 0))


def _stated_type(call: Call) -> np.ndarray:
    """A zero of the type that attribute output_dtype names."""
    number = call.integer("output_dtype", 0)
    if not number:
        return DEFAULT
    try:
        return np.zeros((), dtype=onnx.helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, ValueError):
        raise Refused(f"output_dtype {number} is unknown") from None


def quantized(
    call: Call, x: Value | None, scale: np.ndarray, zero_point: np.ndarray, axis: int = 1, block: int = 0
) -> Stored | np.ndarray:
    """round(x / scale) + zero_point, saturating: codes of a computed tensor, or a constant's integers."""
    fmt = format_of(zero_point, "zero point")
    if isinstance(x, Stored):
        return _quantized_activation(call, x, fmt, scale, zero_point, axis, block)
    if x is None:
        raise Refused("its input 0 is missing")
    value = x.real() if isinstance(x, Quantized) else x
    laid_scale, laid_zero = _laid(scale, zero_point, axis, block, value.shape)
    levels = np.rint(value / laid_scale) + laid_zero.astype(np.float64)
    return np.clip(levels, fmt.lo, fmt.hi).astype(np.int64).astype(zero_point.dtype)


def _quantized_activation(
    call: Call, x: Stored, fmt: Int, scale: np.ndarray, zero_point: np.ndarray, axis: int, block: int
) -> Stored:
    if x.codes is not None:
        raise Refused(f"its input is of type {x.codes}; it takes floats")
    if fmt.bits > 16:
        raise Refused(f"its zero point is of type {zero_point.dtype.name}; 16 bits or fewer are supported")
    meaning = _meaning(call, x, fmt, scale, zero_point, axis, block)
    if meaning.axis is not None:
        x = axis_last(call, x, meaning.axis)
    op = Quantize(fmt, meaning.scale, meaning.zero_point, offset_last=any(z % 2 for z in meaning.zero_point))
    y = call.build.apply(op, x)
    return Stored(y.name, y.shape, y.order, meaning)


def _meaning(
    call: Call, x: Stored, fmt: Int, scale: np.ndarray, zero_point: np.ndarray, axis: int, block: int
) -> Codes:
    """What codes of a computed tensor mean."""
    if block:
        raise Refused("attribute 'block_size' is supported for constants only")
    vectors = [v.reshape(-1) for v in codes.along(scale, zero_point, axis, call.shape(x))]
    per_axis = max(v.size for v in vectors) > 1
    scales, zeros = tuple(map(float, vectors[0])), tuple(map(int, vectors[1]))
    return Codes(fmt, scales, zeros, call.axis(axis, call.rank(x)) if per_axis else None)


def dequantize_linear(call: Call) -> Stored | Quantized:
    """Inputs: x, scale, zero point."""
    scale = codes.positive(call.array(1, "scale"))
    zero_point = call.array(2, "zero point") if call.has(2) else np.zeros((), dtype=np.int64)
    if zero_point.dtype.kind == "f" or zero_point.dtype.name not in INTEGERS:
        raise Refused(f"its zero point is of type {zero_point.dtype.name}; integers of 4 to 32 bits are supported")
    return dequantized(call, call.inputs[0], scale, zero_point, call.integer("axis", 1), call.integer("block_size", 0))


def dequantized(
    call: Call, x: Value | None, scale: np.ndarray, zero_point: np.ndarray, axis: int = 1, block: int = 0
) -> Stored | Quantized:
    """scale * (x - zero_point): the real tensor behind codes, or a quantized constant."""
    if isinstance(x, Stored):
        if x.codes is None:
            raise Refused("its input is a float tensor; it takes integers")
        meaning = _meaning(call, x, x.codes.format, scale, zero_point, axis, block)
        y = codes.recoded(call.build, x, meaning)
        return Stored(y.name, y.shape, y.order)
    if x is None or isinstance(x, Quantized):
        raise Refused("its input 0 is missing or no tensor of integers")
    return codes.constant(x, format_of(x, "input"), *_laid(scale, zero_point, axis, block, x.shape))


def _laid(
    scale: np.ndarray, zero_point: np.ndarray, axis: int, block: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point as they broadcast to a constant of `shape`."""
    if not block:
        return codes.along(scale, zero_point, axis, shape)
    if block < 1 or not -len(shape) <= axis < len(shape):
        raise Refused(f"blocks of {block} along axis {axis} do not fit its input {shape}")
    return _spread(scale, axis % len(shape), block, shape), _spread(zero_point, axis % len(shape), block, shape)


def _spread(values: np.ndarray, axis: int, block: int, shape: tuple[int, ...]) -> np.ndarray:
    """One value a block -> one an element."""
    if values.ndim == 0:
        return values
    if values.ndim != len(shape) or values.shape[axis] != -(-shape[axis] // block):
        raise Refused(f"parameters of shape {values.shape} do not fit blocks of {block} along axis {axis} of {shape}")
    return np.repeat(values, block, axis=axis).take(range(shape[axis]), axis=axis)


def clipped_codes(call: Call, x: Stored, low: float, high: float) -> Stored:
    """Integers within low..high: where a quantizer makes them, one that saturates there."""
    assert x.codes is not None
    made = call.build.maker(x.name)
    source = call.build.maker(made.inputs[0]) if made is not None and made.inputs else None
    given = x.codes.format
    bounds = [int(np.clip(b, given.lo, given.hi)) for b in (low, high)]
    if source is None or not isinstance(source.op, Quantize) or bounds[0] > bounds[1]:
        x = codes.plain(call.build, x)
        return call.build.apply(Unary("clip", (low, high)), x)
    fmt = Int(*bounds)
    op = Quantize(fmt, source.op.scale, source.op.zero_point, source.op.rounding, source.op.offset_last)
    name = call.build.emit(op, source.inputs[0])
    return Stored(name, x.shape, x.order, x.codes)
