"""Constant padding of rows and columns, channels last."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Int, hull
from codesign.graph import GraphError, Operand, TensorType

Pair = tuple[int, int]


@dataclass(frozen=True)
class Pad:
    """x (rows, columns, C) -> rows before[0] above and after[0] below, columns before[1] and after[1], of `value`."""

    before: Pair
    after: Pair
    value: float = 0.0

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        if len(x.type.shape) != 3 or min(*self.before, *self.after) < 0:
            raise GraphError(f"pads shape {x.type.shape} by {self.before} and {self.after}")
        rows, columns, channels = x.type.shape
        shape = (rows + self.before[0] + self.after[0], columns + self.before[1] + self.after[1], channels)
        if x.type.format is None:
            return TensorType(shape)
        if self.value != int(self.value):
            raise GraphError(f"pads integers with {self.value}")
        value = int(self.value)
        held = x.type.format.contains(np.array([value]))
        return replace(x.type, shape=shape, format=x.type.format if held else hull(x.type.format, Int(value, value)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        widths = ((0, 0), *zip(self.before, self.after), (0, 0))
        return np.pad(arrays[0], widths, constant_values=self.value)
