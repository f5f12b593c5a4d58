"""The k largest elements along the last axis, largest first; of equal ones the first comes first."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Int
from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class TopValues:
    """The k largest (`least`: smallest) elements along the last axis, in that order."""

    k: int
    least: bool = False

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if len(t.scale) > 1 or len(t.zero_point) > 1:
            raise GraphError("compares channels that have scales of their own")
        return replace(t, shape=_chosen(t.shape, self.k))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.take_along_axis(arrays[0], _order(arrays[0], self.k, self.least), axis=-1)


@dataclass(frozen=True)
class TopIndices:
    """The indices along the last axis of the k largest (`least`: smallest) elements."""

    k: int
    least: bool = False

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        return TensorType(_chosen(t.shape, self.k), Int(0, max(t.shape[-1] - 1, 0)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return _order(arrays[0], self.k, self.least)


def _chosen(shape: tuple[int, ...], k: int) -> tuple[int, ...]:
    if not shape or not 1 <= k <= shape[-1]:
        raise GraphError(f"chooses {k} elements along the last axis of shape {shape}")
    return (*shape[:-1], k)


def _order(x: np.ndarray, k: int, least: bool) -> np.ndarray:
    return np.argsort(x if least else -x, axis=-1, kind="stable")[..., :k]
