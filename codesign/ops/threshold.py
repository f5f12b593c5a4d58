"""Staircases: how many thresholds a value has reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.formats import Binary, Format, carrier
from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.channels import check_channels, freeze

# Up to this many comparisons an element are faster than a table; measured on 10,000 x 64 elements.
_FEW = 11
_TABLE_ENTRIES = 1 << 20
_MOST_STEPS = 1 << 12  # of a staircase with fewer values than that


@dataclass(frozen=True, eq=False)
class Threshold:
    """y = base + step * (number of t with x >= t), along the last axis.

    thresholds (C or 1, L) ascending: int64 for integer x, float64 (also infinite) for any x. base, step (C or 1,):
    step is 1 or -1, for Binary 2 or -2. An integer threshold that is never (always) reached stands just
    above (at) the lowest (highest) value of x; so all of them lie in x.lo..x.hi + 1.
    """

    thresholds: np.ndarray
    format: Format
    base: np.ndarray
    step: np.ndarray
    scale: tuple[float, ...] = (1.0,)
    zero_point: tuple[int, ...] = (0,)

    only_compares = True  # so x may be float32: nothing is rounded

    def __post_init__(self) -> None:
        real = np.asarray(self.thresholds).dtype.kind == "f"
        thresholds = freeze(self, "thresholds", np.float64 if real else np.int64, 2)
        base, step = freeze(self, "base", np.int64, 1), freeze(self, "step", np.int64, 1)
        if np.isnan(thresholds).any() or (thresholds[:, 1:] < thresholds[:, :-1]).any():
            raise GraphError("thresholds do not ascend")
        if (np.abs(step) != (2 if isinstance(self.format, Binary) else 1)).any():
            raise GraphError(f"a staircase cannot step by {np.abs(step).max()} in {self.format}")
        ends = np.concatenate([base, base + step * thresholds.shape[1]])
        if not self.format.contains(ends):
            raise GraphError(f"a staircase {ends.min()}..{ends.max()} leaves {self.format}")

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        check_channels(x, self.thresholds, self.base, self.step)
        if self.thresholds.dtype == np.int64 and x.type.format is None:
            raise GraphError("integer thresholds meet a real tensor")
        return TensorType(x.type.shape, self.format, self.scale, self.zero_point)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        (x,) = arrays
        dtype = carrier(out.format)
        span = int(self.thresholds.max() - self.thresholds.min()) if self.thresholds.dtype == np.int64 else -1
        if self.thresholds.shape[1] <= _FEW:
            count = _count_by_comparing(x, self.thresholds)
        elif 0 <= span < _TABLE_ENTRIES // len(self.thresholds):
            return self._run_table(x, dtype)
        else:
            count = _count_by_search(x, self.thresholds)
        return _affine(count, self.base, self.step, dtype)

    def _run_table(self, x: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Integer x: look up the result, x limited to where the staircase changes."""
        lo, hi = int(self.thresholds.min()) - 1, int(self.thresholds.max())
        codes = np.arange(lo, hi + 1)
        counts = np.stack([np.searchsorted(row, codes, side="right") for row in self.thresholds])
        table = (self.base[:, None] + self.step[:, None] * counts).astype(dtype)
        return lookup(table, x, lo)


def staircase(
    values: np.ndarray,
    lo: int,
    format: Format,
    scale: tuple[float, ...] = (1.0,),
    zero_point: tuple[int, ...] = (0,),
) -> Threshold | None:
    """The function with values (C, n) at x = lo..lo + n - 1 as a Threshold.

    None if a channel is not monotone, or where thresholds would be many times as many as values.
    All channels count from the same end of the same range; where a channel starts inside, its first thresholds
    are always reached. So the staircase stays in the format, whatever the channels do.
    """
    low, high, stride = step_range(values, format)
    if (high - low) // stride > max(_MOST_STEPS, values.shape[1]):
        return None
    falls = values[:, -1] < values[:, 0]
    rising = np.where(falls[:, None], -values, values)
    if (np.diff(rising, axis=1) < 0).any() or high > format.hi:
        return None
    levels = np.arange(low + stride, high + 1, stride)
    marks = [-(levels[::-1] - stride) if f else levels for f in falls]
    thresholds = np.stack([lo + np.searchsorted(row, mark) for row, mark in zip(rising, marks)])
    base, step = np.where(falls, high, low), np.where(falls, -stride, stride)
    return Threshold(thresholds, format, base, step, scale, zero_point)


def step_range(values: np.ndarray, format: Format) -> tuple[int, int, int]:
    """Lowest and highest value of a staircase with these values, at least one step apart, and its step."""
    stride = 2 if isinstance(format, Binary) else 1
    low, high = int(values.min()), int(values.max())
    if low == high:
        low, high = (low - stride, high) if low > format.lo else (low, high + stride)
    return low, high, stride


def round_up(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The least representable values not below `values`, so that x >= t is the same for every x of `dtype`."""
    near = values.astype(dtype)
    if dtype.kind != "f":
        return near
    below = near.astype(values.dtype) < values
    return np.where(below, np.nextafter(near, dtype.type(np.inf)), near)


def lookup(table: np.ndarray, x: np.ndarray, lo: int) -> np.ndarray:
    """table (C or 1, n) at [channel, x - lo], x limited to lo..lo + n - 1."""
    index = np.clip(x, lo, lo + table.shape[1] - 1).astype(np.intp)
    index += np.arange(len(table)) * table.shape[1] - lo
    return table.ravel().take(index, mode="clip")  # never out of range: "clip" only spares the check


def _count_by_comparing(x: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Counts (int8) by one comparison a threshold."""
    levels = np.ascontiguousarray(round_up(thresholds, x.dtype).T)
    count = (x >= levels[0]).view(np.int8)
    for level in levels[1:]:
        count += (x >= level).view(np.int8)
    return count


def _count_by_search(x: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Counts (int64) by binary search in each channel's thresholds."""
    levels = round_up(thresholds, x.dtype)
    if len(levels) == 1:
        return np.searchsorted(levels[0], x, side="right")
    return np.stack([np.searchsorted(t, x[..., c], side="right") for c, t in enumerate(levels)], axis=-1)


def _affine(count: np.ndarray, base: np.ndarray, step: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """base + step * count in `dtype`, which holds the result; int8 counts stay int8 while the result fits."""
    ends = np.concatenate([base, base + step * _FEW])
    narrow = count.dtype == np.int8 and ends.min() >= -128 and ends.max() <= 127
    y = count if narrow else count.astype(dtype)
    if (step != 1).any():
        y *= step.astype(y.dtype)
    if base.any():
        y += base.astype(y.dtype)
    return y.astype(dtype, copy=False)
