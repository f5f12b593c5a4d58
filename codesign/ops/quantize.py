"""Between real and integer tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.formats import Binary, Format, carrier
from codesign.graph import Dequantize, GraphError, Operand, TensorType

__all__ = ["ROUNDINGS", "Dequantize", "Quantize"]

ROUNDINGS = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.fix,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


@dataclass(frozen=True)
class Quantize:
    """Real -> integer: round(x / scale + zero_point), saturating; Binary: the sign, with 0 -> +1.

    `scale` and `zero_point` have one entry, or one for each index of the last axis. `offset_last` adds the zero
    point after rounding, as ONNX does and QONNX does not: with an odd zero point, ties go the other way.
    """

    format: Format
    scale: tuple[float, ...] = (1.0,)
    zero_point: tuple[int, ...] = (0,)
    rounding: str = "ROUND"
    offset_last: bool = False

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        if x.type.is_integer:
            raise GraphError("quantizes a tensor that is integer already")
        for values in (self.scale, self.zero_point):
            if len(values) not in (1, x.type.shape[-1] if x.type.shape else 1):
                raise GraphError(f"{len(values)} scales or zero points for shape {x.type.shape}")
        if not all(np.isfinite(s) and s > 0 for s in self.scale):
            raise GraphError("a scale is not a positive finite number")
        return TensorType(x.type.shape, self.format, self.scale, self.zero_point)

    def levels(self, x: np.ndarray) -> np.ndarray:
        """The value before rounding, in units of one step."""
        levels = x if self.scale == (1.0,) else x / np.asarray(self.scale)
        return levels + np.asarray(self.zero_point) if any(self.zero_point) else levels

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        levels = self.levels(arrays[0])
        if isinstance(self.format, Binary):
            return np.where(levels >= 0, np.float32(1), np.float32(-1))
        clipped = _settled(np.clip(levels, self.format.lo, self.format.hi))
        shift = np.asarray(self.zero_point) % 2 if self.offset_last else np.zeros(1)
        if not shift.any():
            return ROUNDINGS[self.rounding](clipped).astype(carrier(self.format))
        # An even part of the zero point leaves rounding as it is; the odd rest is added after it.
        return (ROUNDINGS[self.rounding](clipped - shift) + shift).astype(carrier(self.format))


NOISE = 1e-11  # relative, and at least of one step: what a few float64 operations leave of an exact tie


def _settled(levels: np.ndarray) -> np.ndarray:
    """A value within float64's own noise of half a step is half a step: so an exact tie is seen as one.

    For example the mean of 36 codes: sum * (scale / 36) / scale is exact in no float64.
    """
    halves = np.rint(levels * 2) / 2
    return np.where(np.abs(levels - halves) <= NOISE * np.maximum(np.abs(levels), 1), halves, levels)
