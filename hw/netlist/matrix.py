"""Constant matrices as shared adders: common subexpressions of signed digits, then one compressor heap a node.

Signed digits and greedy two-term subexpressions after Hartley (1996) and Hosangadi, Fallah and Kastner (2005); chosen
by what they save in a heap's bits, since adder trees with one reader are merged into its heap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hw.arith.dot import signed_digits
from hw.netlist.cells import Literal, Netlist
from hw.netlist.heap import Heap, summed

BIT = 0.6  # LUTs that one bit of a heap costs, about


@dataclass(frozen=True, order=True)
class Term:
    """sign * 2^shift * node"""

    node: int
    shift: int
    sign: int


Pattern = tuple[int, int, int, int]  # node, node, shift of the second less the first's, product of the signs


@dataclass(frozen=True)
class Number:
    """offset + bits (lowest first), an integer of lo..hi."""

    bits: tuple[Literal, ...]
    offset: int
    lo: int
    hi: int


@dataclass
class Sharing:
    """Sums of terms, one a column of the matrix, and what each node beyond the inputs stands for."""

    ranges: list[tuple[int, int]]  # of every node
    rows: list[set[Term]]
    defined: list[tuple[Term, Term]] = field(default_factory=list)
    counts: Counter[Pattern] = field(default_factory=Counter)


def share(weights: np.ndarray, ranges: list[tuple[int, int]]) -> Sharing:
    """weights (K, N) of inputs with ranges (lo, hi): the sums after sharing whatever saves LUTs."""
    digits = signed_digits(weights)
    rows = [
        {Term(int(k), shift, int(d[k, n])) for shift, d in enumerate(digits) for k in np.flatnonzero(d[:, n])}
        for n in range(weights.shape[1])
    ]
    sharing = Sharing(list(ranges), rows)
    for row in rows:
        sharing.counts.update(_patterns(row))
    while (best := _best(sharing)) is not None:
        _replace(sharing, best)
    return sharing


def _pattern(a: Term, b: Term) -> Pattern:
    first, second = (a, b) if (a.node, a.shift) <= (b.node, b.shift) else (b, a)
    return first.node, second.node, second.shift - first.shift, first.sign * second.sign


def _patterns(row: set[Term]) -> list[Pattern]:
    terms = sorted(row)
    return [_pattern(a, b) for k, a in enumerate(terms) for b in terms[k + 1 :]]


def _range(sharing: Sharing, pattern: Pattern) -> tuple[int, int]:
    """Of the value of a new node."""
    (alo, ahi), (blo, bhi) = (sharing.ranges[node] for node in pattern[:2])
    shift, sign = pattern[2:]
    down, up = max(0, -shift), max(0, shift)
    ends = sorted((sign * blo << up, sign * bhi << up))
    return (alo << down) + ends[0], (ahi << down) + ends[1]


def _width(bounds: tuple[int, int]) -> int:
    return (bounds[1] - bounds[0]).bit_length()


def _gain(sharing: Sharing, pattern: Pattern, count: int) -> float:
    """LUTs that a node saves when so many sums read it."""
    a, b = (_width(sharing.ranges[node]) for node in pattern[:2])
    width = _width(_range(sharing, pattern))
    overlap = width - abs(pattern[2])
    return count * BIT * (a + b - width) - overlap


def _best(sharing: Sharing) -> Pattern | None:
    best, most = None, 0.0
    for pattern, count in sharing.counts.items():
        if count > 1:
            gain = _gain(sharing, pattern, count)
            if gain > most:
                best, most = pattern, gain
    return best


def _replace(sharing: Sharing, pattern: Pattern) -> None:
    """A new node for the pattern, in every sum that holds it."""
    node = len(sharing.ranges)
    shift, sign = pattern[2:]
    down = max(0, -shift)
    sharing.ranges.append(_range(sharing, pattern))
    sharing.defined.append((Term(pattern[0], down, 1), Term(pattern[1], max(0, shift), sign)))
    del sharing.counts[pattern]
    for row in sharing.rows:
        for a in sorted(t for t in row if t.node == pattern[0]):
            b = Term(pattern[1], a.shift + shift, a.sign * sign)
            if a in row and b in row and a != b:
                _substitute(sharing, row, a, b, Term(node, a.shift - down, a.sign))


def _substitute(sharing: Sharing, row: set[Term], a: Term, b: Term, new: Term) -> None:
    counts = sharing.counts
    row -= {a, b}
    for gone in (a, b):
        for other in row:
            counts[_pattern(gone, other)] -= 1
    for other in row:
        counts[_pattern(new, other)] += 1
    row.add(new)


def matrix(
    n: Netlist,
    inputs: Sequence[Number],
    weights: np.ndarray,
    constants: np.ndarray,
    offsets: Sequence[int] | None = None,
) -> list[Number]:
    """The sums inputs @ weights (K, N) + constants (N,), counted from `offsets`, or (None) from their least.

    A sum whose offset lies above its least has the bits of a two's complement number.
    """
    sharing = share(weights, [(x.lo, x.hi) for x in inputs])
    numbers = list(inputs)
    for pair in sharing.defined:
        lo, hi = sharing.ranges[len(numbers)]
        numbers.append(_sum(n, numbers, pair, 0, lo, lo, hi))
    lows, highs = sum_ranges(inputs, weights, constants)
    return [
        _sum(n, numbers, sorted(row), int(constants[k]), lows[k] if offsets is None else offsets[k], lows[k], highs[k])
        for k, row in enumerate(sharing.rows)
    ]


def sum_ranges(
    inputs: Sequence[Number], weights: np.ndarray, constants: np.ndarray
) -> tuple[list[int], list[int]]:  # fmt: skip
    """The least and the greatest sum of every column."""
    ends = np.array([(x.lo, x.hi) for x in inputs])
    products = weights * ends[:, :1], weights * ends[:, 1:]
    lo, hi = np.minimum(*products).sum(0) + constants, np.maximum(*products).sum(0) + constants
    return lo.tolist(), hi.tolist()


def _sum(
    n: Netlist, numbers: Sequence[Number], terms: Sequence[Term], constant: int, offset: int, lo: int, hi: int
) -> Number:  # fmt: skip
    heap = Heap(constant=constant - offset)
    for term in terms:
        number = numbers[term.node]
        heap.add(number.bits, term.shift, sign=term.sign)
        heap.constant += term.sign * number.offset << term.shift
    width = max(hi - offset, offset - lo - 1).bit_length() + (lo < offset)
    return Number(tuple(summed(n, heap, width)), offset, lo, hi)
