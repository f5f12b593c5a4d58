"""Dot products as heaps of partial products, whose weights are signals or are chosen by a fold inside the gates.

A partial product is a bit of an input, as it is (digit 1), inverted (-1) or left out (0). Where weights are signals, a
LUT6_2 adds two of them to a third bit, gates included. Where they are functions of at most three bits that say which
fold is on, gates cost nothing: a LUT6_2 counts three. Where no digit is 0 the lowest bit of such a count is the parity
of its inputs, the same for all neurons but for inversions, so that only the carry is left to each neuron.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from hw.netlist.cells import Literal, Netlist
from hw.netlist.heap import Heap
from hw.netlist.tables import mask, variable

LINKS = 4  # full adders in a chain of partial products
PAIRED = 5  # inputs that two functions in one site have together


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


def add_gated(n: Netlist, heap: Heap, columns: Mapping[int, Sequence[Gated]], links: int = LINKS) -> None:
    """Partial products by the power of two that each is worth: chains of full adders with the gates inside."""
    for power, products in columns.items():
        chains = [products[k : k + 2 * links + 1] for k in range(0, len(products), 2 * links + 1)]
        firsts = [chain[0] for chain in chains]
        for chain, bit in zip(chains, _alone(n, firsts), strict=True):
            rest = chain[1:]
            for k in range(0, len(rest), 2):
                bit, carry = _link(n, bit, rest[k : k + 2])
                heap.add_bit(carry, power + 1)
            heap.add_bit(bit, power)


def _alone(n: Netlist, products: Sequence[Gated]) -> list[Literal]:
    """Partial products as bits, two a site."""
    bits: list[Literal] = []
    for k in range(0, len(products) - 1, 2):
        a, b = products[k], products[k + 1]
        bits += n.pair(_single(a.signs, 4, 0), _single(b.signs, 4, 2), (a.x, a.w, b.x, b.w))
    if len(products) % 2:
        last = products[-1]
        bits.append(n.lut(_single(last.signs, 2, 0), (last.x, last.w)))
    return bits


@cache
def _single(signs: bool, inputs: int, first: int) -> int:
    x, w = variable(inputs, first), variable(inputs, first + 1)
    return x ^ w if signs else x & w


def _link(n: Netlist, bit: Literal, products: Sequence[Gated]) -> tuple[Literal, Literal]:
    """Sum and carry of one or two partial products and a bit."""
    size = 2 * len(products) + 1
    gates = [_single(product.signs, size, 2 * j) for j, product in enumerate(products)]
    literals = [*(literal for product in products for literal in (product.x, product.w)), bit]
    total, carry = _count([*gates, variable(size, size - 1)])
    return n.pair(total, carry, literals)
