"""Sums, products, and functions of one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codesign.graph import Op
from codesign.importer.builder import Builder
from codesign.importer.call import Call
from codesign.importer.values import Quantized, Refused, Stored
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.unary import Unary

FLOAT_TYPES = (1, 11)  # TensorProto.FLOAT, DOUBLE: the graph's reals hold both
INFINITY = float("inf")
LARGEST = float(np.finfo(np.float32).max)  # default of Clip's attributes, up to opset 10


def add(call: Call) -> Stored:
    return _binary(call, Add())


def sub(call: Call) -> Stored:
    return _binary(call, Sub())


def mul(call: Call) -> Stored:
    return _binary(call, Mul())


def div(call: Call) -> Stored:
    divisor = call.inputs[1]
    if isinstance(divisor, np.ndarray) and (divisor == 0).any():
        raise Refused("it divides by a constant that holds 0")
    return _binary(call, Div())


def _binary(call: Call, op: Op) -> Stored:
    a, b = call.inputs
    if isinstance(a, Stored) and isinstance(b, Stored):
        return combine(call.build, op, a, b)
    if isinstance(a, Stored):
        return with_constant(call.build, op, a, sample_constant(call.array(1, "operand"), a))
    x = call.tensor(1)
    return with_constant(call.build, op, x, sample_constant(call.array(0, "operand"), x), swap=True)


def combine(build: Builder, op: Op, a: Stored, b: Stored) -> Stored:
    """Two computed tensors of one rank, in the order of the larger one where that names every long axis."""
    if len(a.shape) != len(b.shape):
        raise Refused(f"its operands have {len(a.shape) + 1} and {len(b.shape) + 1} axes; reshape one of them")
    shape = _broadcast(a.shape, b.shape)
    larger = a if np.prod(a.shape) >= np.prod(b.shape) else b
    whole = all(n == 1 or axis in larger.order for axis, n in enumerate(shape))
    order = larger.order if whole else tuple(range(len(shape)))
    names = [build.arrange(x, order).name for x in (a, b)]
    return Stored(build.emit(op, *names), shape, order)


def sample_constant(value: np.ndarray, x: Stored) -> np.ndarray:
    """A constant operand without its sample axis, aligned at the right with ONNX's axes of `x`."""
    if value.ndim > len(x.shape) + 1:
        raise Refused(f"its constant has {value.ndim} axes, more than the other operand's {len(x.shape) + 1}")
    if value.ndim == len(x.shape) + 1:
        if value.shape[0] != 1:
            raise Refused(f"its constant of shape {value.shape} differs between samples (axis 0)")
        value = value[0]
    return value.reshape((1,) * (len(x.shape) - value.ndim) + value.shape)


def with_constant(build: Builder, op: Op, x: Stored, value: np.ndarray, swap: bool = False) -> Stored:
    """x and a constant of its rank (in ONNX's axes); `swap`: the constant is the first operand."""
    shape = _broadcast(x.shape, value.shape)
    if any(n != 1 and a not in x.order for a, n in enumerate(value.shape)):
        x = build.full(x)
    dropped = [a for a in range(len(shape)) if a not in x.order]
    moved = value.transpose((*dropped, *x.order)).reshape([value.shape[a] for a in x.order])
    names = [x.name, build.constant(_without_leading_ones(moved))]
    return Stored(build.emit(op, *(reversed(names) if swap else names)), shape, x.order)


def along_axis(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """A vector laid along one of `rank` axes; one number stays one number."""
    return values.reshape([-1 if a == axis else 1 for a in range(rank)])


def _without_leading_ones(value: np.ndarray) -> np.ndarray:
    while value.ndim and value.shape[0] == 1:
        value = value[0]
    return value


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return tuple(np.broadcast_shapes(a, b))
    except ValueError:
        raise Refused(f"its operands of shapes {a} and {b} (of one sample) do not broadcast") from None


def batch_normalization(call: Call) -> Stored:
    """Mul and Add with float64 constants."""
    call.only_first_output()
    if call.integer("training_mode", 0) or not call.integer("spatial", 1):
        raise Refused("only inference over channels is supported; export the model in evaluation mode")
    x = call.tensor()
    if not x.shape:
        raise Refused("its input has no channel axis")
    gain, bias, mean, variance = (_channels(call, i, x.shape[0]) for i in range(1, 5))
    spread = variance + call.number("epsilon", 1e-5)
    if (spread <= 0).any():
        raise Refused("a variance is not positive")
    factor = gain / np.sqrt(spread)
    shaped = [along_axis(v, 0, len(x.shape)) for v in (factor, bias - mean * factor)]
    return with_constant(call.build, Add(), with_constant(call.build, Mul(), x, shaped[0]), shaped[1])


def _channels(call: Call, index: int, channels: int) -> np.ndarray:
    value = call.array(index, "parameter")
    if value.shape != (channels,):
        raise Refused(f"its input {index} has shape {value.shape}; ({channels},) is needed")
    return value


def unary(function: str) -> Callable[[Call], Stored]:
    """The handler of a function without parameters."""
    return lambda call: call.build.apply(Unary(function), call.tensor())


def leaky_relu(call: Call) -> Stored:
    return call.build.apply(Unary("leaky_relu", (call.number("alpha", 0.01),)), call.tensor())


def hard_sigmoid(call: Call) -> Stored:
    parameters = (call.number("alpha", 0.2), call.number("beta", 0.5))
    return call.build.apply(Unary("hard_sigmoid", parameters), call.tensor())


def clip(call: Call) -> Stored:
    """The bounds are attributes up to opset 10, inputs from 11."""
    if call.opset < 11:
        low, high = call.number("min", -LARGEST), call.number("max", LARGEST)
    else:
        low = call.scalar(1, "min") if call.has(1) else -INFINITY
        high = call.scalar(2, "max") if call.has(2) else INFINITY
    if low > high:
        raise Refused(f"its bounds {low} and {high} are exchanged")
    return call.build.apply(Unary("clip", (low, high)), call.tensor())


def power(call: Call) -> Stored:
    return call.build.apply(Unary("pow", (call.scalar(1, "exponent"),)), call.tensor())


def identity(call: Call) -> Stored:
    return call.tensor()


def dropout(call: Call) -> Stored:
    """Nothing, in inference."""
    call.only_first_output()
    if call.has(2) and call.scalar(2, "training_mode"):
        raise Refused("it is in training mode; export the model in evaluation mode")
    return call.tensor()


def cast(call: Call) -> Stored:
    if call.integer("to") not in FLOAT_TYPES:
        raise Refused("only casts to float or double are supported; leave integer conversion to a Quant node")
    return call.tensor()


def same_quantized(value: Quantized, factor: np.ndarray) -> Quantized | None:
    """A quantized constant times a positive factor, which goes into the scale; None where it cannot."""
    if factor.ndim > value.scale.ndim or not (factor > 0).all():
        return None
    try:
        return replace(value, scale=np.broadcast_to(value.scale * factor, value.shape))
    except ValueError:
        return None
