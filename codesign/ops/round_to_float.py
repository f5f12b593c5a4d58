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

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        fmt, x = self.format, arrays[0] / np.asarray(self.scale)
        x = np.clip(x, -fmt.largest, fmt.largest)
        exponent = np.maximum(np.frexp(x)[1] - 1 - fmt.mantissa_bits, -fmt.frac)  # of a step at x
        rounded = np.ldexp(ROUNDINGS[self.rounding](np.ldexp(x, -exponent)), exponent)
        return np.ldexp(np.clip(rounded, -fmt.largest, fmt.largest), fmt.frac).astype(carrier(self.integers))
