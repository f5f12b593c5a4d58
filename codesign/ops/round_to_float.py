"""Real numbers to small floating-point numbers, held as integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.formats import Int, MiniFloat, carrier
from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.quantize import ROUNDINGS


@dataclass(frozen=True)
class RoundToFloat:
    """Real -> the nearest value of `format` times 2**format.frac, an integer; saturating.

    `scale` has one entry, or one for each index of the last axis: real = scale * 2**-frac * integer.
    """

    format: MiniFloat
    scale: tuple[float, ...] = (1.0,)
    rounding: str = "ROUND"

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        if x.type.is_integer:
            raise GraphError("rounds a tensor that is integer already")
        if len(self.scale) not in (1, x.type.shape[-1] if x.type.shape else 1):
            raise GraphError(f"{len(self.scale)} scales for shape {x.type.shape}")
        return TensorType(x.type.shape, self.integers, tuple(s * 2.0**-self.format.frac for s in self.scale))

    @property
    def integers(self) -> Int:
        """The range in which its results lie, though not all of it is used."""
        return Int(self.format.lo, self.format.hi)

    def levels(self, x: np.ndarray) -> np.ndarray:
        """The value before rounding, in units of one step there."""
        return np.ldexp(*self._before(x))

    def _before(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Saturated x / scale, and minus the exponent of a step at it."""
        fmt = self.format
        scaled = np.clip(x / np.asarray(self.scale), -fmt.largest, fmt.largest)
        return scaled, -np.maximum(np.frexp(scaled)[1] - 1 - fmt.mantissa_bits, -fmt.frac)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        fmt = self.format
        scaled, finer = self._before(arrays[0])
        rounded = np.ldexp(ROUNDINGS[self.rounding](np.ldexp(scaled, finer)), -finer)
        return np.ldexp(np.clip(rounded, -fmt.largest, fmt.largest), fmt.frac).astype(carrier(self.integers))
