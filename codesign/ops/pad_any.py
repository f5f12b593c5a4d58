"""Padding of any axes, with a constant, the edge or its mirror image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.graph import GraphError, Operand, TensorType

MODES = ("constant", "edge", "reflect", "wrap")


@dataclass(frozen=True)
class PadAny:
    """A real sample with before[k] and after[k] elements more along axis k; `mode` as numpy.pad has it."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    mode: str = "constant"
    value: float = 0.0

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if t.is_integer or not len(self.before) == len(self.after) == len(t.shape) or self.mode not in MODES:
            raise GraphError(f"pads {t} by {self.before} and {self.after} in mode {self.mode}; it takes real tensors")
        if min(*self.before, *self.after, 0) < 0:
            raise GraphError(f"pads by a negative number of elements: {self.before} and {self.after}")
        for n, b, a in zip(t.shape, self.before, self.after):
            if (self.mode == "reflect" and max(b, a) >= n) or (self.mode == "wrap" and max(b, a) > n):
                raise GraphError(f"{self.mode} padding by {max(b, a)} needs more than the {n} elements of its axis")
        return TensorType(tuple(n + b + a for n, b, a in zip(t.shape, self.before, self.after)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        widths = ((0, 0), *zip(self.before, self.after))
        options = {"constant_values": self.value} if self.mode == "constant" else {}
        return np.pad(arrays[0], widths, mode=self.mode, **options)  # type: ignore[call-overload]
