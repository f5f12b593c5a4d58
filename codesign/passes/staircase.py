"""A function of one bounded integer, a channel at a time -> Threshold or Table, by evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codesign.formats import Format
from codesign.graph import GraphError, TensorType
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold, staircase, step_range

MOST_VALUES = 1 << 20  # reachable integers that are evaluated one by one
MOST_EVALUATIONS = 1 << 23  # integers times channels beyond which a monotone function is bisected instead
MOST_TABLE = 1 << 12  # entries of a table for a function that rises and falls

Function = Callable[[np.ndarray], np.ndarray]  # (n, channels) integers -> (n, channels) integers


def tabulate(function: Function, x: Format, channels: int, result: TensorType, monotone: bool) -> Threshold | Table:
    """The exact integer operator equal to `function` on every integer of `x`.

    `monotone`: each channel's function is declared to only rise or only fall, so that it may be bisected.
    GraphError where neither a complete evaluation nor bisection is possible.
    """
    count = x.hi - x.lo + 1
    if monotone and (count > MOST_VALUES or count * channels > MOST_EVALUATIONS):
        return _bisected(function, x, channels, result)
    if count > MOST_VALUES:
        raise GraphError(f"a function that is not monotone, of {count} integers: too many to evaluate")
    assert result.format is not None
    values = _shared(_evaluate(function, np.arange(x.lo, x.hi + 1), channels).T)
    stairs = staircase(values, x.lo, result.format, result.scale, result.zero_point)
    if stairs is not None:
        return stairs
    if count > MOST_TABLE:
        raise GraphError(f"a function that rises and falls over {count} integers: too many for a table")
    return Table(values, x.lo, result.format, result.scale, result.zero_point)


def _evaluate(function: Function, integers: np.ndarray, channels: int) -> np.ndarray:
    """The function at every integer, for every channel: (n, channels) int64."""
    rows = max(1, (1 << 20) // channels)
    parts = [integers[k : k + rows] for k in range(0, len(integers), rows)]
    wide = (np.repeat(p[:, None], channels, axis=1) for p in parts)
    return np.concatenate([function(w).astype(np.int64) for w in wide])


def _shared(rows: np.ndarray) -> np.ndarray:
    """One row where every channel's is the same."""
    return rows[:1] if (rows == rows[0]).all() else rows


def _bisected(function: Function, x: Format, channels: int, result: TensorType) -> Threshold:
    """Thresholds of a monotone function by bisection, all channels and levels at once."""
    assert result.format is not None
    ends = _evaluate(function, np.array([x.lo, x.hi]), channels)
    bottom, top, stride = step_range(ends, result.format)
    falls = ends[1] < ends[0]
    base, step = np.where(falls, top, bottom), np.where(falls, -stride, stride)
    goals = np.arange(stride, top - bottom + 1, stride)[:, None]
    low = np.full((len(goals), channels), x.lo - 1, dtype=np.int64)  # not reached at low, reached at high
    high = np.full((len(goals), channels), x.hi + 1, dtype=np.int64)
    while (high - low > 1).any():
        middle = (low + high) >> 1
        reached = (function(np.clip(middle, x.lo, x.hi)).astype(np.int64) - base) * np.sign(step) >= goals
        inside = high - low > 1
        high, low = np.where(reached & inside, middle, high), np.where(~reached & inside, middle, low)
    rows = _shared(np.column_stack([high.T, base, step]))
    return Threshold(rows[:, :-2], result.format, rows[:, -2], rows[:, -1], result.scale, result.zero_point)
