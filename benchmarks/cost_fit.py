"""Least squares for the constants of the cost formulas, on relative errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

from codesign.cost import Cost
from hw.fitted import replaced

LEAST = 25.0  # a stage of fewer counts as one of so many
ROUNDS = 4  # formulas with a least or a greatest of two are not quite linear
PULL = 0.05  # towards the constants before, where stages do not tell two of them apart
MOST = 12.0
DIGITS = 3


@dataclass(frozen=True)
class Point:
    """What is estimated by formulas, and what is found; fewer counts than `least` as so many."""

    name: str
    estimate: Callable[[], Cost]
    found: Cost
    least: float = LEAST

    @property
    def size(self) -> np.ndarray:
        """What errors are relative to."""
        return np.maximum(_pair(self.found), self.least)


class _Noting(Mapping[str, float]):
    """Constants that note which of them are read."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values_, self.read = values, set[str]()

    def __getitem__(self, name: str) -> float:
        self.read.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def fit(points: Sequence[Point], start: Mapping[str, float], free: str = "") -> dict[str, float]:
    """The constants, all at least 0, that make the relative errors of LUT and FF least.

    free: a regular expression for the beginnings of the names of those that may change.
    """
    now, names = dict(start), sorted(name for name in start if re.match(free, name))
    for _ in range(ROUNDS):
        rows, wanted = _linear(points, now, names)
        before = np.array([now[n] for n in names])
        pull = np.diag(PULL / np.maximum(np.abs([start[n] for n in names]), 0.3))
        found = lsq_linear(
            np.vstack([rows, pull]),
            np.concatenate([wanted + rows @ before, pull @ [start[n] for n in names]]),
            (0, MOST),
        ).x
        now |= {n: round(float(x), DIGITS) for n, x in zip(names, found, strict=True)}
    return now


def _linear(points: Sequence[Point], now: Mapping[str, float], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (points * 2, names): how the relative estimates move with each constant; what they lack (points * 2,)."""
    place, rows, lacks = {n: k for k, n in enumerate(names)}, np.zeros((2 * len(points), len(names))), []
    for k, point in enumerate(points):
        weight = 1 / point.size
        noting = _Noting(now)
        with replaced(noting):
            here = _pair(point.estimate())
        for name in noting.read & place.keys():
            step = max(abs(now[name]), 0.5) * 1e-3
            with replaced({**now, name: now[name] + step}):
                rows[2 * k : 2 * k + 2, place[name]] = (_pair(point.estimate()) - here) / step * weight
        lacks.append((_pair(point.found) - here) * weight)
    return rows, np.concatenate(lacks)


def _pair(cost: Cost) -> np.ndarray:
    return np.array([cost.lut, cost.ff], float)


def errors(points: Sequence[Point]) -> np.ndarray:
    """Relative errors (points, 2) of LUT and FF with the constants in use."""
    made = np.array([_pair(p.estimate()) for p in points])
    found = np.array([_pair(p.found) for p in points])
    return (made - found) / np.array([p.size for p in points])
