"""Functions of an integer in stretches, in each of which they only rise or only fall: there they are bisected."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]  # (n, channels) integers -> (n, channels)


def split_where(above: Function, starts: np.ndarray, hi: int) -> np.ndarray:
    """Stretches cut in two where `above`, which changes at most once in each, changes.

    starts (stretches, channels), the last stretch up to `hi`; one without a change gets an empty second half.
    """
    ends = _ends(starts, hi)
    side = above(np.minimum(starts, hi))
    changed = bisected(lambda n: above(n) != side, starts, ends, hi)
    return np.stack([starts, changed], axis=1).reshape(-1, starts.shape[1])


def bisected_runs(function: Function, level: Function, starts: np.ndarray, hi: int) -> tuple[np.ndarray, np.ndarray]:
    """(points, values), both (channels, n): values hold from each point up to the next, points ascend.

    `level`: the function's value as a whole number that changes with it, monotone in every stretch.
    """
    stretches, channels = starts.shape
    ends = _ends(starts, hi)
    first, last = (level(np.clip(n, starts[0], hi)).astype(np.int64) for n in (starts, ends - 1))
    goals = np.arange(1, int(np.abs(last - first).max()) + 1)[:, None, None]
    sign, shape = np.sign(last - first), (len(goals), stretches, channels)

    def reached(n: np.ndarray) -> np.ndarray:
        return (level(n.reshape(-1, channels)).astype(np.int64).reshape(shape) - first) * sign >= goals

    found = bisected(reached, np.broadcast_to(starts, shape), np.broadcast_to(ends, shape), hi)
    points = np.sort(np.concatenate([starts, found.reshape(-1, channels)]), axis=0)
    return points.T, function(np.minimum(points, hi)).astype(np.int64).T


def bisected(reached: Function, low: np.ndarray, ends: np.ndarray, hi: int) -> np.ndarray:
    """The first integers above `low` at which `reached`, or `ends` where there is none before; none exceeds hi + 1."""
    high = ends
    while (wide := high - low > 1).any():
        middle = (low + high) >> 1
        there = reached(np.minimum(middle, hi))
        high, low = np.where(there & wide, middle, high), np.where(~there & wide, middle, low)
    return high


def _ends(starts: np.ndarray, hi: int) -> np.ndarray:
    """One past the last integer of every stretch."""
    return np.concatenate([starts[1:], np.full((1, starts.shape[1]), hi + 1)])
