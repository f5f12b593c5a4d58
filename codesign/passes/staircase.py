"""A function of one bounded integer, a channel at a time -> Threshold or Table, by evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codesign.formats import Binary, Format
from codesign.graph import GraphError, TensorType
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold

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
    if monotone and count * channels > MOST_EVALUATIONS:
        return _bisected(function, x, channels, result)
    if count > MOST_VALUES:
        raise GraphError(f"a function that is not monotone, of {count} integers: too many to evaluate")
    values = _evaluate(function, np.arange(x.lo, x.hi + 1), channels)
    steps = np.diff(values, axis=0)
    if np.all((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)):
        return _from_values(values, x, result)
    if count > MOST_TABLE:
        raise GraphError(f"a function that rises and falls over {count} integers: too many for a table")
    assert result.format is not None
    return Table(_shared(values.T), x.lo, result.format, result.scale, result.zero_point)


def _evaluate(function: Function, integers: np.ndarray, channels: int) -> np.ndarray:
    """The function at every integer, for every channel: (n, channels) int64."""
    rows = max(1, (1 << 20) // channels)
    parts = [integers[k : k + rows] for k in range(0, len(integers), rows)]
    wide = (np.repeat(p[:, None], channels, axis=1) for p in parts)
    return np.concatenate([function(w).astype(np.int64) for w in wide])


def _shared(rows: np.ndarray) -> np.ndarray:
    """One row where every channel's is the same."""
    return rows[:1] if (rows == rows[0]).all() else rows


def _from_values(values: np.ndarray, x: Format, result: TensorType) -> Threshold:
    """Thresholds read off a complete, monotone evaluation (n, channels)."""
    unit = 2 if isinstance(result.format, Binary) else 1
    direction = np.where(values[-1] < values[0], -1, 1)
    base, levels = _span(values[0], values[-1], direction, unit)
    goals = base[:, None] + direction[:, None] * unit * np.arange(1, levels + 1)
    thresholds = np.stack(
        [
            x.lo + np.searchsorted(values[:, c] * direction[c], goals[c] * direction[c])
            for c in range(len(direction))
        ]
    )
    return _threshold(thresholds, base, direction * unit, result)


def _span(first: np.ndarray, last: np.ndarray, direction: np.ndarray, unit: int) -> tuple[np.ndarray, int]:
    """Where each channel starts, and how many steps all of them need; at least one."""
    low = int(min(first.min(), last.min()))
    high = int(max(first.max(), last.max()))
    levels = max((high - low) // unit, 1)
    # a constant function keeps a step that is never taken; binary has no room below or above
    high = low + levels * unit if high == low and low != 1 else high
    low = high - levels * unit
    return np.where(direction > 0, low, high), levels


def _bisected(function: Function, x: Format, channels: int, result: TensorType) -> Threshold:
    """Thresholds of a monotone function by bisection, all channels and levels at once."""
    unit = 2 if isinstance(result.format, Binary) else 1
    ends = _evaluate(function, np.array([x.lo, x.hi]), channels)
    direction = np.where(ends[1] < ends[0], -1, 1)
    base, levels = _span(ends[0], ends[1], direction, unit)
    goals = np.arange(1, levels + 1)[:, None] * unit
    low = np.full((levels, channels), x.lo - 1, dtype=np.int64)  # not reached at low, reached at high
    high = np.full((levels, channels), x.hi + 1, dtype=np.int64)
    while (high - low > 1).any():
        middle = (low + high) >> 1
        inside = np.clip(middle, x.lo, x.hi)
        reached = (function(inside).astype(np.int64) - base) * direction >= goals
        open_ = high - low > 1
        high = np.where(reached & open_, middle, high)
        low = np.where(~reached & open_, middle, low)
    return _threshold(high.T, base, direction * unit, result)


def _threshold(thresholds: np.ndarray, base: np.ndarray, step: np.ndarray, result: TensorType) -> Threshold:
    """One row for all channels where they agree."""
    rows = _shared(np.column_stack([thresholds, base, step]))
    levels = thresholds.shape[1]
    assert result.format is not None
    return Threshold(
        rows[:, :levels], result.format, rows[:, levels], rows[:, levels + 1], result.scale, result.zero_point
    )
