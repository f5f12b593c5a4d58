"""Common subexpressions of constant matrices: sums of two terms that several outputs hold are made once.

Signed digits and greedy two-term subexpressions after Hartley (1996) and Hosangadi, Fallah and Kastner (2005); chosen
by what they save in a heap's bits, since adder trees with one reader are merged into its heap.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hw.arith.digits import signed_digits

BIT = 0.6  # LUTs that one bit of a heap costs, about
MOST_PAIRS = 2_000_000  # of terms of one sum, over all sums: beyond, inputs share only within blocks


class Term(NamedTuple):
    """sign * 2^shift * node"""

    node: int
    shift: int
    sign: int


class Pattern(NamedTuple):
    """Two terms up to a common factor: the second's shift less the first's, the product of their signs."""

    first: int
    second: int
    shift: int
    sign: int


@dataclass
class Sharing:
    """Sums of terms, one a column of the matrix, and what each node beyond the inputs stands for."""

    ranges: list[tuple[int, int]]  # of every node
    blocks: list[int]  # of every node: only nodes of one block are paired
    rows: list[set[Term]]
    defined: list[tuple[Term, Term]] = field(default_factory=list)
    counts: Counter[Pattern] = field(default_factory=Counter)
    queue: list[tuple[float, Pattern]] = field(default_factory=list)


def share(weights: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Sharing:
    """weights (K, N) of inputs with ranges (lo, hi): the sums after sharing whatever saves LUTs."""
    digits = signed_digits(weights)
    rows = [
        {Term(int(k), shift, int(d[k, n])) for shift, d in enumerate(digits) for k in np.flatnonzero(d[:, n])}
        for n in range(weights.shape[1])
    ]
    pairs = sum(len(row) ** 2 // 2 for row in rows)
    size = -(-len(ranges) * MOST_PAIRS // pairs) if pairs > MOST_PAIRS else len(ranges)
    sharing = Sharing(list(ranges), [k // size for k in range(len(ranges))], rows)
    for row in rows:
        sharing.counts.update(_patterns(sharing, row))
    for pattern in sharing.counts:
        _offer(sharing, pattern)
    while (best := _best(sharing)) is not None:
        _replace(sharing, best)
    return sharing


def _pattern(a: Term, b: Term) -> Pattern:
    first, second = (a, b) if (a.node, a.shift) <= (b.node, b.shift) else (b, a)
    return Pattern(first.node, second.node, second.shift - first.shift, first.sign * second.sign)


def _patterns(sharing: Sharing, row: set[Term]) -> Iterator[Pattern]:
    """Of every two terms of one block."""
    blocks: dict[int, list[Term]] = {}
    for term in sorted(row):
        blocks.setdefault(sharing.blocks[term.node], []).append(term)
    for terms in blocks.values():
        yield from (_pattern(a, b) for k, a in enumerate(terms) for b in terms[k + 1 :])


def _range(sharing: Sharing, pattern: Pattern) -> tuple[int, int]:
    """Of the value of a new node."""
    (alo, ahi), (blo, bhi) = sharing.ranges[pattern.first], sharing.ranges[pattern.second]
    down, up = max(0, -pattern.shift), max(0, pattern.shift)
    ends = sorted((pattern.sign * blo << up, pattern.sign * bhi << up))
    return (alo << down) + ends[0], (ahi << down) + ends[1]


def width(bounds: tuple[int, int]) -> int:
    """Bits of a number that counts from the lower bound."""
    return (bounds[1] - bounds[0]).bit_length()


def _gain(sharing: Sharing, pattern: Pattern) -> float:
    """LUTs that a node saves."""
    a, b = (width(sharing.ranges[node]) for node in (pattern.first, pattern.second))
    made = width(_range(sharing, pattern))
    return sharing.counts[pattern] * BIT * (a + b - made) - (made - abs(pattern.shift))


def _offer(sharing: Sharing, pattern: Pattern) -> None:
    if sharing.counts[pattern] > 1 and (gain := _gain(sharing, pattern)) > 0:
        heapq.heappush(sharing.queue, (-gain, pattern))


def _best(sharing: Sharing) -> Pattern | None:
    """The pattern that saves most; what the queue says of one may be out of date, and is then put right."""
    while sharing.queue:
        said, pattern = heapq.heappop(sharing.queue)
        if sharing.counts[pattern] > 1 and -_gain(sharing, pattern) == said:
            return pattern
        _offer(sharing, pattern)
    return None


def _replace(sharing: Sharing, pattern: Pattern) -> None:
    """A new node for the pattern, in every sum that holds it."""
    node = len(sharing.ranges)
    down = max(0, -pattern.shift)
    sharing.ranges.append(_range(sharing, pattern))
    sharing.blocks.append(sharing.blocks[pattern.first])
    sharing.defined.append((Term(pattern.first, down, 1), Term(pattern.second, max(0, pattern.shift), pattern.sign)))
    sharing.counts[pattern] = 0
    for row in sharing.rows:
        for a in sorted(t for t in row if t.node == pattern.first):
            b = Term(pattern.second, a.shift + pattern.shift, a.sign * pattern.sign)
            if a in row and b in row and a != b:
                _substitute(sharing, row, a, b, Term(node, a.shift - down, a.sign))
    for grown in {p for row in sharing.rows for p in _with(sharing, row, node)}:
        _offer(sharing, grown)


def _substitute(sharing: Sharing, row: set[Term], a: Term, b: Term, new: Term) -> None:
    counts, block = sharing.counts, sharing.blocks[new.node]
    row -= {a, b}
    near = [other for other in row if sharing.blocks[other.node] == block]
    for other in near:
        counts[_pattern(a, other)] -= 1
        counts[_pattern(b, other)] -= 1
        counts[_pattern(new, other)] += 1
    row.add(new)


def _with(sharing: Sharing, row: set[Term], node: int) -> Iterator[Pattern]:
    """The patterns of a node's terms in a sum."""
    block = sharing.blocks[node]
    for a in [t for t in row if t.node == node]:
        yield from (_pattern(a, b) for b in row if b != a and sharing.blocks[b.node] == block)
