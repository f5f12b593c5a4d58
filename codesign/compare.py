"""Two arrays of one tensor: noise where they may differ, the first place where they may not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.accuracy import sqnr_db
from codesign.graph import TensorType

STEPS, RELATIVE = 0.01, 1e-9  # apart by more than this of one step (and of the value), two numbers are two integers
DIGITS = 6  # behind the point, of an integer that real numbers make


@dataclass(frozen=True)
class Place:
    """An element of a sample, and the two values that stand there."""

    sample: int
    index: tuple[int, ...]
    wanted: float
    got: float


@dataclass(frozen=True)
class Noise:
    """Sums of squares of a signal and of its error, and where the error is largest."""

    signal: float
    noise: float
    largest: Place

    @property
    def sqnr_db(self) -> float:
        return sqnr_db(self.signal, self.noise)

    @property
    def relative(self) -> float:
        """Noise over signal."""
        return self.noise / self.signal if self.signal else float(self.noise > 0)

    @property
    def error(self) -> float:
        """The largest absolute error."""
        return abs(self.largest.got - self.largest.wanted)

    def joined(self, later: Noise) -> Noise:
        """Of the samples of both."""
        largest = later.largest if later.error > self.error else self.largest
        return Noise(self.signal + later.signal, self.noise + later.noise, largest)


@dataclass(frozen=True)
class Exact:
    """Values compared and how many differ, those after a rounding tie counted apart; the first that differs."""

    values: int
    differing: int
    ties: int
    first: Place | None

    def joined(self, later: Exact) -> Exact:
        """Of the samples of both."""
        counts = (self.values + later.values, self.differing + later.differing, self.ties + later.ties)
        return Exact(*counts, self.first or later.first)


def noise_of(wanted: np.ndarray, got: np.ndarray, first_sample: int) -> Noise:
    """Real arrays with a leading sample axis; places where either is infinite (the padding of pools) count nothing."""
    with np.errstate(invalid="ignore"):
        error, signal = got - wanted, wanted
    finite = np.isfinite(error)
    if not finite.all():
        error, signal = np.where(finite, error, 0.0), np.where(finite, wanted, 0.0)
    where = np.unravel_index(int(np.abs(error).argmax()), error.shape)
    return Noise(float(np.vdot(signal, signal)), float(np.vdot(error, error)), _place(wanted, got, where, first_sample))


def exact_of(wanted: np.ndarray, got: np.ndarray, wrong: np.ndarray, tied: np.ndarray, first_sample: int) -> Exact:
    """From where two arrays are `wrong`; `tied`: the samples whose differences began at a rounding tie."""
    counted = wrong & ~tied.reshape(-1, *[1] * (wrong.ndim - 1))
    count = int(counted.sum())
    first = None
    if count:
        first = _place(wanted, got, np.unravel_index(int(counted.argmax()), counted.shape), first_sample)
    return Exact(wrong.size, count, int(wrong.sum()) - count, first)


def _place(wanted: np.ndarray, got: np.ndarray, where: tuple, first_sample: int) -> Place:
    sample, *index = (int(k) for k in where)
    return Place(first_sample + sample, tuple(index), float(wanted[where]), float(got[where]))


def as_integers(values: np.ndarray, t: TensorType, like: TensorType) -> np.ndarray:
    """Values of a tensor of type `t` in the integer steps of type `like`; as real numbers where that is real."""
    real = t.to_real(values) if t.is_integer else values
    if not like.is_integer:
        return real
    return np.round(real / np.asarray(like.scale) + np.asarray(like.zero_point), DIGITS)


def differ(wanted: np.ndarray, got: np.ndarray, t: TensorType) -> np.ndarray:
    """Where two arrays, in the steps of type `t`, are not the same; what is infinite in `wanted` is padding."""
    size = np.where(np.isfinite(wanted), np.abs(wanted), 0.0)
    most = RELATIVE * np.maximum(size, 1.0) + (STEPS if t.is_integer else 0.0)
    with np.errstate(invalid="ignore"):
        return np.isfinite(wanted) & ~(np.abs(got - wanted) <= most)
