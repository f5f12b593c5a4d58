"""The whole numbers that weights may become: real = scale * level, with a scale for each output channel.

Which levels there are can depend on the place of a weight (an affine format's zero point, a block's exponent): `local`
holds what is needed to know of each weight, and is fixed before its rounding is fitted. Columns are weights (K, N):
K inputs, N output channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from codesign.formats import BlockFloat


class Levels(Protocol):
    """What the fitting of scales and of rounding needs."""

    @property
    def few(self) -> bool:
        """Whether the mean of the weights counts more for the scale than the largest."""
        ...

    def full_scale(self, columns: np.ndarray) -> np.ndarray:
        """The scale (N,) with which each column (K, N) takes all levels; less scale clips its largest weights."""
        ...

    def local(self, scaled: np.ndarray) -> np.ndarray:
        """What the levels of each weight depend on, int64 (K, N), from the weights divided by their scale."""
        ...

    def nearest(self, scaled: np.ndarray, local: np.ndarray) -> np.ndarray:
        """The level nearest to each value, float64 in and out."""
        ...


@dataclass(frozen=True, eq=False)
class Members:
    """The same levels everywhere: `members`, ascending int64."""

    members: np.ndarray

    @property
    def few(self) -> bool:
        return len(self.members) <= 3

    @property
    def largest(self) -> int:
        """The end of the finest relative steps: the largest member, but of posits one before their steps widen."""
        positive = self.members[self.members > 0]
        steps = np.diff(positive) / positive[1:]
        return int(positive[1:][steps < 1.99 * steps.min()][-1]) if len(steps) else int(positive[-1])

    @property
    def dense(self) -> bool:
        """Whether the members are all integers between the ends."""
        return len(self.members) == int(self.members[-1] - self.members[0]) + 1

    def full_scale(self, columns: np.ndarray) -> np.ndarray:
        return _positive(np.abs(columns).max(axis=0)) / self.largest

    def local(self, scaled: np.ndarray) -> np.ndarray:
        return np.zeros(scaled.shape, dtype=np.int64)

    def nearest(self, scaled: np.ndarray, local: np.ndarray) -> np.ndarray:
        if self.dense:
            return np.clip(np.rint(scaled), self.members[0], self.members[-1])
        middles = (self.members[1:] + self.members[:-1]) / 2
        return self.members[np.searchsorted(middles, scaled)].astype(np.float64)


@dataclass(frozen=True)
class Affine:
    """`count` integers in a row, 0 among them; `local` is the lowest, alike in a column: minus the zero point."""

    count: int

    few = False

    def full_scale(self, columns: np.ndarray) -> np.ndarray:
        return _positive(np.maximum(columns.max(axis=0), 0) - np.minimum(columns.min(axis=0), 0)) / (self.count - 1)

    def local(self, scaled: np.ndarray) -> np.ndarray:
        lowest = np.clip(np.rint(scaled.min(axis=0)), 1 - self.count, 0).astype(np.int64)
        return np.broadcast_to(lowest, scaled.shape)

    def nearest(self, scaled: np.ndarray, local: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(scaled), local, local + self.count - 1)


@dataclass(frozen=True)
class Blocks:
    """Mantissas that share an exponent in each block of inputs; `local` is the shift."""

    format: BlockFloat

    few = False

    def full_scale(self, columns: np.ndarray) -> np.ndarray:
        return _positive(np.abs(columns).max(axis=0)) / self.format.hi

    def local(self, scaled: np.ndarray) -> np.ndarray:
        return self.format.shifts(scaled)

    def nearest(self, scaled: np.ndarray, local: np.ndarray) -> np.ndarray:
        return self.format.to_int(self.format.encode(scaled, local), local).astype(np.float64)


def _positive(x: np.ndarray) -> np.ndarray:
    """1 in place of 0: a column without weights takes any scale."""
    return np.where(x > 0, x, 1.0)
