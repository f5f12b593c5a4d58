"""Sums of inputs with whole weights, the columns of a constant matrix, and common parts of them, made once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

import numpy as np

from hw.arith.digits import digits_in, digits_of

SIGNS = (-1, 1)


class Term(NamedTuple):
    """sign * 2^shift * node"""

    node: int
    shift: int
    sign: int


class Place(NamedTuple):
    """Where a part stands: in which sum, its shift there less its own (as one that goes down), and its sign there."""

    column: int
    down: int
    sign: int


class Part(NamedTuple):
    """Terms, the places where they stand, and how good they are as a part."""

    score: float
    terms: tuple[Term, ...]
    places: tuple[Place, ...]


@dataclass
class Sums:
    """Weight by node, sum by sum; nodes: the inputs, then the parts, whose terms are inputs.

    Parts of parts take 2 % fewer look-up tables and two or three clocks more: each is a few levels of logic.
    """

    inputs: int
    reach: int  # no term is shifted farther
    ranges: list[tuple[int, int]]  # of every node
    columns: list[dict[int, int]]
    parts: list[list[Term]] = field(default_factory=list)
    _stands: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, matrix: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Sums:
        """Of inputs with ranges (lo, hi) and a matrix (K, N)."""
        columns = [{node: w for node, w in enumerate(column) if w} for column in matrix.T.tolist()]
        return cls(len(ranges), int(np.abs(matrix).max(initial=0)).bit_length(), list(ranges), columns)

    @property
    def rows(self) -> list[list[Term]]:
        """The terms of the matrix's sums."""
        return [_terms_of(column) for column in self.columns]

    def terms(self, column: int) -> list[Term]:
        """Of a sum, every digit of its inputs: more than there are at once, as 3 is 2 + 1 and 4 - 1."""
        inputs = ((node, weight) for node, weight in self.columns[column].items() if node < self.inputs)
        return [Term(node, *digit) for node, weight in inputs for digit in digits_in(weight)]

    def often(self, terms: Sequence[Term]) -> np.ndarray:
        """How many of these terms stand at each place of a part: (sum, shift + reach, whether plus), as an array."""
        shape = len(self.columns), 2 * self.reach + 1, 2
        places = [self._standing(term.node, term.sign) + 2 * term.shift for term in terms]
        every = np.concatenate(places) if places else np.zeros(0, np.int64)
        return np.bincount(every, minlength=prod(shape)).reshape(shape)

    def _standing(self, node: int, sign: int) -> np.ndarray:
        """The places, numbered, of an input with a sign and no shift."""
        if (node, sign) not in self._stands:
            weights = ((k, column[node]) for k, column in enumerate(self.columns) if node in column)
            found = [
                ((k * (2 * self.reach + 1) + self.reach - at) * 2) + (sign * g > 0)
                for k, weight in weights
                for at, g in digits_in(weight)
            ]
            self._stands[node, sign] = np.array(found, np.int64)
        return self._stands[node, sign]

    def make(self, part: Part) -> None:
        """A node for the part, in every sum that holds it."""
        node, lowest = len(self.ranges), min(term.shift for term in part.terms)
        weights: defaultdict[int, int] = defaultdict(int)
        for term in part.terms:
            weights[term.node] += term.sign << term.shift - lowest
        ends = [sorted(weight * end for end in self.ranges[k]) for k, weight in weights.items()]
        self.ranges.append((sum(lo for lo, _ in ends), sum(hi for _, hi in ends)))
        self.parts.append(_terms_of(weights))
        for place in part.places:
            self._take_out(part.terms, place, node, lowest)

    def _take_out(self, terms: Sequence[Term], place: Place, node: int, lowest: int) -> None:
        """The node in place of the terms, in one sum."""
        column = self.columns[place.column]
        for term in terms:
            column[term.node] -= term.sign * place.sign << term.shift - place.down
            if not column[term.node]:
                del column[term.node]
            for sign in SIGNS:
                self._stands.pop((term.node, sign), None)
        column[node] = column.get(node, 0) + (place.sign << lowest - place.down)


def _terms_of(column: dict[int, int]) -> list[Term]:
    """Of a sum, in as few signed digits as can be."""
    return [Term(node, shift, sign) for node, weight in sorted(column.items()) for shift, sign in digits_of(weight)]


def width(bounds: tuple[int, int]) -> int:
    """Bits of a number that counts from the lower bound."""
    return (bounds[1] - bounds[0]).bit_length()
