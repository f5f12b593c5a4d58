"""One number for all elements along some axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.graph import GraphError, Operand, TensorType

REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "sum": np.sum, "max": np.max, "min": np.min}


@dataclass(frozen=True)
class Reduce:
    """One of REDUCTIONS over some axes of a real sample; they stay, with length 1."""

    function: str
    axes: tuple[int, ...]

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if t.is_integer or self.function not in REDUCTIONS:
            raise GraphError(f"reduces {t} by {self.function}; it takes a real tensor")
        if not all(0 <= a < len(t.shape) for a in self.axes):
            raise GraphError(f"reduces axes {self.axes} of shape {t.shape}")
        return TensorType(tuple(1 if a in self.axes else n for a, n in enumerate(t.shape)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return REDUCTIONS[self.function](arrays[0], axis=tuple(a + 1 for a in self.axes), keepdims=True)
