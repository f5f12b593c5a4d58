"""Constant padding around and between rows and columns, channels last."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Int, carrier, hull
from codesign.graph import GraphError, Operand, TensorType

Pair = tuple[int, int]


@dataclass(frozen=True)
class Pad:
    """x (rows, columns, C) -> rows before[0] above and after[0] below, columns before[1] and after[1], of `value`.

    Between neighbouring rows come gaps[0] rows of it, between columns gaps[1].
    """

    before: Pair
    after: Pair
    value: float = 0.0
    gaps: Pair = (0, 0)

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        if len(x.type.shape) != 3 or min(*self.before, *self.after, *self.gaps) < 0:
            raise GraphError(f"pads shape {x.type.shape} by {self.before} and {self.after}, gaps {self.gaps}")
        shape = (*self.size(x.type.shape[:2]), x.type.shape[2])  # type: ignore[arg-type]
        if x.type.format is None:
            return TensorType(shape)
        if self.value != int(self.value):
            raise GraphError(f"pads integers with {self.value}")
        value = int(self.value)
        held = x.type.format.contains(np.array([value]))
        return replace(x.type, shape=shape, format=x.type.format if held else hull(x.type.format, Int(value, value)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        padded = np.full((len(arrays[0]), *out.shape), self.value, dtype=carrier(out.format))
        padded[(slice(None), *self.inside(arrays[0].shape[1:3]))] = arrays[0]  # type: ignore[arg-type]
        return padded

    def size(self, size: Pair) -> Pair:
        """Rows and columns of the result."""
        parts = zip(size, self.before, self.after, self.gaps, strict=True)
        rows, columns = (b + n + (n - 1) * g + a for n, b, a, g in parts)
        return rows, columns

    def inside(self, size: Pair) -> tuple[slice, slice]:
        """Where an image's own rows and columns stand in the result."""
        parts = zip(size, self.before, self.gaps, strict=True)
        rows, columns = (slice(b, b + (n - 1) * (g + 1) + 1, g + 1) for n, b, g in parts)
        return rows, columns
