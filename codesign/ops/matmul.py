"""Matrix product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign import arithmetic
from codesign.formats import Format
from codesign.graph import GraphError, Operand, TensorType

Span = Callable[[Format, np.ndarray], Format]  # (input, weights) -> what the sums can reach


@dataclass(frozen=True)
class MatMul:
    """x (..., K) @ w (K, N) -> (..., N); integers accumulate in exactly the range that the weights can reach."""

    def infer(self, *operands: Operand) -> TensorType:
        x, w = operands
        if len(w.type.shape) != 2 or not x.type.shape or x.type.shape[-1] != w.type.shape[0]:
            raise GraphError(f"multiplies shapes {x.type.shape} and {w.type.shape}")
        shape = (*x.type.shape[:-1], w.type.shape[1])
        if not (x.type.is_integer and w.type.is_integer):
            return real_product(x, w, shape)
        return product_type(x, w, shape, arithmetic.accumulator)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arithmetic.matmul(arrays[0], arrays[1], out.format)


@dataclass(frozen=True)
class BatchMatMul:
    """a (..., M, K) @ b (..., K, N) -> (..., M, N), real, broadcast over the axes in front; one may be constant."""

    def infer(self, *operands: Operand) -> TensorType:
        a, b = (o.type.shape for o in operands)
        if min(len(a), len(b)) < 2 or a[-1] != b[-2]:
            raise GraphError(f"multiplies shapes {a} and {b}")
        shapes = [o.type.shape for o in operands if o.value is None]
        if len({len(s) for s in shapes}) != 1 or len(shapes[0]) < max(len(a), len(b)):
            raise GraphError(f"tensors of shapes {a} and {b} need a Reshape to one rank first")
        try:
            front = np.broadcast_shapes(a[:-2], b[:-2])
        except ValueError:
            raise GraphError(f"shapes {a} and {b} do not broadcast") from None
        return real_product(operands[0], operands[1], (*front, a[-2], b[-1]))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.matmul(arrays[0], arrays[1])


def real_product(x: Operand, w: Operand, shape: tuple[int, ...]) -> TensorType:
    """The type of a product of real tensors."""
    if x.type.is_integer or w.type.is_integer:
        raise GraphError("multiplies an integer tensor with a real one")
    return TensorType(shape)


def product_type(x: Operand, w: Operand, shape: tuple[int, ...], span: Span) -> TensorType:
    """The type of an integer product with constant weights: exact range, product of the scales."""
    if w.value is None:
        raise GraphError("the weights are not constant")
    if any(x.type.zero_point) or any(w.type.zero_point):
        raise GraphError("integer products take operands with zero point 0")
    if len(x.type.scale) != 1:
        raise GraphError("the input has a scale for each channel, which a sum over channels cannot keep exactly")
    fmt: Format = x.type.format  # type: ignore[assignment]
    return TensorType(shape, span(fmt, w.value), tuple(x.type.scale[0] * s for s in w.type.scale))
