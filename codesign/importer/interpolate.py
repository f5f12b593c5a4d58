"""Linear and cubic interpolation as sums along one axis after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from codesign.importer.call import Call
from codesign.importer.values import MixesSamples, Refused, Stored
from codesign.ops.resample import Resample

Coordinate = Callable[[Fraction, int, int, Fraction], Fraction]  # result, lengths before and after, scale -> place
MOST_WEIGHTS = 1 << 24


@dataclass(frozen=True)
class Kernel:
    """Linear, or cubic with its coefficient a; `exclude_outside`: weights beyond the edge count as 0."""

    is_cubic: bool
    a: float
    exclude_outside: bool

    def weights(self, t: float) -> dict[int, float]:
        """The weights of the elements around a place `t` after the one at 0."""
        if not self.is_cubic:
            return {0: 1 - t, 1: t}
        return {k: self._cubic(abs(t - k)) for k in (-1, 0, 1, 2)}

    def _cubic(self, x: float) -> float:
        """Keys' kernel: R. Keys, Cubic convolution interpolation for digital image processing, 1981."""
        a = self.a
        if x <= 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


def interpolated(
    call: Call, lengths: list[int], scales: list[Fraction], coordinate: Coordinate, kernel: Kernel
) -> Stored:
    """The input resampled along every axis that changes."""
    x = call.tensor()
    if call.lead and (lengths[0] != call.batch or scales[0] != 1):
        raise MixesSamples("it resizes axis 0, which is the sample axis")
    for axis, (m, scale) in enumerate(zip(lengths[call.lead :], scales[call.lead :], strict=True)):
        n = x.shape[axis]
        if (m, scale) == (n, 1):
            continue
        if m < 1 or m * n > MOST_WEIGHTS:
            raise Refused(f"it resizes an axis from {n} to {m} elements")
        x = x if axis in x.order else call.build.full(x)
        weights = np.stack([_row(coordinate(Fraction(i), n, m, scale), n, kernel) for i in range(m)])
        shape = (*x.shape[:axis], m, *x.shape[axis + 1 :])
        x = Stored(call.build.emit(Resample(x.order.index(axis), weights), x.name), shape, x.order)
    return x


def _row(place: Fraction, n: int, kernel: Kernel) -> np.ndarray:
    """The weights of n elements at a place; beyond the edge the last element repeats."""
    row, base = np.zeros(n), floor(place)
    for k, weight in kernel.weights(float(place - base)).items():
        inside = 0 <= base + k < n
        if inside or not kernel.exclude_outside:
            row[min(max(base + k, 0), n - 1)] += weight
    return row / row.sum() if kernel.exclude_outside else row
