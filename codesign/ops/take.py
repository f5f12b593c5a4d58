"""Elements chosen by their place along one axis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class Take:
    """The elements of one axis of a sample at these places, which may repeat (Tile, any nearest Resize)."""

    axis: int
    indices: tuple[int, ...]

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if not 0 <= self.axis < len(t.shape) or not self.indices:
            raise GraphError(f"takes {len(self.indices)} elements along axis {self.axis} of shape {t.shape}")
        if min(self.indices) < 0 or max(self.indices) >= t.shape[self.axis]:
            raise GraphError(f"takes elements that axis {self.axis} of shape {t.shape} does not have")
        shape = (*t.shape[: self.axis], len(self.indices), *t.shape[self.axis + 1 :])
        return replace(t, shape=shape, scale=self._own(t, t.scale), zero_point=self._own(t, t.zero_point))

    def _own(self, t: TensorType, values: tuple) -> tuple:
        """The entries of the channels taken."""
        whole = len(values) == 1 or self.axis != len(t.shape) - 1
        return values if whole else tuple(values[k] for k in self.indices)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0].take(self.indices, axis=self.axis + 1)
