"""Weighted sums along one axis: linear and cubic interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.channels import freeze


@dataclass(frozen=True, eq=False)
class Resample:
    """Element i along `axis` of a real sample becomes the sum over k of weights[i, k] * element k."""

    axis: int
    weights: np.ndarray

    def __post_init__(self) -> None:
        freeze(self, "weights", np.float64, 2)

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if t.is_integer or not 0 <= self.axis < len(t.shape) or t.shape[self.axis] != self.weights.shape[1]:
            raise GraphError(f"resamples axis {self.axis} of {t} by weights of shape {self.weights.shape}")
        return TensorType((*t.shape[: self.axis], len(self.weights), *t.shape[self.axis + 1 :]))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.moveaxis(np.moveaxis(arrays[0], self.axis + 1, -1) @ self.weights.T, -1, self.axis + 1)
