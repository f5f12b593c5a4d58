"""Integers times a whole number that depends on their place, all channels of it alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Int, carrier
from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.channels import freeze


@dataclass(frozen=True, eq=False)
class Weigh:
    """x (..., places, C) with zero point 0, times weights (places) > 0 of as many axes; the scale is then `step` of
    what it was."""

    weights: np.ndarray
    step: float

    def __post_init__(self) -> None:
        freeze(self, "weights", np.int64, np.ndim(self.weights))

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if t.format is None or any(t.zero_point) or t.shape[:-1] != self.weights.shape or self.weights.min() < 1:
            raise GraphError(f"weighs {t} by {self.weights.shape} numbers; it takes integers with zero point 0")
        least, most = int(self.weights.min()), int(self.weights.max())
        ends = [v * w for v in (t.format.lo, t.format.hi) for w in (least, most)]
        return replace(t, format=Int(min(ends), max(ends)), scale=tuple(s * self.step for s in t.scale))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0].astype(carrier(out.format), copy=False) * self.weights[..., None]
