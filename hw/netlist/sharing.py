"""Common parts of constant matrices: what several sums hold is a sum of its own, made once.

A part is a set of terms that stand together in several sums, up to a shift and a sign; it is a sum like the others from
then on, in which parts are found, and a node like the inputs. Weights are kept as numbers, so that a term is in one
wherever its signed digits allow it: 3 holds 4 and -1 as well as 2 and 1. Subexpressions as those of Hartley (1996) and
of Hosangadi, Fallah and Kastner (2005), but of any number of terms, since heaps add many at the price of few.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from hw.arith.digits import digits_in
from hw.netlist.parts import LEAST, grow
from hw.netlist.sums import DEEPEST, Part, Place, Sums

SEEDS, NEAREST = 40, 2  # pairs of sums that parts grow from at a time, and of the ways in which two sums are alike
FARTHEST = 3  # shift between two places of a part
MOST_PARTS = 8  # for an output, and a few more

Seed = tuple[int, Place, Place, int, int]  # less the terms in common, and the versions of the two sums


def share(weights: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Sums:
    """weights (K, N) of inputs with ranges (lo, hi): the sums after sharing whatever saves look-up tables."""
    return _shared(weights.astype(np.int64).tobytes(), weights.shape, tuple(ranges))


@lru_cache(maxsize=8)
def _shared(weights: bytes, shape: tuple[int, int], ranges: tuple[tuple[int, int], ...]) -> Sums:
    matrix = np.frombuffer(weights, np.int64).reshape(shape)
    search = Search(Sums.of(matrix, ranges), min(FARTHEST, int(np.abs(matrix).max(initial=0)).bit_length()))
    for column in range(shape[1]):
        search.changed(column)
    while len(search.sums.ranges) < search.most_nodes and (part := search.best()) is not None:
        search.make(part)
    return search.sums


@dataclass
class Search:
    """Sums, and pairs of them that are alike, up to so many `shifts`."""

    sums: Sums
    shifts: int
    versions: dict[int, int] = field(default_factory=dict)  # how often each sum has changed
    masks: dict[int, tuple[int, int]] = field(default_factory=dict)  # of every sum its terms as bits, by sign
    seeds: list[Seed] = field(default_factory=list)
    grown: dict[Seed, tuple[list[int], Part | None]] = field(default_factory=dict)

    @property
    def most_nodes(self) -> int:
        return self.sums.inputs + MOST_PARTS * self.sums.outputs + 64

    def make(self, part: Part) -> None:
        """A part becomes a sum."""
        self.sums.make(part)
        for column in sorted({place.column for place in part.places}):
            self.changed(column)
        self.changed(len(self.sums.columns) - 1)

    def changed(self, column: int) -> None:
        """A sum's terms anew, and what it has in common with every other one."""
        sums, ones, minus_ones = self.sums, 0, 0
        for node, weight in sums.columns[column].items():
            for shift, sign in digits_in(weight) if sums.below[node] < DEEPEST else ():
                bit = 1 << (shift * self.most_nodes + node)
                ones, minus_ones = (ones | bit, minus_ones) if sign > 0 else (ones, minus_ones | bit)
        self.masks[column] = ones, minus_ones
        self.versions[column] = self.versions.get(column, 0) + 1
        if sums.above[column] < DEEPEST:
            for other in (k for k in self.masks if sums.above[k] < DEEPEST):
                self._compare(min(other, column), max(other, column))

    def _compare(self, a: int, b: int) -> None:
        """Seeds of two sums, or of one and itself shifted."""
        (ones, minus_ones), (plain, negative) = self.masks[a], self.masks[b]
        found: list[tuple[int, int, int]] = []
        for down in range(1 if a == b else -self.shifts, self.shifts + 1):
            step = abs(down) * self.most_nodes
            p, n = (plain << step, negative << step) if down >= 0 else (plain >> step, negative >> step)
            found.append(((ones & p).bit_count() + (minus_ones & n).bit_count(), down, 1))
            found.append(((ones & n).bit_count() + (minus_ones & p).bit_count(), down, -1))
        for count, down, sign in heapq.nlargest(NEAREST, found):
            if count >= LEAST:
                heapq.heappush(
                    self.seeds, (-count, Place(a, 0, 1), Place(b, down, sign), self.versions[a], self.versions[b])
                )

    def best(self) -> Part | None:
        """The best part that grows from the sums that are most alike."""
        tried: list[Seed] = []
        found: Part | None = None
        while self.seeds and len(tried) < SEEDS:
            seed = heapq.heappop(self.seeds)
            _, a, b, *versions = seed
            if [self.versions[a.column], self.versions[b.column]] != versions:
                continue
            tried.append(seed)
            part = self._grown(seed)
            if part is not None and (found is None or part.score > found.score):
                found = part
        for seed in tried:
            heapq.heappush(self.seeds, seed)
        return found

    def _grown(self, seed: Seed) -> Part | None:
        """The part of a seed, as long as none of its sums has changed."""
        versions, part = self.grown.get(seed, ([], None))
        if seed not in self.grown or (part is not None and versions != [self.versions[p.column] for p in part.places]):
            part = grow(self.sums, seed[1], seed[2])
            self.grown[seed] = [] if part is None else [self.versions[p.column] for p in part.places], part
        return part
