"""Which element is the largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.formats import Int
from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class ArgMax:
    """Index of the first largest (`least`: smallest) element along the last axis, which it keeps with length 1."""

    least: bool = False

    def infer(self, *operands: Operand) -> TensorType:
        shape = operands[0].type.shape
        if not shape:
            raise GraphError("takes a tensor with at least one axis")
        return TensorType((*shape[:-1], 1), Int(0, max(shape[-1] - 1, 0)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return (np.argmin if self.least else np.argmax)(arrays[0], axis=-1)[..., None]
