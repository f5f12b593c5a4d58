"""Operators that only integer graphs have: the same integers seen differently, or shifted by their zero point."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Int, carrier
from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class Center:
    """Integers less their zero point: what products and sums compute with."""

    zero_point: int

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if t.format is None or t.zero_point != (self.zero_point,):
            raise GraphError(f"takes integers with zero point {self.zero_point}")
        return replace(t, format=Int(t.format.lo - self.zero_point, t.format.hi - self.zero_point), zero_point=(0,))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0].astype(carrier(out.format), copy=False) - self.zero_point


@dataclass(frozen=True)
class Reinterpret:
    """The same integers with another scale and zero point."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...] = (0,)

    def infer(self, *operands: Operand) -> TensorType:
        if not operands[0].type.is_integer:
            raise GraphError("takes integers")
        return replace(operands[0].type, scale=self.scale, zero_point=self.zero_point)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0]
