"""Pooling over sliding windows and over whole images, channels last, never padded (see ops/pad.py)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign import arithmetic
from codesign.formats import Binary, Format, Int, carrier
from codesign.graph import GraphError, Operand, TensorType

Pair = tuple[int, int]


@dataclass(frozen=True)
class MaxPool:
    """The largest (`smallest` with least=True) of each window; keeps format and scale."""

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    least: bool = False

    def infer(self, *operands: Operand) -> TensorType:
        return replace(operands[0].type, shape=_pooled(operands[0], self.kernel, self.stride, self.dilation))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        view = arithmetic.windows(arrays[0], self.kernel, self.stride, self.dilation)
        result = view[:, :, :, 0, 0].copy()
        for i, j in np.ndindex(*self.kernel):
            (np.minimum if self.least else np.maximum)(result, view[:, :, :, i, j], out=result)
        return result


@dataclass(frozen=True)
class AveragePool:
    """The mean of each window, real."""

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)

    def infer(self, *operands: Operand) -> TensorType:
        _must_be(operands[0], integer=False)
        return TensorType(_pooled(operands[0], self.kernel, self.stride, self.dilation))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arithmetic.windows(arrays[0], self.kernel, self.stride, self.dilation).mean(axis=(3, 4))


@dataclass(frozen=True)
class SumPool:
    """The sum of each window, integer, with zero point 0; an average's divisor goes into the scale."""

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    divisor: int = 1

    def infer(self, *operands: Operand) -> TensorType:
        _must_be(operands[0], integer=True)
        shape = _pooled(operands[0], self.kernel, self.stride, self.dilation)
        return summed(operands[0].type, shape, int(np.prod(self.kernel)), self.divisor)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        view = arithmetic.windows(arrays[0], self.kernel, self.stride, self.dilation)
        return view.sum(axis=(3, 4), dtype=carrier(out.format))


@dataclass(frozen=True)
class GlobalMaxPool:
    """(rows, columns, C) -> (1, 1, C)."""

    least: bool = False

    def infer(self, *operands: Operand) -> TensorType:
        return replace(operands[0].type, shape=_global(operands[0]))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return (np.min if self.least else np.max)(arrays[0], axis=(1, 2), keepdims=True)


@dataclass(frozen=True)
class GlobalAveragePool:
    """(rows, columns, C) -> (1, 1, C), real."""

    def infer(self, *operands: Operand) -> TensorType:
        _must_be(operands[0], integer=False)
        return TensorType(_global(operands[0]))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0].mean(axis=(1, 2), keepdims=True)


@dataclass(frozen=True)
class GlobalSumPool:
    """(rows, columns, C) -> (1, 1, C), integer, with zero point 0; an average's divisor goes into the scale."""

    divisor: int = 1

    def infer(self, *operands: Operand) -> TensorType:
        _must_be(operands[0], integer=True)
        shape = operands[0].type.shape
        return summed(operands[0].type, _global(operands[0]), shape[0] * shape[1], self.divisor)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0].sum(axis=(1, 2), keepdims=True, dtype=carrier(out.format))


def _pooled(x: Operand, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[int, ...]:
    if len(x.type.shape) != 3:
        raise GraphError(f"pools shape {x.type.shape}; it takes (rows, columns, channels)")
    size = arithmetic.window_count(x.type.shape[:2], kernel, stride, dilation)  # type: ignore[arg-type]
    if min(size) < 1:
        raise GraphError(f"the window {kernel} is larger than its input {x.type.shape[:2]}")
    return (*size, x.type.shape[2])


def _global(x: Operand) -> tuple[int, ...]:
    if len(x.type.shape) != 3:
        raise GraphError(f"pools shape {x.type.shape}; it takes (rows, columns, channels)")
    return (1, 1, x.type.shape[2])


def _must_be(x: Operand, integer: bool) -> None:
    if x.type.is_integer != integer:
        raise GraphError(f"takes {'integer' if integer else 'real'} tensors")


def summed(x: TensorType, shape: tuple[int, ...], terms: int, divisor: int) -> TensorType:
    """The type of a sum of `terms` elements, each scaled by 1 / divisor."""
    if any(x.zero_point):
        raise GraphError("sums integers with zero point 0")
    fmt: Format = x.format if x.format is not None else Binary()
    span = Int(fmt.lo * terms, fmt.hi * terms)
    return TensorType(shape, span, tuple(s / divisor for s in x.scale))
