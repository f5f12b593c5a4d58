"""Dot products of one clock as netlists, with weights that change from fold to fold: their place, and what sums miss.

An input is unit * u + offset with u the unsigned number of its bits (the top bit of a signed one inverted), so a heap
of partial products only counts; what that leaves out is a constant of each fold and neuron, for the accumulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from codesign.formats import Binary, Format, Int
from hw.arith.powers import Powers
from hw.netlist.cells import Literal, Netlist
from hw.netlist.chains import added
from hw.netlist.clock import MOST_LEVELS
from hw.netlist.heap import Heap

MOST_TABLE = 64  # folds that one look-up table tells apart


class Place(Enum):
    """Where weights are."""

    CONSTANT = "constants of the gates"
    CHOSEN = "chosen by the fold inside the gates"
    TABLE = "in look-up tables"
    MEMORY = "in a memory outside, read a clock before"


@dataclass(frozen=True, eq=False)
class Product:
    """x times weights (folds, neurons, synapses), a fold a clock; the neurons and the lanes of x split into banks."""

    x: Format
    w: Format | Powers
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
    def _by_sign(self) -> bool:
        """Whether inputs are inverted where weights are negative; else the highest bit of these counts negatively."""
        return self.signs or isinstance(self.w, Powers) or self.place is Place.CHOSEN

    @property
    def _inverted(self) -> np.ndarray:
        """What the digits -1 of each weight are worth together."""
        if self._by_sign:
            return np.maximum(-self.weights, 0)
        return (self.weights < 0).astype(np.int64) << (self.w.bits - 1)

    @cached_property
    def most(self) -> np.ndarray:
        """The greatest sum of every neuron; where all use one circuit, that of all."""
        digits = np.abs(self.weights) if self._by_sign else self.weights & self._mask
        each = digits.sum(-1).max(0) * ((1 << self.x.bits) - 1)
        return np.full_like(each, each.max()) if self.place is Place.MEMORY else each

    @property
    def _mask(self) -> int:
        return (1 << self.w.bits) - 1

    @property
    def counted(self) -> Format:
        """Inputs as the constants' circuit takes them: a binary one is its bit."""
        return Int(0, 1) if isinstance(self.x, Binary) else self.x


def _offset(x: Format) -> int:
    """x = 2^unit * u + this."""
    if isinstance(x, Binary):
        return -1
    return -(1 << (x.bits - 1)) if x.signed else 0


# --- what circuits share ----------------------------------------------------------------------------------------

Codes = list[list[Literal]]
Built = tuple[Codes, list[Int]]


def unsigned(code: list[Literal], x: Format) -> list[Literal]:
    """The bits of u."""
    return [*code[:-1], code[-1] ^ 1] if x.signed and not isinstance(x, Binary) else code


def finished(n: Netlist, p: Product, heaps: list[Heap], most_bits: int) -> Built:
    """The sums of heaps, one a neuron."""
    formats = [Int(0, min(int(most), (1 << most_bits) - 1)) for most in p.most]
    return [added(n, heap, fmt.bits, p.levels) for heap, fmt in zip(heaps, formats, strict=True)], formats


def sum_bits(p: Product, most_bits: int) -> int:
    """Of the widest sum."""
    return min(int(p.most.max()).bit_length(), most_bits)
