"""Activations of several tensors side by side as one activation of all their channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.formats import Format
from codesign.graph import Op, TensorType
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.passes.staircase import MOST_TABLE
from codesign.requantize import bounds, fit_requant

WIDENED = (Threshold, Table, Requant)
Meaning = tuple[tuple[float, ...], tuple[int, ...]]  # scale and zero point


def widened(
    ops: Sequence[Op], sources: Sequence[Format], results: Sequence[TensorType], wide: Format
) -> Op | None:  # fmt: skip
    """One activation of integers in `wide` that does to each part's channels what its own does; None: there is none.

    A part's integers stay in its own format of `sources`: what is done to others is free. The result means what theirs
    do where all mean the same, else plain integers.
    """
    if len({r.format for r in results}) != 1 or len({type(op) for op in ops}) != 1 or not isinstance(ops[0], WIDENED):
        return None
    sizes = [r.shape[-1] for r in results]
    meanings = {(r.scale, r.zero_point) for r in results}
    meaning: Meaning = meanings.pop() if len(meanings) == 1 else ((1.0,), (0,))
    if isinstance(ops[0], Threshold):
        pairs = zip(ops, sources, strict=True)
        own = [_continued(op, source, wide) for op, source in pairs if isinstance(op, Threshold)]
        return _thresholds(own, sizes, wide, meaning)
    if isinstance(ops[0], Table):
        return _tables([op for op in ops if isinstance(op, Table)], sizes, wide, meaning)
    return _requants([op for op in ops if isinstance(op, Requant)], sizes, meaning)


def _rows(values: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """Parameters of every channel: (sum of sizes, ...)."""
    return np.concatenate([np.broadcast_to(v, (n, *v.shape[1:])) for v, n in zip(values, sizes)])


def _continued(op: Threshold, own: Format, wide: Format) -> Threshold:
    """The staircase, beyond its own range as the multiply-shift that it is there goes on, so that it still is one."""
    fitted = fit_requant(op, own)
    if fitted is None or (fitted.multiplier <= 0).any():
        return op
    values = np.arange(op.format.lo + 1, op.format.hi + 1)
    room = bounds(values, fitted.shift, fitted.rounding) - fitted.offset[:, None]
    marks = np.clip(-(-room // fitted.multiplier[:, None]), wide.lo, wide.hi + 1)
    ones = np.ones(len(marks), np.int64)
    return Threshold(marks, op.format, op.format.lo * ones, ones, op.scale, op.zero_point)


def _thresholds(ops: Sequence[Threshold], sizes: Sequence[int], wide: Format, meaning: Meaning) -> Threshold:
    """Staircases of one length: a shorter one begins with steps that are always made, or ends with steps never made."""
    ends = [op.base + op.step * op.thresholds.shape[1] for op in ops]
    bounds = np.concatenate([*(op.base for op in ops), *ends])
    step = _rows([op.step for op in ops], sizes)
    base = np.where(step > 0, bounds.min(), bounds.max())
    missing = np.abs(_rows([op.base for op in ops], sizes) - base) // np.abs(step)
    count = int(bounds.max() - bounds.min()) // int(abs(step[0]))
    reached = np.arange(count) < missing[:, None]
    longest = max(op.thresholds.shape[1] for op in ops) + count
    own = [
        np.pad(op.thresholds, ((0, 0), (0, longest - op.thresholds.shape[1])), constant_values=wide.hi + 1)
        for op in ops
    ]
    places = np.maximum(np.arange(count) - missing[:, None], 0)
    marks = np.where(reached, wide.lo, np.take_along_axis(_rows(own, sizes), places, axis=1))
    return Threshold(marks, ops[0].format, base, step, *meaning)


def _tables(ops: Sequence[Table], sizes: Sequence[int], wide: Format, meaning: Meaning) -> Table | None:
    """Tables of one range: what a part never reaches is as at its end."""
    if wide.hi - wide.lo >= MOST_TABLE:
        return None
    x = np.arange(wide.lo, wide.hi + 1)
    values = [op.values[:, np.clip(x - op.lo, 0, op.values.shape[1] - 1)] for op in ops]
    return Table(_rows(values, sizes), wide.lo, ops[0].format, *meaning)


def _requants(ops: Sequence[Requant], sizes: Sequence[int], meaning: Meaning) -> Requant | None:
    """Multiply-shifts of one shift and rounding."""
    if len({(op.shift, op.rounding, op.format) for op in ops}) != 1:
        return None
    multiplier, offset = (_rows([getattr(op, k) for op in ops], sizes) for k in ("multiplier", "offset"))
    return Requant(multiplier, offset, ops[0].shift, ops[0].rounding, ops[0].format, *meaning)
