"""One step for several scales: each scale as a whole number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

import numpy as np

MOST_STEPS = 1 << 12  # of the common step in any scale
MOST_WEIGHT = 1 << 14  # of an operand in a sum whose scales share no step
EXACT = 1e-12  # relative: float64 scales that differ by less are the same number


def common_step(scales: Sequence[float], most: int = MOST_STEPS) -> tuple[list[int], float] | None:
    """(multipliers, step) with scales[k] == multipliers[k] * step, to float64 precision; None where there is none.

    `most`: the largest multiplier.
    """
    ratios = [Fraction(s / scales[0]).limit_denominator(MOST_STEPS) for s in scales]
    if any(r == 0 or abs(float(r) * scales[0] / s - 1) > EXACT for r, s in zip(ratios, scales)):
        return None
    denominator = lcm(*(r.denominator for r in ratios))
    whole = [int(r * denominator) for r in ratios]
    shared = gcd(*whole)
    multipliers = [w // shared for w in whole]
    return (multipliers, scales[0] / multipliers[0]) if max(multipliers) <= most else None


def common_steps(scales: Sequence[tuple[float, ...]]) -> tuple[list[np.ndarray], tuple[float, ...]] | None:
    """The same for scales of one entry or one a channel: multipliers (C or 1,) of each, and the steps."""
    channels = max(len(s) for s in scales)
    rows = [np.broadcast_to(s, channels) for s in scales]
    found = [common_step([float(row[c]) for row in rows]) for c in range(channels)]
    known = [f for f in found if f is not None]
    if len(known) < channels:
        return None
    steps = tuple(step for _, step in known)
    return [np.array([m[k] for m, _ in known]) for k in range(len(scales))], steps


def approximations(ratio: float) -> list[tuple[int, int]]:
    """Pairs (p, q) of whole numbers with p / q near a positive ratio, the smallest first, each nearer than the last."""
    found: list[tuple[int, int]] = []
    for limit in sorted({round(1.1**k) for k in range(120) if 1.1**k <= MOST_WEIGHT}):
        p, q = _nearest(ratio, limit)
        if min(p, q) > 0 and (not found or abs(p / q - ratio) < abs(found[-1][0] / found[-1][1] - ratio)):
            found.append((p, q))
    return found


def _nearest(ratio: float, limit: int) -> tuple[int, int]:
    """The nearest p / q with both at most `limit` (or 1)."""
    if ratio <= 1:
        best = Fraction(ratio).limit_denominator(limit)
        return best.numerator, best.denominator
    best = Fraction(1 / ratio).limit_denominator(limit)
    return best.denominator, best.numerator
