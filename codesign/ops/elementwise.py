"""Elementwise operators of two tensors, with NumPy broadcasting; a constant operand has no sample axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.formats import Int
from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class Add:
    """a + b; integers need one scale and zero points 0, and the sum keeps it."""

    def infer(self, *operands: Operand) -> TensorType:
        a, b = operands
        shape = broadcast(operands)
        if not (a.type.is_integer or b.type.is_integer):
            return TensorType(shape)
        if a.type.format is None or b.type.format is None:
            raise GraphError("adds an integer tensor and a real one")
        if a.type.scale != b.type.scale or any(a.type.zero_point) or any(b.type.zero_point):
            raise GraphError("integer sums take operands of one scale, with zero point 0")
        low, high = a.type.format.lo + b.type.format.lo, a.type.format.hi + b.type.format.hi
        return TensorType(shape, Int(low, high), a.type.scale)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.add(*arrays)


@dataclass(frozen=True)
class Sub:
    """a - b, real."""

    def infer(self, *operands: Operand) -> TensorType:
        return TensorType(broadcast(real(operands)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.subtract(*arrays)


@dataclass(frozen=True)
class Mul:
    """a * b; integers need zero points 0, and the product's scale is the product of theirs."""

    def infer(self, *operands: Operand) -> TensorType:
        a, b = (o.type for o in operands)
        shape = broadcast(operands)
        if not (a.is_integer or b.is_integer):
            return TensorType(shape)
        if a.format is None or b.format is None:
            raise GraphError("multiplies an integer tensor with a real one")
        if any(a.zero_point) or any(b.zero_point):
            raise GraphError("integer products take operands with zero point 0")
        ends = [x * y for x in (a.format.lo, a.format.hi) for y in (b.format.lo, b.format.hi)]
        scale = np.multiply(a.scale, b.scale)
        if scale.size not in (1, shape[-1] if shape else 1):
            raise GraphError("the operands' scales do not fit the channels of their product")
        return TensorType(shape, Int(min(ends), max(ends)), tuple(map(float, scale)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.multiply(*arrays)


@dataclass(frozen=True)
class Div:
    """a / b, real."""

    def infer(self, *operands: Operand) -> TensorType:
        return TensorType(broadcast(real(operands)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.divide(*arrays)


@dataclass(frozen=True)
class Power:
    """a to the power of b, real; NaN where it has no real value."""

    def infer(self, *operands: Operand) -> TensorType:
        return TensorType(broadcast(real(operands)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return np.power(*arrays)


@dataclass(frozen=True)
class Rectify:
    """a where it is not negative, else a * b, real: ONNX's PRelu of slopes b."""

    def infer(self, *operands: Operand) -> TensorType:
        return TensorType(broadcast(real(operands)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        a, slopes = arrays
        return np.where(a < 0, a * slopes, a)


@dataclass(frozen=True)
class Minimum:
    """The smaller of a and b; integers need one scale and zero point."""

    def infer(self, *operands: Operand) -> TensorType:
        return _chosen(operands, min)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.minimum(*arrays)


@dataclass(frozen=True)
class Maximum:
    """The larger of a and b; integers need one scale and zero point."""

    def infer(self, *operands: Operand) -> TensorType:
        return _chosen(operands, max)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.maximum(*arrays)


def _chosen(operands: tuple[Operand, ...], choose: Callable[[int, int], int]) -> TensorType:
    """The type of what chooses one of two values."""
    a, b = (o.type for o in operands)
    shape = broadcast(operands)
    if not (a.is_integer or b.is_integer):
        return TensorType(shape)
    if a.format is None or b.format is None:
        raise GraphError("compares an integer tensor with a real one")
    if (a.scale, a.zero_point) != (b.scale, b.zero_point):
        raise GraphError("integer extremes take operands of one scale and zero point")
    fmt = Int(choose(a.format.lo, b.format.lo), choose(a.format.hi, b.format.hi))
    return TensorType(shape, fmt, a.scale, a.zero_point)


def real(operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
    if any(o.type.is_integer for o in operands):
        raise GraphError("takes real tensors")
    return operands


def broadcast(operands: tuple[Operand, ...]) -> tuple[int, ...]:
    shapes = [o.type.shape for o in operands]
    try:
        shape = tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        raise GraphError(f"shapes {shapes[0]} and {shapes[1]} do not broadcast") from None
    # the sample axis stands in front: a tensor of lower rank would be aligned with it
    if any(o.value is None and len(o.type.shape) != len(shape) for o in operands):
        raise GraphError(f"tensors of shapes {shapes[0]} and {shapes[1]} need a Reshape to one rank first")
    return shape
