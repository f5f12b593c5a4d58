"""A function of one bounded integer, a channel at a time -> Threshold, Table or both, by evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codesign.formats import Format, Int
from codesign.graph import GraphError, TensorType
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold, staircase, step_range
from codesign.passes.stretches import bisected_runs

MOST_VALUES = 1 << 20  # reachable integers that are evaluated one by one
MOST_EVALUATIONS = 1 << 23  # integers times channels beyond which a monotone function is bisected instead
MOST_TABLE = 1 << 12  # entries of a table for a function that rises and falls, or steps unevenly
SMALL_TABLE = 1 << 10  # entries up to which a table alone is less than thresholds and a table behind them

Function = Callable[[np.ndarray], np.ndarray]  # (n, channels) integers -> (n, channels) integers
Steps = tuple[Threshold] | tuple[Table] | tuple[Threshold, Table]


def tabulate(
    function: Function, x: Format, channels: int, result: TensorType, starts: np.ndarray | None,
    levels: np.ndarray | None = None,
) -> Steps:  # fmt: skip
    """The exact integer operators, one behind the other, that equal `function` on every integer of `x`.

    `starts` (stretches, channels), ascending: from each to the next the function is declared to only rise or only
    fall, so that it may be bisected. `levels`, ascending: its results are among these; by default, any that the
    format holds. GraphError where neither a complete evaluation nor bisection is possible.
    """
    count = x.hi - x.lo + 1
    if starts is not None and (count > MOST_VALUES or count * channels > MOST_EVALUATIONS):
        if len(starts) == 1 and levels is None:
            return (_bisected_stairs(function, x, channels, result),)
        index = function if levels is None else lambda n: np.searchsorted(levels, function(n))
        return _by_runs(*bisected_runs(function, index, starts, x.hi), x, result)
    if count > MOST_VALUES:
        raise GraphError(f"a function that is not known to rise or fall, of {count} integers: too many to evaluate")
    return _evaluated(function, x, channels, result)


def _evaluated(function: Function, x: Format, channels: int, result: TensorType) -> Steps:
    """By a function's value at every integer."""
    assert result.format is not None
    every = np.arange(x.lo, x.hi + 1)
    values = _shared(_evaluate(function, every, channels).T)
    runs = int((np.diff(values, axis=1) != 0).sum(axis=1).max(initial=0)) + 1
    low, high, stride = step_range(values, result.format)
    even = (high - low) // stride <= 2 * runs
    stairs = staircase(values, x.lo, result.format, result.scale, result.zero_point) if even else None
    if stairs is not None:
        return (stairs,)
    if len(every) <= min(max(4 * runs, SMALL_TABLE), MOST_TABLE):
        return (Table(values, x.lo, result.format, result.scale, result.zero_point),)
    return _by_runs(np.broadcast_to(every, values.shape), values, x, result)


def _by_runs(points: np.ndarray, values: np.ndarray, x: Format, result: TensorType) -> Steps:
    """Which run of equal values an integer lies in, by thresholds; then that value, by a table.

    values (C, n) hold from points (C, n), which ascend from x.lo, up to the next.
    """
    changes = np.diff(values, axis=1, prepend=values[:, :1] - 1) != 0
    changes[:, 1:] &= points[:, 1:] <= x.hi
    runs = int(changes.sum(axis=1).max())
    if runs > MOST_TABLE:
        raise GraphError(f"a function that changes {runs - 1} times over {x.hi - x.lo + 1} integers: too often")
    starts = np.full((len(values), runs), x.hi + 1)  # above the highest: a run that never comes
    held = np.repeat(values[:, :1], runs, axis=1)
    for c, own in enumerate(changes):
        starts[c, : own.sum()], held[c, : own.sum()] = points[c, own], values[c, own]
    assert result.format is not None
    index = Threshold(_shared(starts[:, 1:]), Int(0, runs - 1), np.zeros(1), np.ones(1))
    return index, Table(_shared(held), 0, result.format, result.scale, result.zero_point)


def _evaluate(function: Function, integers: np.ndarray, channels: int) -> np.ndarray:
    """The function at every integer, for every channel: (n, channels) int64."""
    rows = max(1, (1 << 20) // channels)
    parts = [integers[k : k + rows] for k in range(0, len(integers), rows)]
    wide = (np.repeat(p[:, None], channels, axis=1) for p in parts)
    return np.concatenate([function(w).astype(np.int64) for w in wide])


def _shared(rows: np.ndarray) -> np.ndarray:
    """One row where every channel's is the same."""
    return rows[:1] if (rows == rows[0]).all() else rows


def _bisected_stairs(function: Function, x: Format, channels: int, result: TensorType) -> Threshold:
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
