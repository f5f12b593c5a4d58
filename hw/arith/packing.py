"""Several weights in one multiplier: which fit beside each other, and how many products a sum of them may take.

A word is sum(w[l] * 2^(spacing * l)) over its lanes; times x it holds every lane's product. A cascade of words and
inputs starts from an offset that makes every lane's sum at least 0, so that a lane's bits are its sum plus the
lane's offset: nothing is borrowed from the lane above. A cascade is as long as the weights at hand prove it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from codesign.formats import Binary, Format

WORD_BITS, FACTOR_BITS, SUM_BITS = 25, 18, 48  # of a DSP48E1's multiplier, both signed, and of its sum
MOST_LANES = 4
LONGEST = 16  # multipliers in a cascade: each waits a clock longer for its input


@dataclass(frozen=True)
class Packing:
    """`lanes` weights of one input, `spacing` bits apart, in one multiplier."""

    lanes: int
    spacing: int

    def words(self, weights: np.ndarray) -> np.ndarray:
        """Weights (..., lanes) -> words (...)."""
        return (weights.astype(np.int64) << (self.spacing * np.arange(weights.shape[-1]))).sum(-1)

    def digits(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers (..., lanes, the lowest first) -> what their word's bits hold there: less a borrow from below."""
        found = numbers.copy()
        for lane in range(1, numbers.shape[-1]):
            found[..., lane] -= found[..., lane - 1] < 0
        return found

    def room(self, lanes: int) -> np.ndarray:
        """Bits of each lane of the sum."""
        below = self.spacing * (lanes - 1)
        return np.array([self.spacing] * (lanes - 1) + [SUM_BITS - 1 - below])


def packing_of(x: Format, weights: np.ndarray, lanes: int) -> Packing | None:
    """The widest spacing at which any of the weights may meet; None where even one product does not fit."""
    if isinstance(x, Binary) or x.bits + (not x.signed) > FACTOR_BITS:
        return None
    low, high = int(weights.min()), int(weights.max())
    product = _span(np.array([low, high]), x)
    for spacing in range((WORD_BITS - 1) // max(lanes - 1, 1), 0, -1):
        unit = sum(1 << (spacing * k) for k in range(lanes))
        limit = 1 << (WORD_BITS - 1)
        if -limit <= low * unit and high * unit < limit:
            wide = lanes == 1 or product < 1 << spacing
            return Packing(lanes, spacing) if wide else None
    return None


def legal_lanes(x: Format, weights: np.ndarray) -> list[int]:
    """How many neurons may share a multiplier."""
    return [n for n in range(1, MOST_LANES + 1) if packing_of(x, weights, n) is not None]


def worth_trying(legal: Sequence[int], neurons: int) -> list[int]:
    """For so many neurons at a time: 0 (products in LUTs), and one a multiplier only where no two can share it."""
    possible = [n for n in legal if n <= neurons]
    return [0, *(n for n in possible if n > 1 or possible == [1])]


def _span(weights: np.ndarray, x: Format) -> int:
    """From the lowest to the highest product."""
    ends = np.concatenate([weights * x.lo, weights * x.hi, [0]])
    return int(ends.max() - ends.min())


@dataclass(frozen=True, eq=False)
class Cascades:
    """How the synapses of every neuron are split over cascades: weights (folds, neurons, synapses), all that occur.

    Every cascade's lanes hold its partial sums, whatever the inputs are.
    """

    x: Format
    weights: np.ndarray
    packing: Packing
    banks: int  # parts of the neurons that have their own inputs
    count: int  # cascades a neuron

    @classmethod
    def longest(cls, x: Format, weights: np.ndarray, packing: Packing, banks: int) -> Cascades:
        """As few as the weights allow."""
        synapses = weights.shape[2]
        for count in range(-(-synapses // LONGEST), synapses + 1):
            found = cls(x, weights, packing, banks, count)
            if len(found.starts) == count and found.fits:
                return found
        raise ValueError(f"no lane of {packing} holds one product")

    @property
    def length(self) -> int:
        """Multipliers of the longest one."""
        return -(-self.weights.shape[2] // self.count)

    @property
    def starts(self) -> list[int]:
        """The first synapse of each."""
        return list(range(0, self.weights.shape[2], self.length))

    def delay(self, synapse: int) -> int:
        """Clocks that a synapse's multiplier works behind the first; all cascades end together."""
        start = synapse - synapse % self.length
        missing = self.length - min(self.length, self.weights.shape[2] - start)
        return missing + synapse - start

    @cached_property
    def groups(self) -> list[range]:
        """The neurons that share multipliers, bank by bank."""
        neurons, lanes = self.weights.shape[1], self.packing.lanes
        size = neurons // self.banks
        return [
            range(bank + k, bank + min(k + lanes, size)) for bank in range(0, neurons, size)
            for k in range(0, size, lanes)
        ]  # fmt: skip

    def digits(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers (folds, neurons, ...) -> the digits of their words, group by group."""
        by_lane = np.moveaxis(numbers, 1, -1)
        found = [self.packing.digits(by_lane[..., list(group)]) for group in self.groups]
        return np.moveaxis(np.concatenate(found, axis=-1), -1, 1)

    @cached_property
    def offsets(self) -> np.ndarray:
        """What makes every partial sum at least 0, by neuron and cascade."""
        return self._extremes(-1)

    @cached_property
    def highest(self) -> np.ndarray:
        """The highest partial sum, its offset included, by neuron and cascade."""
        return self._extremes(1) + self.offsets

    def _extremes(self, sign: int) -> np.ndarray:
        """The largest sum on the way, in any fold, of products with that sign."""
        w = sign * self.weights
        products = np.maximum(np.maximum(w * self.x.lo, w * self.x.hi), 0)
        return np.add.reduceat(products, self.starts, axis=2).max(axis=0)

    @property
    def fits(self) -> bool:
        """Whether every lane holds what may come."""
        highest = self.highest
        return all(
            bool(highest[k].max() < 1 << room)
            for group in self.groups
            for k, room in zip(group, self.packing.room(len(group)).tolist(), strict=True)
        )
