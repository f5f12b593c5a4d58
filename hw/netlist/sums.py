"""Sums of nodes with whole weights: the columns of a constant matrix, and common parts of them, which are nodes too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hw.arith.digits import digits_of

DEEPEST = 1  # parts in each other: each is a few levels of logic


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
    """Weight by node, sum by sum: the matrix's columns, then the parts; nodes: the inputs, then the parts."""

    inputs: int
    outputs: int
    ranges: list[tuple[int, int]]  # of every node
    vectors: list[np.ndarray]  # of every node its weights on the inputs
    columns: list[dict[int, int]] = field(default_factory=list)
    holders: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))  # the sums with a node
    below: list[int] = field(default_factory=list)  # of every node: parts on the longest way down, itself included
    above: list[int] = field(default_factory=list)  # of every sum: parts on the longest way up, itself included

    @classmethod
    def of(cls, matrix: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Sums:
        """Of inputs with ranges (lo, hi) and a matrix (K, N)."""
        inputs, outputs = matrix.shape
        sums = cls(inputs, outputs, list(ranges), list(np.eye(inputs, dtype=np.int64)), below=[0] * inputs)
        for column in matrix.T.tolist():
            sums.add({node: weight for node, weight in enumerate(column) if weight}, 0)
        return sums

    @property
    def rows(self) -> list[list[Term]]:
        """The terms of the matrix's sums."""
        return [terms_of(column) for column in self.columns[: self.outputs]]

    @property
    def parts(self) -> list[tuple[int, list[Term]]]:
        """Nodes that are parts and their terms, each behind those that it is made of."""
        order: dict[int, list[Term]] = {}

        def visit(node: int) -> None:
            if node >= self.inputs and node not in order:
                column = self.columns[self.sum_of(node)]
                for part in sorted(column):
                    visit(part)
                order[node] = terms_of(column)

        for node in range(self.inputs, len(self.ranges)):
            visit(node)
        return list(order.items())

    def sum_of(self, part: int) -> int:
        """The sum that a part is."""
        return self.outputs + part - self.inputs

    def add(self, column: dict[int, int], above: int) -> None:
        """Another sum."""
        self.columns.append(column)
        self.above.append(above)
        for node in column:
            self.holders[node].add(len(self.columns) - 1)

    def too_deep(self, terms: Sequence[Term], columns: Iterable[int]) -> bool:
        """Whether a part would stand too deep in others."""
        below = 1 + max(self.below[term.node] for term in terms)
        return any(below + self.above[column] > DEEPEST for column in columns)

    def make(self, part: Part) -> None:
        """A node for the part, in every sum that holds it."""
        node, lowest = len(self.ranges), min(term.shift for term in part.terms)
        column: defaultdict[int, int] = defaultdict(int)
        for term in part.terms:
            column[term.node] += term.sign << term.shift - lowest
        vector = sum((self.vectors[k] * weight for k, weight in column.items()), np.zeros(self.inputs, np.int64))
        ends = vector[:, None] * np.array(self.ranges[: self.inputs])
        self.ranges.append((int(ends.min(1).sum()), int(ends.max(1).sum())))
        self.vectors.append(vector)
        for place in part.places:
            self._take_out(part.terms, place, node, lowest)
        self.add(dict(column), 1)
        self._count_depths()

    def _take_out(self, terms: Sequence[Term], place: Place, node: int, lowest: int) -> None:
        """The node in place of the terms, in one sum."""
        column = self.columns[place.column]
        for term in terms:
            column[term.node] -= term.sign * place.sign << term.shift - place.down
            if not column[term.node]:
                del column[term.node]
                self.holders[term.node].discard(place.column)
        column[node] = column.get(node, 0) + (place.sign << lowest - place.down)
        self.holders[node].add(place.column)

    def _count_depths(self) -> None:
        """How deep parts stand in each other."""
        self.below, self.above = [0] * len(self.ranges), [0] * len(self.columns)
        order = self.parts
        for node, terms in order:
            self.below[node] = 1 + max(self.below[term.node] for term in terms)
        for node, terms in reversed(order):
            own = self.sum_of(node)
            self.above[own] += 1
            for inner in (self.sum_of(term.node) for term in terms if term.node >= self.inputs):
                self.above[inner] = max(self.above[inner], self.above[own])


def terms_of(column: dict[int, int]) -> list[Term]:
    """Of a sum, in as few signed digits as can be."""
    return [Term(node, shift, sign) for node, weight in sorted(column.items()) for shift, sign in digits_of(weight)]


def width(bounds: tuple[int, int]) -> int:
    """Bits of a number that counts from the lower bound."""
    return (bounds[1] - bounds[0]).bit_length()
