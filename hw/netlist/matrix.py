"""Constant matrices: shared sums of two terms, then one compressor heap for every sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hw.netlist.cells import Literal, Netlist
from hw.netlist.chains import added
from hw.netlist.heap import Heap
from hw.netlist.sharing import share
from hw.netlist.sums import Term


@dataclass(frozen=True)
class Number:
    """offset + bits (lowest first), an integer of lo..hi."""

    bits: tuple[Literal, ...]
    offset: int
    lo: int
    hi: int


def number_width(offset: int, lo: int, hi: int) -> int:
    """Bits of a number of lo..hi that counts from `offset`: two's complement where that is above lo."""
    return max(hi - offset, offset - lo - 1).bit_length() + (lo < offset)


def matrix(
    n: Netlist, inputs: Sequence[Number], weights: np.ndarray, constants: np.ndarray, offsets: Sequence[int]
) -> list[Number]:
    """The sums inputs @ weights (K, N) + constants (N,), counted from `offsets`.

    A sum whose offset lies above its least has the bits of a two's complement number.
    """
    sharing = share(weights, [(x.lo, x.hi) for x in inputs])
    numbers = dict(enumerate(inputs))
    for node, terms in enumerate(sharing.parts, sharing.inputs):
        lo, hi = sharing.ranges[node]
        numbers[node] = _sum(n, numbers, terms, 0, _natural(numbers, terms, lo, hi), lo, hi)
    lows, highs = sum_ranges(inputs, weights, constants)
    return [
        _sum(n, numbers, row, int(constants[k]), offsets[k], lows[k], highs[k]) for k, row in enumerate(sharing.rows)
    ]


def sum_ranges(
    inputs: Sequence[Number], weights: np.ndarray, constants: np.ndarray
) -> tuple[list[int], list[int]]:  # fmt: skip
    """The least and the greatest sum of every column."""
    ends = np.array([(x.lo, x.hi) for x in inputs])
    products = weights * ends[:, :1], weights * ends[:, 1:]
    lo, hi = np.minimum(*products).sum(0) + constants, np.maximum(*products).sum(0) + constants
    return lo.tolist(), hi.tolist()


def _natural(numbers: Mapping[int, Number], terms: Sequence[Term], lo: int, hi: int) -> int:
    """The offset of a sum that needs no constant, if its number is no longer; else lo."""
    low = 0
    for node, shift, sign in terms:
        number = numbers[node]
        low += (sign * number.offset - (sign < 0) * ((1 << len(number.bits)) - 1)) << shift
    return low if number_width(low, lo, hi) == number_width(lo, lo, hi) else lo


def _sum(
    n: Netlist, numbers: Mapping[int, Number], terms: Sequence[Term], constant: int, offset: int, lo: int, hi: int
) -> Number:  # fmt: skip
    heap = Heap(constant=constant - offset)
    for term in terms:
        number = numbers[term.node]
        heap.add(number.bits, term.shift, sign=term.sign)
        heap.constant += term.sign * number.offset << term.shift
    return Number(tuple(added(n, heap, number_width(offset, lo, hi))), offset, lo, hi)
