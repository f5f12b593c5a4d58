"""Common parts of constant matrices: what several sums hold is a sum of its own, made once.

A part is a set of terms that stand together in several sums, up to a shift and a sign; it is a node like the inputs
from then on. Weights are kept as numbers, so that a term is in one wherever its signed digits allow it: 3 holds 4 and
-1 as well as 2 and 1. Subexpressions as those of Hartley (1996) and of Hosangadi, Fallah and Kastner (2005), but of any
number of terms, since heaps add many at the price of few.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from hw.netlist.parts import LEAST, grow
from hw.netlist.sums import SIGNS, Part, Place, Sums

SEEDS, NEAREST = 40, 2  # pairs of sums that parts grow from at a time, and of the ways in which two sums are alike
FARTHEST = 3  # shift between two places of a part
MOST_PARTS, MORE_PARTS = 8, 64  # for an output, and a few more

Seed = tuple[int, Place, Place, int, int]  # less the terms in common, and the versions of the two sums


def share(weights: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Sums:
    """weights (K, N) of inputs with ranges (lo, hi): the sums after sharing whatever saves look-up tables."""
    return _shared(weights.astype(np.int64).tobytes(), weights.shape, tuple(ranges))


@lru_cache(maxsize=8)
def _shared(weights: bytes, shape: tuple[int, int], ranges: tuple[tuple[int, int], ...]) -> Sums:
    matrix = np.frombuffer(weights, np.int64).reshape(shape)
    sums = Sums.of(matrix, ranges)
    search = Search(sums, min(FARTHEST, sums.reach))
    for column in range(shape[1]):
        search.compare(column, column + 1)
    while len(search.sums.parts) < MOST_PARTS * shape[1] + MORE_PARTS and (part := search.best()) is not None:
        search.make(part)
    return search.sums


@dataclass
class Search:
    """Sums, and pairs of them that are alike, up to so many `shifts`."""

    sums: Sums
    shifts: int
    versions: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))  # how often each sum has changed
    seeds: list[Seed] = field(default_factory=list)
    grown: dict[Seed, tuple[list[int], Part | None]] = field(default_factory=dict)

    def make(self, part: Part) -> None:
        """A part becomes a sum."""
        self.sums.make(part)
        for column in sorted({place.column for place in part.places}):
            self.versions[column] += 1
            self.compare(column, len(self.sums.columns))

    def compare(self, column: int, others: int) -> None:
        """Seeds of a sum and of the first `others`, of itself shifted, too."""
        middle, size = self.sums.reach, 2 * (2 * self.shifts + 1)
        near = slice(middle - self.shifts, middle + self.shifts + 1)
        count = self.sums.often(self.sums.terms(column))[:others, near].copy()
        count[:column] = count[:column, ::-1].copy()  # a seed is seen from its first sum
        count[column, : self.shifts + 1] = 0
        ranked = count.reshape(others, size) * size + np.arange(size)
        best = np.partition(ranked, -NEAREST)[:, -NEAREST:]
        for other, k in np.argwhere(best >= LEAST * size).tolist():
            alike, where = divmod(int(best[other, k]), size)
            self._seed(alike, min(other, column), Place(max(other, column), where // 2 - self.shifts, SIGNS[where % 2]))

    def _seed(self, alike: int, a: int, b: Place) -> None:
        versions = self.versions[a], self.versions[b.column]
        heapq.heappush(self.seeds, (-alike, Place(a, 0, 1), b, *versions))

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
