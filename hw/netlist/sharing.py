"""Common parts of constant matrices: what several sums hold is a sum of its own, made once.

A part is a set of terms that stand together in several sums, up to a shift and a sign; it is a sum like the others from
then on, in which parts are found, and a node like the inputs. Weights are kept as numbers, so that a term is in one
wherever its signed digits allow it: 3 holds 4 and -1 as well as 2 and 1. Subexpressions as those of Hartley (1996) and
of Hosangadi, Fallah and Kastner (2005), but of any number of terms, since heaps add many at the price of few.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hw.arith.digits import digit_count, digits_in, digits_of

BIT, MADE = 0.53, 0.46  # look-up tables that a bit costs in the heap of a sum, and of a part, about
SPREAD = 0.2  # of two parts that save as much the one that takes fewer bits away leaves more to save
SEEDS, NEAREST = 40, 2  # pairs of sums that parts grow from at a time, and of the ways in which two sums are alike
LEAST, FARTHEST = 2, 3  # terms of a part, and shift between its places
DEEPEST = 2  # parts in each other: each is a few levels of logic
MOST_PARTS = 8  # for an output, and a few more


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


Seed = tuple[int, Place, Place, int, int]  # less the terms in common, and the versions of the two sums


@dataclass
class Sharing:
    """Sums of nodes, weight by node: the matrix's columns, then the parts; nodes: the inputs, then the parts."""

    inputs: int
    outputs: int
    ranges: list[tuple[int, int]]  # of every node
    vectors: list[np.ndarray]  # of every node its weights on the inputs
    columns: list[dict[int, int]] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)  # how often each sum has changed
    holders: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))  # the sums with a node
    masks: list[tuple[int, int]] = field(default_factory=list)  # of every sum its terms as bits, by sign
    seeds: list[Seed] = field(default_factory=list)
    grown: dict[Seed, tuple[list[int], Part | None]] = field(default_factory=dict)
    shifts: int = 0
    below: list[int] = field(default_factory=list)  # of every node: parts on the longest way down, itself included
    above: list[int] = field(default_factory=list)  # of every sum: parts on the longest way up, itself included

    @property
    def most_nodes(self) -> int:
        return self.inputs + MOST_PARTS * self.outputs + 64

    @property
    def rows(self) -> list[list[Term]]:
        """The terms of the matrix's sums."""
        return [_terms(column) for column in self.columns[: self.outputs]]

    @property
    def parts(self) -> list[tuple[int, list[Term]]]:
        """Nodes that are parts and their terms, each behind those that it is made of."""
        order: dict[int, list[Term]] = {}

        def visit(node: int) -> None:
            if node >= self.inputs and node not in order:
                column = self.columns[self.outputs + node - self.inputs]
                for part in sorted(column):
                    visit(part)
                order[node] = _terms(column)

        for node in range(self.inputs, len(self.ranges)):
            visit(node)
        return list(order.items())


def _terms(column: dict[int, int]) -> list[Term]:
    return [Term(node, shift, sign) for node, weight in sorted(column.items()) for shift, sign in digits_of(weight)]


def share(weights: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Sharing:
    """weights (K, N) of inputs with ranges (lo, hi): the sums after sharing whatever saves look-up tables."""
    return _shared(weights.astype(np.int64).tobytes(), weights.shape, tuple(ranges))


@lru_cache(maxsize=8)
def _shared(weights: bytes, shape: tuple[int, int], ranges: tuple[tuple[int, int], ...]) -> Sharing:
    matrix = np.frombuffer(weights, np.int64).reshape(shape)
    s = Sharing(*shape, list(ranges), list(np.eye(shape[0], dtype=np.int64)))
    s.shifts = min(FARTHEST, int(np.abs(matrix).max(initial=0)).bit_length())
    for column in matrix.T.tolist():
        _add(s, {node: weight for node, weight in enumerate(column) if weight})
    _count_depths(s)
    while len(s.ranges) < s.most_nodes and (part := _best(s)) is not None:
        _make(s, part)
    return s


def _add(s: Sharing, column: dict[int, int]) -> None:
    """Another sum."""
    s.columns.append(column)
    s.masks.append((0, 0))
    s.versions.append(0)
    for node in column:
        s.holders[node].add(len(s.columns) - 1)
    _changed(s, len(s.columns) - 1)


def _changed(s: Sharing, column: int) -> None:
    """A sum's terms anew, and what it has in common with every other one."""
    ones, minus_ones = 0, 0
    for node, weight in s.columns[column].items():
        for shift, sign in digits_in(weight):
            bit = 1 << (shift * s.most_nodes + node)
            ones, minus_ones = (ones | bit, minus_ones) if sign > 0 else (ones, minus_ones | bit)
    s.masks[column] = ones, minus_ones
    s.versions[column] += 1
    for other in range(len(s.columns)):
        _compare(s, min(other, column), max(other, column))


def _compare(s: Sharing, a: int, b: int) -> None:
    """Seeds of two sums, or of one and itself shifted."""
    (ones, minus_ones), (plain, negative) = s.masks[a], s.masks[b]
    found: list[tuple[int, int, int]] = []
    for down in range(1 if a == b else -s.shifts, s.shifts + 1):
        step = abs(down) * s.most_nodes
        p, n = (plain << step, negative << step) if down >= 0 else (plain >> step, negative >> step)
        found.append(((ones & p).bit_count() + (minus_ones & n).bit_count(), down, 1))
        found.append(((ones & n).bit_count() + (minus_ones & p).bit_count(), down, -1))
    for count, down, sign in heapq.nlargest(NEAREST, found):
        if count >= LEAST:
            heapq.heappush(s.seeds, (-count, Place(a, 0, 1), Place(b, down, sign), s.versions[a], s.versions[b]))


def _best(s: Sharing) -> Part | None:
    """The best part that grows from the sums that are most alike."""
    tried: list[Seed] = []
    found: Part | None = None
    while s.seeds and len(tried) < SEEDS:
        seed = heapq.heappop(s.seeds)
        _, a, b, *versions = seed
        if [s.versions[a.column], s.versions[b.column]] != versions:
            continue
        tried.append(seed)
        part = _grown(s, seed)
        if part is not None and (found is None or part.score > found.score):
            found = part
    for seed in tried:
        heapq.heappush(s.seeds, seed)
    return found


def _grown(s: Sharing, seed: Seed) -> Part | None:
    """The part of a seed, as long as none of its sums has changed."""
    versions, part = s.grown.get(seed, ([], None))
    if seed not in s.grown or (part is not None and versions != [s.versions[p.column] for p in part.places]):
        part = _grow(s, seed)
        s.grown[seed] = [] if part is None else [s.versions[p.column] for p in part.places], part
    return part


def _grow(s: Sharing, seed: Seed) -> Part | None:
    """Sums are added that hold the most of what all of them have in common: the best of the parts on the way."""
    places = list(seed[1:3])
    terms = _together(s, _common(s, places[0], places[1]), places)
    found: Part | None = None
    while len(terms) >= LEAST and not _too_deep(s, terms, (p.column for p in places)):
        score = _score(s, terms, len(places))
        if score > 0 and (found is None or score > found.score):
            found = Part(score, tuple(terms), tuple(places))
        deep = {c for c, above in enumerate(s.above) if above and _too_deep(s, terms, (c,))}
        place = _next(s, terms, deep | {p.column for p in places})
        if place is None:
            break
        places.append(place)
        terms = [t for t in terms if _holds(s, place, t)]
    return None if found is None else _checked(s, found)


def _checked(s: Sharing, part: Part) -> Part | None:
    """The part without the terms that exclude each other somewhere."""
    terms = _together(s, part.terms, part.places)
    score = _score(s, terms, len(part.places)) if len(terms) >= LEAST else 0.0
    return Part(score, tuple(terms), part.places) if score > 0 else None


def _common(s: Sharing, a: Place, b: Place) -> list[Term]:
    found = (Term(node, *digit) for node, weight in s.columns[a.column].items() for digit in digits_in(weight))
    return [term for term in found if s.below[term.node] < DEEPEST and _holds(s, b, term)]


def _holds(s: Sharing, place: Place, term: Term) -> bool:
    """Whether a sum has room for a part's term at a place."""
    weight = s.columns[place.column].get(term.node, 0)
    return (term.shift - place.down, term.sign * place.sign) in digits_in(weight)


def _next(s: Sharing, terms: Sequence[Term], used: set[int]) -> Place | None:
    """Where the most of these terms stand, in a sum that is not used."""
    count: defaultdict[tuple[int, int, int], int] = defaultdict(int)
    for node, shift, sign in terms:
        for column in s.holders[node] - used:
            for at, g in digits_in(s.columns[column][node]):
                count[column, shift - at, sign * g] += 1
    most = max(count.values(), default=0)
    return Place(*min(place for place, c in count.items() if c == most)) if most >= LEAST else None


def _together(s: Sharing, terms: Sequence[Term], places: Sequence[Place]) -> list[Term]:
    """Terms that can all be taken out of all places: of those of one node as many as go together."""
    by_node: defaultdict[int, list[Term]] = defaultdict(list)
    for term in terms:
        by_node[term.node].append(term)
    twice = len({place.column for place in places}) < len(places)
    found: list[Term] = []
    for own in by_node.values():
        if len(own) == 1 and not twice:
            found += own
            continue
        sets: list[list[Term]] = []
        for k in range(len(own)):
            sets.append([])
            for term in own[k:] + own[:k]:
                if _fit(s, [*sets[-1], term], places):
                    sets[-1].append(term)
        found += max(sets, key=len)
    return found


def _fit(s: Sharing, terms: Sequence[Term], places: Sequence[Place]) -> bool:
    """Whether terms of one node can all be taken out of all places."""
    node, rest, taken = terms[0].node, dict[int, int](), Counter[int]()
    for column, down, sign in places:
        for term in terms:
            if term.shift < down:
                return False
            rest[column] = rest.get(column, s.columns[column][node]) - (term.sign * sign << term.shift - down)
            taken[column] += 1
    return all(digit_count(v) == digit_count(s.columns[c][node]) - taken[c] for c, v in rest.items())


def _score(s: Sharing, terms: Sequence[Term], places: int) -> float:
    """What a part saves, a little less for the bits that it takes away."""
    bits = sum(width(s.ranges[term.node]) for term in terms)
    lowest = min(term.shift for term in terms)
    span = sum((s.ranges[t.node][1] - s.ranges[t.node][0]) << t.shift - lowest for t in terms)
    gain = BIT * places * (bits - span.bit_length()) - MADE * bits
    return gain / (places * bits) ** SPREAD if gain > 0 else 0.0


def width(bounds: tuple[int, int]) -> int:
    """Bits of a number that counts from the lower bound."""
    return (bounds[1] - bounds[0]).bit_length()


def _count_depths(s: Sharing) -> None:
    """How deep parts stand in each other."""
    s.below, s.above = [0] * len(s.ranges), [0] * len(s.columns)
    order = s.parts
    for node, terms in order:
        s.below[node] = 1 + max(s.below[term.node] for term in terms)
    for node, terms in reversed(order):
        own = s.outputs + node - s.inputs
        s.above[own] += 1
        for term in terms:
            if term.node >= s.inputs:
                inner = s.outputs + term.node - s.inputs
                s.above[inner] = max(s.above[inner], s.above[own])


def _too_deep(s: Sharing, terms: Sequence[Term], columns: Iterable[int]) -> bool:
    """Whether a part would stand too deep in others."""
    below = 1 + max(s.below[term.node] for term in terms)
    return any(below + s.above[column] > DEEPEST for column in columns)


def _make(s: Sharing, part: Part) -> None:
    """A node for the part, in every sum that holds it."""
    node, lowest = len(s.ranges), min(term.shift for term in part.terms)
    column: defaultdict[int, int] = defaultdict(int)
    for term in part.terms:
        column[term.node] += term.sign << term.shift - lowest
    vector = sum((s.vectors[k] * weight for k, weight in column.items()), np.zeros(s.inputs, np.int64))
    ends = vector[:, None] * np.array(s.ranges[: s.inputs])
    s.ranges.append((int(ends.min(1).sum()), int(ends.max(1).sum())))
    s.vectors.append(vector)
    for place in part.places:
        _take_out(s, part.terms, place, node, lowest)
    for changed in sorted({place.column for place in part.places}):
        _changed(s, changed)
    _add(s, dict(column))
    _count_depths(s)


def _take_out(s: Sharing, terms: Sequence[Term], place: Place, node: int, lowest: int) -> None:
    """The node in place of the terms, in one sum."""
    column = s.columns[place.column]
    for term in terms:
        column[term.node] -= term.sign * place.sign << term.shift - place.down
        if not column[term.node]:
            del column[term.node]
            s.holders[term.node].discard(place.column)
    column[node] = column.get(node, 0) + (place.sign << lowest - place.down)
    s.holders[node].add(place.column)
