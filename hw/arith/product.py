"""Dot products of one clock as netlists, with weights that change from fold to fold: their place, and what sums miss.

An input is unit * u + offset with u the unsigned number of its bits (the top bit of a signed one inverted), so a heap
of partial products only counts; what that leaves out is a constant of each fold and neuron, for the accumulator.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache

import numpy as np

from codesign import arithmetic
from codesign.cost import Cost
from codesign.formats import Binary, Format, Int
from hw.netlist.cells import Literal, Lut, Netlist
from hw.netlist.chains import added
from hw.netlist.clock import MOST_LEVELS
from hw.netlist.dense import Dense, dense
from hw.netlist.heap import Heap
from hw.netlist.pipeline import pipelined
from hw.netlist.products import Chosen, Gated, add_chosen, add_gated, add_signs, read_only, table_over_folds
from hw.netlist.sizes import netlist_cost

MOST_TABLE = 64  # folds that one look-up table tells apart


class Place(Enum):
    """Where weights are."""

    CONSTANT = "constants of the gates"
    CHOSEN = "chosen by the fold inside the gates"
    TABLE = "in look-up tables"
    MEMORY = "in a memory outside, read a clock before"


@dataclass(frozen=True)
class Sums:
    """A registered netlist from `x` (and `fold`, or `w` for one neuron) to `y`, and the format of each sum in `y`."""

    netlist: Netlist
    latency: int
    formats: tuple[Int, ...]

    @property
    def luts(self) -> int:
        return sum(isinstance(c, Lut) for c in self.netlist.cells)

    @cached_property
    def cost(self) -> Cost:
        """Of the netlist."""
        return netlist_cost(self.netlist)


@dataclass(frozen=True, eq=False)
class Product:
    """x times weights (folds, neurons, synapses), a fold a clock; the neurons and the lanes of x split into banks."""

    x: Format
    w: Format
    weights: np.ndarray
    banks: int = 1
    levels: float = MOST_LEVELS

    @cached_property
    def place(self) -> Place:
        """Gates choose for nothing among four folds, and among eight where that is less than a table."""
        folds = len(self.weights)
        if folds == 1:
            return Place.CONSTANT
        if folds <= 4 or (folds <= 8 and (self.signs or self.x.bits == 1)):
            return Place.CHOSEN
        return Place.TABLE if folds <= MOST_TABLE else Place.MEMORY

    @property
    def signs(self) -> bool:
        """Whether weights are -1 and 1."""
        return isinstance(self.w, Binary)

    @property
    def unit_bits(self) -> int:
        """The power of two that a one of the sums is worth."""
        return int(isinstance(self.x, Binary))

    @property
    def size(self) -> int:
        """Neurons a bank."""
        return self.weights.shape[1] // self.banks

    @property
    def synapses(self) -> int:
        return self.weights.shape[2]

    # --- numbers ---

    @cached_property
    def digits(self) -> np.ndarray:
        """Of chosen weights -1, 0, 1 by plane: (planes, folds, neurons, synapses), weights = sum(2^j digits[j])."""
        planes = np.arange(max(1, int(np.abs(self.weights).max()).bit_length()))
        return np.sign(self.weights) * (np.abs(self.weights) >> planes[:, None, None, None] & 1)

    @cached_property
    def correction(self) -> np.ndarray:
        """(folds, neurons): x . w = 2^unit_bits * sum + correction."""
        if self.place is Place.CONSTANT:
            return -self.weights.sum(-1) * self.unit_bits
        inverted = self._inverted.sum(-1) * ((1 << self.x.bits) - 1)
        return _offset(self.x) * self.weights.sum(-1) - (inverted << self.unit_bits)

    @property
    def _inverted(self) -> np.ndarray:
        """What the digits -1 of each weight are worth together."""
        if self.signs or self.place is Place.CHOSEN:
            return np.maximum(-self.weights, 0)
        return (self.weights < 0).astype(np.int64) << (self.w.bits - 1)

    @cached_property
    def most(self) -> np.ndarray:
        """The greatest sum of every neuron; where all use one circuit, that of all."""
        digits = np.abs(self.weights) if self.signs or self.place is Place.CHOSEN else self.weights & self._mask
        each = digits.sum(-1).max(0) * ((1 << self.x.bits) - 1)
        return np.full_like(each, each.max()) if self.place is Place.MEMORY else each

    @property
    def _mask(self) -> int:
        return (1 << self.w.bits) - 1

    @property
    def counted(self) -> Format:
        """Inputs as the constants' circuit takes them: a binary one is its bit."""
        return Int(0, 1) if isinstance(self.x, Binary) else self.x

    # --- circuit ---

    def sums(self, most_bits: int) -> Sums:
        """All neurons' sums modulo 2^most_bits; of one neuron where the weights are in a memory."""
        return _built(_Content(self, most_bits))


def _offset(x: Format) -> int:
    """x = 2^unit * u + this."""
    if isinstance(x, Binary):
        return -1
    return -(1 << (x.bits - 1)) if x.signed else 0


class _Content:
    """What a netlist depends on; equal contents are built once."""

    def __init__(self, product: Product, most_bits: int) -> None:
        self.product, self.most_bits = product, most_bits
        shape = product.weights.shape
        outside = product.place is Place.MEMORY
        values = (shape[2], product.w, product.most[0]) if outside else (shape, product.weights.tobytes())
        parts = repr((product.x, product.signs, product.place, product.banks, product.levels, most_bits, values))
        self.digest = hashlib.sha256(parts.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@lru_cache(maxsize=64)
def _built(content: _Content) -> Sums:
    p, n = content.product, Netlist()
    lanes = p.synapses if p.place is Place.MEMORY else p.banks * p.synapses
    bits = n.input("x", lanes * p.x.bits)
    codes = [bits[k : k + p.x.bits] for k in range(0, len(bits), p.x.bits)]
    build = {Place.CONSTANT: _constant, Place.CHOSEN: _chosen, Place.TABLE: _tabled, Place.MEMORY: _remembered}
    sums, formats = build[p.place](n, p, codes, content.most_bits)
    n.output("y", [bit for bits in sums for bit in bits])
    return Sums(*pipelined(n, p.levels), tuple(formats))


Codes = list[list[Literal]]
Built = tuple[Codes, list[Int]]


def _constant(n: Netlist, p: Product, codes: Codes, most_bits: int) -> Built:
    sums: Codes = []
    formats: list[Int] = []
    for bank in range(p.banks):
        weights = p.weights[0, bank * p.size : (bank + 1) * p.size].T
        fmt = arithmetic.accumulator(p.counted, weights)
        assert isinstance(fmt, Int)
        inputs = codes[bank * p.synapses : (bank + 1) * p.synapses]
        layer = Dense(weights, np.zeros(p.size, np.int64), fmt)
        sums += dense(n, layer, inputs, p.counted)
        formats += [fmt] * p.size
    return sums, formats


def _chosen(n: Netlist, p: Product, codes: Codes, most_bits: int) -> Built:
    fold = n.input("fold", (len(p.weights) - 1).bit_length())
    heaps = [Heap() for _ in range(p.weights.shape[1])]
    for bank in range(p.banks):
        ours = slice(bank * p.size, (bank + 1) * p.size)
        inputs = [_unsigned(code, p.x) for code in codes[bank * p.synapses : (bank + 1) * p.synapses]]
        for j, digits in enumerate(p.digits[:, :, ours]):
            if digits.all():
                _add_signs(n, heaps[ours], inputs, digits, j, fold)
        _add_chosen(n, heaps[ours], inputs, p.digits[:, :, ours], fold)
    return _finished(n, p, heaps, most_bits)


def _add_signs(
    n: Netlist, heaps: list[Heap], inputs: Codes, digits: np.ndarray, power: int, fold: list[Literal]
) -> None:  # fmt: skip
    """A plane (folds, neurons, synapses) without zeros."""
    inverts = _tables(digits < 0, len(fold))
    for i in range(len(inputs[0])):
        add_signs(n, heaps, [bits[i] for bits in inputs], inverts, power + i, fold)


def _tables(bits: np.ndarray, fold_bits: int) -> np.ndarray:
    """(folds, ...) -> tables over the fold's bits; folds that there are not take the first one's."""
    missing = (1 << fold_bits) - len(bits)
    full = np.concatenate([bits, np.repeat(bits[:1], missing, axis=0)]).astype(np.int64)
    return (full << np.arange(len(full)).reshape(-1, *[1] * (bits.ndim - 1))).sum(0)


def _add_chosen(n: Netlist, heaps: list[Heap], inputs: Codes, digits: np.ndarray, fold: list[Literal]) -> None:
    """The planes with zeros, digits (planes, folds, neurons, synapses)."""
    passes, inverts = (_tables((digits == s).swapaxes(0, 1), len(fold)) for s in (1, -1))
    for k, heap in enumerate(heaps):
        columns: defaultdict[int, list[Chosen]] = defaultdict(list)
        for j in range(len(digits)):
            if digits[j].all():
                continue
            for bits, t, f in zip(inputs, passes[j, k].tolist(), inverts[j, k].tolist(), strict=True):
                for i, bit in enumerate(bits if t or f else ()):
                    columns[i + j].append(Chosen(bit, t, f))
        add_chosen(n, heap, columns, fold)


def _unsigned(code: list[Literal], x: Format) -> list[Literal]:
    """The bits of u."""
    return [*code[:-1], code[-1] ^ 1] if x.signed and not isinstance(x, Binary) else code


def _finished(n: Netlist, p: Product, heaps: list[Heap], most_bits: int) -> Built:
    formats = [Int(0, min(int(most), (1 << most_bits) - 1)) for most in p.most]
    return [added(n, heap, fmt.bits, p.levels) for heap, fmt in zip(heaps, formats, strict=True)], formats


def _tabled(n: Netlist, p: Product, codes: Codes, most_bits: int) -> Built:
    fold = n.input("fold", (len(p.weights) - 1).bit_length())
    shifts = np.arange(p.w.bits, dtype=np.uint64)
    bits = (p.w.encode(p.weights)[..., None] >> shifts & np.uint64(1)).astype(np.int64)  # (folds, ..., bits)
    tables = np.array([table_over_folds(row, len(fold)) for row in bits.reshape(len(bits), -1).T], object)
    literals = read_only(n, tables.tolist(), fold)
    stored = np.array(literals, np.int64).reshape(bits.shape[1:])
    heaps = [
        _gated(n, p, codes[(k // p.size) * p.synapses : (k // p.size + 1) * p.synapses], row.tolist())
        for k, row in enumerate(stored)
    ]
    return _finished(n, p, heaps, most_bits)


def _remembered(n: Netlist, p: Product, codes: Codes, most_bits: int) -> Built:
    bits = n.input("w", p.synapses * p.w.bits)
    heap = _gated(n, p, codes, [bits[k : k + p.w.bits] for k in range(0, len(bits), p.w.bits)])
    fmt = Int(0, min(int(p.most[0]), (1 << most_bits) - 1))
    return [added(n, heap, fmt.bits, p.levels)], [fmt]


def _gated(n: Netlist, p: Product, codes: Codes, weights: Codes) -> Heap:
    """Of one neuron: its heap, with the first full adders done."""
    heap, columns = Heap(), defaultdict[int, list[Gated]](list)
    for code, weight in zip(codes, weights, strict=True):
        for j, w in enumerate(weight):
            negative = p.w.signed and not p.signs and j == len(weight) - 1
            for i, bit in enumerate(_unsigned(code, p.x)):
                columns[i + j].append(Gated(bit, w ^ 1, True) if p.signs else Gated(bit ^ negative, w, False))
    add_gated(n, heap, columns)
    return heap
