"""Sums, products, and functions of one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codesign.graph import Op
from codesign.importer.builder import Builder
from codesign.importer.call import Call
from codesign.importer.values import MixesSamples, Quantized, Refused, Stored, Value
from codesign.ops.elementwise import Add, Div, Mul, Rectify
from codesign.ops.moves import Expand
from codesign.ops.unary import Unary


def binary(op: Op) -> Callable[[Call], Stored]:
    """The handler of an operator on two operands, at least one of them computed."""
    return lambda call: combined(call, op, call.inputs[0], call.inputs[1])


def div(call: Call) -> Stored:
    a, divisor = call.inputs
    if isinstance(divisor, np.ndarray) and (divisor == 0).any():
        raise Refused("it divides by a constant that holds 0")
    return combined(call, Div(), a, divisor)


def variadic(op: Op) -> Callable[[Call], Stored]:
    """The handler of an operator on any number of operands, taken two at a time."""

    def handler(call: Call) -> Stored:
        first, *others = sorted(call.inputs, key=lambda v: not isinstance(v, Stored))  # computed ones first
        if not isinstance(first, Stored):
            raise Refused("its operands are missing")
        for other in others:
            first = combined(call, op, first, other)
        return first

    return handler


def combined(call: Call, op: Op, a: Value | None, b: Value | None) -> Stored:
    """op(a, b), broadcast as ONNX does."""
    if isinstance(a, Stored) and isinstance(b, Stored):
        return combine(call, op, a, b)
    x, other = (a, b) if isinstance(a, Stored) else (b, a)
    if not isinstance(x, Stored) or other is None:
        raise Refused("an operand is missing")
    value = np.asarray(other.real() if isinstance(other, Quantized) else other)
    return with_constant(call.build, op, x, call.aligned(value, x), swap=x is b)


def combine(call: Call, op: Op, a: Stored, b: Stored) -> Stored:
    """Two computed tensors, in the order of the larger one where that names every long axis."""
    if len(a.shape) != len(b.shape):
        if call.lead:
            raise MixesSamples(f"its operands have {call.rank(a)} and {call.rank(b)} axes; reshape one of them")
        a, b = (of_rank(x, max(len(a.shape), len(b.shape))) for x in (a, b))
    shape = _broadcast(a.shape, b.shape)
    larger = a if np.prod(a.shape) >= np.prod(b.shape) else b
    whole = all(n == 1 or axis in larger.order for axis, n in enumerate(shape))
    order = larger.order if whole else tuple(range(len(shape)))
    names = [call.build.arrange(x, order).name for x in (a, b)]
    return Stored(call.build.emit(op, *names), shape, order)


def of_rank(x: Stored, rank: int) -> Stored:
    """x with axes of length 1 in front, in ONNX's view."""
    new = rank - len(x.shape)
    return Stored(x.name, (1,) * new + x.shape, tuple(a + new for a in x.order))


def with_constant(build: Builder, op: Op, x: Stored, value: np.ndarray, swap: bool = False) -> Stored:
    """x and a constant of its rank or a higher one (in ONNX's axes); `swap`: the constant is the first operand."""
    x = of_rank(x, max(len(x.shape), value.ndim))
    value = value.reshape((1,) * (len(x.shape) - value.ndim) + value.shape)
    shape = _broadcast(x.shape, value.shape)
    if any(n != 1 and a not in x.order for a, n in enumerate(value.shape)):
        x = build.full(x)
    if shape != x.shape:
        x = build.full(x)
        x = Stored.plain(build.emit(Expand(shape), x.name), shape)
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
    if call.rank(x) < 2:
        raise Refused("its input has no channel axis")
    axis = call.axis(1, call.rank(x))
    gain, bias, mean, variance = (_channels(call, i, x.shape[axis]) for i in range(1, 5))
    spread = variance + call.number("epsilon", 1e-5)
    if (spread <= 0).any():
        raise Refused("a variance is not positive")
    factor = gain / np.sqrt(spread)
    shaped = [along_axis(v, axis, len(x.shape)) for v in (factor, bias - mean * factor)]
    return with_constant(call.build, Add(), with_constant(call.build, Mul(), x, shaped[0]), shaped[1])


def _channels(call: Call, index: int, channels: int) -> np.ndarray:
    value = call.array(index, "parameter")
    if value.shape != (channels,):
        raise Refused(f"its input {index} has shape {value.shape}; ({channels},) is needed")
    return value


def unary(function: str) -> Callable[[Call], Stored]:
    """The handler of a function without parameters."""
    return lambda call: call.build.apply(Unary(function), call.tensor())


def function(name: str, **defaults: float) -> Callable[[Call], Stored]:
    """The handler of a function whose parameters are attributes."""

    def handler(call: Call) -> Stored:
        parameters = tuple(call.number(k, v) for k, v in defaults.items())
        return call.build.apply(Unary(name, parameters), call.tensor())

    return handler


def gelu(call: Call) -> Stored:
    kind = call.text("approximate", "none")
    if kind not in ("none", "tanh"):
        raise Refused(f"attribute 'approximate' is {kind!r}; none and tanh are known")
    return call.build.apply(Unary("gelu" if kind == "none" else "gelu_tanh"), call.tensor())


def p_relu(call: Call) -> Stored:
    """Slopes are constant, broadcast to x."""
    x = call.tensor()
    if isinstance(call.inputs[1], Stored):
        raise Refused("its input 1 (slopes) is computed; only constants are supported")
    slopes = call.array(1, "slopes")
    if slopes.size == 1:
        return call.build.apply(Unary("leaky_relu", (float(slopes.reshape(())),)), x)
    return combined(call, Rectify(), x, slopes)


def identity(call: Call) -> Stored:
    return call.tensor()


def dropout(call: Call) -> Stored:
    """Nothing, in inference."""
    call.only_first_output()
    if call.has(2) and call.scalar(2, "training_mode"):
        raise Refused("it is in training mode; export the model in evaluation mode")
    return call.tensor()


def same_quantized(value: Quantized, factor: np.ndarray) -> Quantized | None:
    """A quantized constant times a positive factor, which goes into the scale; None where it cannot."""
    if factor.ndim > value.scale.ndim or not (factor > 0).all():
        return None
    try:
        return replace(value, scale=np.broadcast_to(value.scale * factor, value.shape))
    except ValueError:
        return None
