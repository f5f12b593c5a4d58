"""Dot products as heaps of partial products, whose weights are signals or are chosen by a fold inside the gates.

A partial product is a bit of an input, as it is (digit 1), inverted (-1) or left out (0). Where weights are signals, a
LUT6_2 adds two of them to a third bit, gates included. Where they are functions of at most three bits that say which
fold is on, gates cost nothing: a LUT6_2 counts three. Where no digit is 0 the lowest bit of such a count is the parity
of its inputs, the same for all neurons but for inversions, so that only the carry is left to each neuron.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple, TypeVar

import numpy as np

from hw.netlist.cells import Literal, Netlist
from hw.netlist.heap import Heap
from hw.netlist.tables import mask, variable

DEEPEST = 4  # levels of the full adders of partial products: what one clock takes at 100 MHz
PAIRED = 5  # inputs that two functions in one site have together

T = TypeVar("T")


class Chosen(NamedTuple):
    """A partial product of the fold's choice; tables over the fold's bits: where x counts, and where its inverse."""

    x: Literal
    passes: int
    inverts: int


class Gated(NamedTuple):
    """A partial product with a signal: x ^ w where `signs`, else x & w."""

    x: Literal
    w: Literal
    signs: bool


def table_over_folds(bits: Sequence[int], fold_bits: int) -> int:
    """Bits by fold as a table over the fold's bits; where there are fewer folds the first one stands in."""
    size = 1 << fold_bits
    return sum(int(bits[f if f < len(bits) else 0]) << f for f in range(size))


# --- weights chosen by the fold ---------------------------------------------------------------------------------


def add_chosen(n: Netlist, heap: Heap, columns: Mapping[int, Sequence[Chosen]], fold: Sequence[Literal]) -> None:
    """Partial products by the power of two that each is worth, counted by threes."""
    for power, products in columns.items():
        for k in range(0, len(products), 3):
            group = products[k : k + 3]
            gates = [_gate(j, product, len(group), len(fold)) for j, product in enumerate(group)]
            literals = [*(product.x for product in group), *fold]
            for bit, literal in enumerate(_functions(n, _count(gates), literals)):
                heap.add_bit(literal, power + bit)


def _gate(j: int, product: Chosen, inputs: int, fold_bits: int) -> int:
    """A partial product of input j as a table over the inputs and the fold's bits."""
    x = variable(inputs + fold_bits, j)
    return x & _spread(product.passes, inputs, fold_bits) | ~x & _spread(product.inverts, inputs, fold_bits)


@cache
def _spread(table: int, inputs: int, fold_bits: int) -> int:
    """A table over the fold's bits as one over the inputs, which do not matter, and these."""
    block = mask(inputs)
    return sum(block << (f << inputs) for f in range(1 << fold_bits) if table >> f & 1)


def _count(gates: Sequence[int]) -> list[int]:
    """The sum of at most three tables."""
    if len(gates) == 1:
        return list(gates)
    a, b, c = (*gates, 0)[:3]
    return [a ^ b ^ c, a & b | (a ^ b) & c]


def add_signs(
    n: Netlist, heaps: Sequence[Heap], inputs: Sequence[Literal], inverts: np.ndarray, power: int,
    fold: Sequence[Literal],
) -> None:  # fmt: skip
    """To every neuron's heap its sum of all inputs, those inverted where the table inverts[neuron, input] says so."""
    xs, tables = list(inputs), inverts
    while len(xs) > 2:
        end = len(xs) // 3 * 3
        parities = [_carries(n, heaps, xs[k : k + 3], tables[:, k : k + 3], power + 1, fold) for k in range(0, end, 3)]
        joined = np.bitwise_xor.reduce(tables[:, :end].reshape(len(heaps), -1, 3), axis=2)
        xs, tables = parities + xs[end:], np.concatenate([joined, tables[:, end:]], axis=1)
    for x, column in zip(xs, tables.T, strict=True):
        whole = mask(len(fold))
        gates = [_gate(0, Chosen(x, ~int(t) & whole, int(t)), 1, len(fold)) for t in column]
        for heap, literal in zip(heaps, _functions(n, gates, [x, *fold]), strict=True):
            heap.add_bit(literal, power)


def _carries(
    n: Netlist, heaps: Sequence[Heap], xs: Sequence[Literal], inverts: np.ndarray, power: int, fold: Sequence[Literal]
) -> Literal:
    """Add every neuron's carry of three inputs to its heap; the parity of the inputs as they are."""
    whole, size = mask(len(fold)), 3 + len(fold)
    tables: list[int] = []
    for row in inverts:
        gates = [_gate(j, Chosen(xs[j], ~int(t) & whole, int(t)), 3, len(fold)) for j, t in enumerate(row)]
        tables.append(_count(gates)[1])
    parity = variable(size, 0) ^ variable(size, 1) ^ variable(size, 2)
    *carries, plain = _functions(n, [*tables, parity], [*xs, *fold])
    for heap, literal in zip(heaps, carries, strict=True):
        heap.add_bit(literal, power)
    return plain


def _functions(n: Netlist, tables: Sequence[int], literals: Sequence[Literal]) -> list[Literal]:
    """Functions of the same literals, two a site where five inputs do; equal and opposite ones are made once."""
    whole = mask(len(literals))
    plain = [t ^ whole if t & 1 else t for t in tables]
    wanted = list(dict.fromkeys(plain))
    made: dict[int, Literal] = {}
    step = 2 if len(literals) <= PAIRED else 1
    for k in range(0, len(wanted), step):
        pair = wanted[k : k + step]
        bits = n.pair(pair[0], pair[1], literals) if len(pair) == 2 else (n.lut(pair[0], literals),)
        made.update(zip(pair, bits, strict=True))
    return [made[t] ^ (table & 1) for t, table in zip(plain, tables, strict=True)]


# --- weights that are signals -----------------------------------------------------------------------------------


def read_only(n: Netlist, tables: Sequence[int], address: Sequence[Literal]) -> list[Literal]:
    """A memory of at most 64 words: its bits as tables over the address."""
    return _functions(n, tables, address)


def add_gated(n: Netlist, heap: Heap, columns: Mapping[int, Sequence[Gated]]) -> None:
    """Partial products by the power of two that each is worth: full adders with the gates inside."""
    for power, bits in paired_off(columns, partial(_alone, n), partial(_link, n)).items():
        for bit in bits:
            heap.add_bit(bit, power)


def paired_off(
    columns: Mapping[int, Sequence[T]],
    alone: Callable[[Sequence[T]], list[Literal]],
    link: Callable[[Literal, Sequence[T]], tuple[Literal, Literal]],
) -> dict[int, list[Literal]]:
    """The bits of every power once all partial products are in: a full adder (`link`) takes two and a bit.

    The bit is the earliest of the column, a carry from the column below or another one's sum; where all come late, one
    or two partial products are made bits of their own (`alone`).
    """
    made: defaultdict[int, list[tuple[int, Literal]]] = defaultdict(list)  # levels and bits
    for power in sorted(columns):
        bits, left = sorted(made[power]), columns[power]
        while left:
            few, left = left[:2], left[2:]
            if len(few) == 2 and bits and bits[0][0] < DEEPEST:
                level, bit = bits.pop(0)
                total, carry = link(bit, few)
                insort(bits, (level + 1, total))
                made[power + 1].append((level + 1, carry))
            else:
                for bit in alone(few):
                    insort(bits, (1, bit))
        made[power] = bits
    return {power: [bit for _, bit in bits] for power, bits in made.items()}


def _alone(n: Netlist, products: Sequence[Gated]) -> list[Literal]:
    """One or two partial products as bits, in one site."""
    if len(products) == 1:
        ((x, w, signs),) = products
        return [n.lut(_single(signs, 2, 0), (x, w))]
    a, b = products
    return list(n.pair(_single(a.signs, 4, 0), _single(b.signs, 4, 2), (a.x, a.w, b.x, b.w)))


@cache
def _single(signs: bool, inputs: int, first: int) -> int:
    x, w = variable(inputs, first), variable(inputs, first + 1)
    return x ^ w if signs else x & w


def _link(n: Netlist, bit: Literal, products: Sequence[Gated]) -> tuple[Literal, Literal]:
    """Sum and carry of two partial products and a bit."""
    a, b = products
    total, carry = _count([_single(a.signs, 5, 0), _single(b.signs, 5, 2), variable(5, 4)])
    return n.pair(total, carry, (a.x, a.w, b.x, b.w, bit))
