"""Requantization by multiply and shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.formats import Binary, Format, carrier
from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.channels import check_channels, freeze


@dataclass(frozen=True, eq=False)
class Requant:
    """y = clamp(round((x * multiplier + offset) / 2**shift), format.lo, format.hi), along the last axis.

    multiplier, offset (C or 1,); rounding is "floor" or "half_even". Exact while products stay below 2**62.
    """

    multiplier: np.ndarray
    offset: np.ndarray
    shift: int
    rounding: str
    format: Format
    scale: tuple[float, ...] = (1.0,)
    zero_point: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        freeze(self, "multiplier", np.int64, 1)
        freeze(self, "offset", np.int64, 1)
        if self.rounding not in ("floor", "half_even"):
            raise GraphError(f"rounding '{self.rounding}' is neither 'floor' nor 'half_even'")
        if not 0 <= self.shift < 62:
            raise GraphError(f"a shift by {self.shift} bits is not within 0..61")
        if isinstance(self.format, Binary):
            raise GraphError("a multiply-shift cannot make binary values; use a threshold")

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        check_channels(x, self.multiplier, self.offset)
        if x.type.format is None:
            raise GraphError("a multiply-shift meets a real tensor")
        if self.largest_sum(max(abs(x.type.format.lo), abs(x.type.format.hi))) >= 1 << 62:
            raise GraphError(f"products of {x.type.format} pass 62 bits")
        return TensorType(x.type.shape, self.format, self.scale, self.zero_point)

    def largest_sum(self, x: int) -> int:
        """A bound of abs(x * multiplier + offset) for values of at most `x`; 2**shift when that is more."""
        products = int(np.abs(self.multiplier).max()) * x + int(np.abs(self.offset).max())
        return max(products, 1 << self.shift)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        (x,) = arrays
        if x.dtype == np.float32 and self.largest_sum(1 << 24) < 1 << 53:  # what a float32 carrier can hold
            y = self._run_float(x)
        else:
            y = self._run_int(x.astype(np.int64))
        np.clip(y, self.format.lo, self.format.hi, out=y)
        return y.astype(carrier(out.format))

    def _run_float(self, x: np.ndarray) -> np.ndarray:
        """Before the clamp, in float64, where sums and the division by a power of two are exact."""
        y = x.astype(np.float64)
        y *= self.multiplier
        y += self.offset
        y *= 2.0**-self.shift
        return np.floor(y, out=y) if self.rounding == "floor" else np.rint(y, out=y)

    def _run_int(self, x: np.ndarray) -> np.ndarray:
        """Before the clamp, in int64."""
        total = x * self.multiplier + self.offset
        if self.rounding == "floor" or not self.shift:
            return total >> self.shift
        # Rounding half up is one too high where a tie's even neighbour is the lower one.
        half_up = total + (1 << (self.shift - 1))
        tie = (half_up & ((1 << self.shift) - 1)) == 0
        rounded = half_up >> self.shift
        return rounded - (tie & (rounded & 1))
