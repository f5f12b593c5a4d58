"""How wide a range the codes should span, from what was seen: the histogram of a tensor -> (low, high)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.quantize.precision import Activations

PERCENT_KEPT = 99.99
MOST_HALVINGS = 8  # of a scale below the coarsest that it is added to: finer steps would not show in the sum
SHRINKAGES = np.geomspace(1.0, 0.03, 100)  # of the range seen, tried by the searching observers


@dataclass(frozen=True)
class Histogram:
    """Counts (n,) of values between edges (n + 1,)."""

    counts: np.ndarray
    edges: np.ndarray

    @property
    def centers(self) -> np.ndarray:
        return (self.edges[1:] + self.edges[:-1]) / 2

    def __add__(self, other: Histogram) -> Histogram:
        """Of both, which have the same edges."""
        return Histogram(self.counts + other.counts, self.edges)

    @property
    def trimmed(self) -> Histogram:
        """Without the empty bins at the ends."""
        held = np.flatnonzero(self.counts)
        return Histogram(self.counts[held[0] : held[-1] + 1], self.edges[held[0] : held[-1] + 2])


@dataclass(frozen=True)
class Codes:
    """real = scale * (code - zero_point), codes within the format."""

    activations: Activations
    scale: float
    zero_point: int

    def rounded(self, x: np.ndarray) -> np.ndarray:
        """Real values -> the nearest real values that have a code."""
        fmt = self.activations.format
        levels = np.clip(np.rint(x / self.scale) + self.zero_point, fmt.lo, fmt.hi)
        return (levels - self.zero_point) * self.scale


def codes_for(activations: Activations, low: float, high: float) -> Codes:
    """Codes that span low..high and hold 0 exactly, so that padding and rectified values cost no error."""
    fmt, low, high = activations.format, min(low, 0.0), max(high, 0.0)
    if not activations.affine:
        return Codes(activations, max(-low, high) / fmt.hi, 0)
    scale = (high - low) / (fmt.hi - fmt.lo)
    return Codes(activations, scale, int(np.clip(np.rint(fmt.lo - low / scale), fmt.lo, fmt.hi)))


def related(codes: Codes, coarsest: float) -> Codes:
    """At least the same range, with a scale that is `coarsest` (not less than its own) over a power of two."""
    scale = coarsest / 2.0 ** min(int(np.log2(coarsest / codes.scale) + 1e-9), MOST_HALVINGS)
    if not codes.activations.affine:
        return Codes(codes.activations, scale, 0)
    fmt = codes.activations.format
    low = (fmt.lo - codes.zero_point) * codes.scale
    return Codes(codes.activations, scale, int(np.clip(np.rint(fmt.lo - low / scale), fmt.lo, fmt.hi)))


def min_max(histogram: Histogram, activations: Activations) -> Codes:
    """Everything that was seen."""
    return codes_for(activations, *_ends(histogram))


def percentile(histogram: Histogram, activations: Activations) -> Codes:
    """All but the outermost values on each side."""
    below = np.cumsum(histogram.counts) / histogram.counts.sum() * 100
    first = int(np.searchsorted(below, 100 - PERCENT_KEPT, side="right"))
    last = int(np.searchsorted(below, PERCENT_KEPT))
    last = min(max(last, first), len(histogram.counts) - 1)
    return codes_for(activations, float(histogram.edges[first]), float(histogram.edges[last + 1]))


def mean_square(histogram: Histogram, activations: Activations) -> Codes:
    """The range of least squared error."""
    weights, values = histogram.counts, histogram.centers

    def error(codes: Codes) -> float:
        return float((weights * (codes.rounded(values) - values) ** 2).sum())

    return _best(histogram, activations, error)


def entropy(histogram: Histogram, activations: Activations) -> Codes:
    """The range whose quantized distribution differs least from the seen one, by Kullback-Leibler divergence.

    Each level spreads its count evenly over the bins that it stands for and that hold anything; the counts that a
    range cuts off belong to its outermost bins (Migacz, "8-bit inference with TensorRT", 2017). The bin of 0, which
    rectifiers fill and every range holds exactly, is left out: it would outweigh all others.
    """
    values = histogram.centers
    weights = np.where(np.arange(len(values)) == np.abs(values).argmin(), 0.0, histogram.counts)

    def divergence(codes: Codes) -> float:
        level = np.rint(codes.rounded(values) / codes.scale).astype(np.int64)
        inside = np.abs(values - codes.rounded(values)) <= codes.scale / 2 * (1 + 1e-9)
        return _divergence(weights, level - level.min(), inside)

    return _best(histogram, activations, divergence)


def _divergence(weights: np.ndarray, level: np.ndarray, inside: np.ndarray) -> float:
    """Of the counts as they are, cut off values put onto the ends, from what the levels can express."""
    kept = np.flatnonzero(inside)
    clipped = np.where(inside, weights, 0.0)
    clipped[kept[0]] += weights[: kept[0]].sum()
    clipped[kept[-1]] += weights[kept[-1] + 1 :].sum()
    held = (clipped > 0) & inside
    seen = np.where(inside, weights, 0.0)
    total = np.bincount(level[held], seen[held], minlength=level.max() + 1)
    bins = np.bincount(level[held], minlength=level.max() + 1)
    spread = (total / np.maximum(bins, 1))[level[held]]
    p, q = clipped[held] / clipped.sum(), np.maximum(spread, 1e-12) / max(seen.sum(), 1e-12)
    return float((p * np.log(p / q)).sum())


def _best(histogram: Histogram, activations: Activations, cost: Callable[[Codes], float]) -> Codes:
    """Both ends shrunk together, then each end alone, to the least cost."""
    low, high = _ends(histogram)
    candidates = [codes_for(activations, low * s, high * s) for s in SHRINKAGES]
    near = min(candidates, key=cost)
    if not activations.affine or low >= 0 or high <= 0:
        return near
    reach = float(SHRINKAGES[candidates.index(near)])
    ends = [(low * reach * a, high * reach * b) for a in np.linspace(0.6, 1.4, 9) for b in np.linspace(0.6, 1.4, 9)]
    inside = [codes_for(activations, max(a, low), min(b, high)) for a, b in ends]
    return min([near, *inside], key=cost)


def _ends(histogram: Histogram) -> tuple[float, float]:
    return float(histogram.edges[0]), float(histogram.edges[-1])


Observer = Callable[[Histogram, Activations], Codes]
OBSERVERS: dict[str, Observer] = {
    "min-max": min_max,
    "percentile": percentile,
    "mse": mean_square,
    "entropy": entropy,
}
