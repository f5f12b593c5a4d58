"""Is a staircase a multiply-shift? Find the integers that prove it, or find that there are none.

A multiply-shift reaches the value v at x exactly when x * multiplier + offset >= bound(v). So every step of the
staircase is two linear inequalities in (multiplier, offset); for one multiplier the room that they leave for the
offset is a concave function of it, whose first root Newton's steps find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.formats import Binary, Format
from codesign.graph import Operand, TensorType
from codesign.ops.requant import Requant
from codesign.ops.threshold import Threshold

_LARGEST = 1 << 60  # of any number that the search computes


@dataclass(frozen=True)
class _Steps:
    """A rising staircase: at x = reach_at[k] it is reach_value[k] or more, at below_at[k] less than below_value[k].

    That is all that can be said of a monotone function. Where the channel falls, x and the multiplier are negated.
    """

    reach_at: np.ndarray
    reach_value: np.ndarray
    below_at: np.ndarray
    below_value: np.ndarray
    falls: bool


def fit_requant(op: Threshold, x: Format, multiplier_bits: int = 35) -> Requant | None:
    """The multiply-shift of least shift that equals `op` for every x of the format, or None: proven before return.

    Multipliers are signed numbers of at most `multiplier_bits`. L steps over N values of x ask for a slope that is
    exact to about one part in 2 L N, so 8-bit results of 16-bit sums take some 24 bits: 35 are two DSP48E1.
    """
    if isinstance(op.format, Binary) or op.thresholds.dtype != np.int64:
        return None
    channels = [_steps(op, x, c) for c in range(_channels(op))]
    limit = min((1 << (multiplier_bits - 1)) - 1, _LARGEST // max(abs(x.lo), abs(x.hi), 1))
    for shift in range(_LARGEST.bit_length() - 1 - _magnitude_bits(op.format)):
        for rounding in ("floor", "half_even") if shift else ("floor",):
            found = _fit_channels(channels, shift, rounding, limit)
            if found is not None:
                fitted = _requant(op, found, shift, rounding)
                return fitted if equal_everywhere(op, fitted, x) else None
    return None


def equal_everywhere(op: Threshold, fitted: Requant, x: Format) -> bool:
    """Whether two monotone functions agree on all of x: compared at both ends and on both sides of every step."""
    count = max(_channels(op), len(fitted.multiplier))
    steps = np.broadcast_to(op.thresholds, (count, op.thresholds.shape[1]))
    ends = np.broadcast_to([x.lo, x.hi], (count, 2))
    points = np.clip(np.concatenate([ends, steps, steps - 1], axis=1), x.lo, x.hi).T
    operand = Operand(TensorType((count,), x))
    return bool((op.run(op.infer(operand), points) == fitted.run(fitted.infer(operand), points)).all())


def _channels(op: Threshold) -> int:
    return max(len(op.thresholds), len(op.base), len(op.step))


def _steps(op: Threshold, x: Format, channel: int) -> _Steps:
    """The channel as a rising staircase over the whole output range."""
    row = np.clip(op.thresholds[channel % len(op.thresholds)], x.lo, x.hi + 1)
    base, falls = int(op.base[channel % len(op.base)]), bool(op.step[channel % len(op.step)] < 0)
    lo, hi = x.lo, x.hi
    if falls:  # as a function of -x: it starts at the lowest value, and steps at -(t - 1)
        row, base, lo, hi = (1 - row)[::-1], base - len(row), -x.hi, -x.lo
    values = np.arange(op.format.lo + 1, op.format.hi + 1)
    first = np.concatenate([[lo], row, [hi + 1]])[np.clip(values - base, 0, len(row) + 1)]
    reached, missed = first <= hi, first > lo
    return _Steps(first[reached], values[reached], first[missed] - 1, values[missed], falls)


def _magnitude_bits(format: Format) -> int:
    return max(abs(format.lo), abs(format.hi), 1).bit_length()


def _fit_channels(channels: list[_Steps], shift: int, rounding: str, limit: int) -> list[tuple[int, int]] | None:
    """(multiplier, offset) of every channel, or None as soon as one has none."""
    found = []
    for steps in channels:
        pair = _fit(steps, shift, rounding, limit)
        if pair is None:
            return None
        found.append(pair)
    return found


def _fit(steps: _Steps, shift: int, rounding: str, limit: int) -> tuple[int, int] | None:
    """One channel's legal pair of least multiplier magnitude, and of these of least offset magnitude, or None."""
    reach, below = bounds(steps.reach_value, shift, rounding), bounds(steps.below_value, shift, rounding) - 1
    multiplier = 0
    while multiplier <= limit:
        at_least, at_most = reach - multiplier * steps.reach_at, below - multiplier * steps.below_at
        least, most = int(at_least.max(initial=-_LARGEST)), int(at_most.min(initial=_LARGEST))
        if least <= most:
            return (-multiplier if steps.falls else multiplier), sorted((least, 0, most))[1]
        # Newton's step from the left never passes a root of a concave function: the tangent lies above it.
        slope = int(steps.reach_at[at_least.argmax()] - steps.below_at[at_most.argmin()])
        if slope <= 0:
            return None
        multiplier += -((most - least) // slope)
    return None


def bounds(values: np.ndarray, shift: int, rounding: str) -> np.ndarray:
    """The least x * multiplier + offset that rounds to each value or above; ties go to the even one."""
    if rounding == "floor":
        return values << shift
    return (values << shift) - (1 << (shift - 1)) + (values & 1)


def _requant(op: Threshold, found: list[tuple[int, int]], shift: int, rounding: str) -> Requant:
    multiplier, offset = (np.array(v, dtype=np.int64) for v in zip(*found))
    if len(set(found)) == 1:
        multiplier, offset = multiplier[:1], offset[:1]
    return Requant(multiplier, offset, shift, rounding, op.format, op.scale, op.zero_point)


def stairs_of_requant(op: Requant, x: Format) -> Threshold | None:
    """The same function of x as a staircase, proven before return; None where a channel's result never changes."""
    if not op.multiplier.all():
        return None
    values = np.arange(op.format.lo + 1, op.format.hi + 1)
    rows, count = [], max(len(op.multiplier), len(op.offset))
    for m, b in zip(np.resize(op.multiplier, count).tolist(), np.resize(op.offset, count).tolist(), strict=True):
        reach = [_first_reaching(op, abs(m), b, v) for v in values.tolist()]
        row = np.clip(reach, x.lo, x.hi + 1) if m > 0 else np.clip([1 - r for r in reversed(reach)], x.lo, x.hi + 1)
        rows.append(row)
    falls = np.resize(op.multiplier, count) < 0
    base, step = np.where(falls, op.format.hi, op.format.lo), np.where(falls, -1, 1)
    stairs = Threshold(np.array(rows), op.format, base, step, op.scale, op.zero_point)
    return stairs if equal_everywhere(stairs, op, x) else None


def _first_reaching(op: Requant, multiplier: int, offset: int, value: int) -> int:
    """The least x (or where the channel falls, -x) with a result of at least `value`, clamping left out."""
    if op.rounding == "floor" or not op.shift:
        return -((offset - (value << op.shift)) // multiplier)
    bound = ((2 * value - 1) << op.shift) + value % 2  # a tie goes to even: an odd value needs more
    return -((2 * offset - bound) // (2 * multiplier))
