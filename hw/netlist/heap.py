"""Heaps of weighted bits, which `hw.netlist.chains.added` adds up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from hw.netlist.cells import FALSE, TRUE, Literal


@dataclass
class Heap:
    """Bits by the power of two that each is worth, and a constant: their sum modulo 2^width is wanted."""

    columns: defaultdict[int, list[Literal]] = field(default_factory=lambda: defaultdict(list))
    constant: int = 0

    def add_bit(self, bit: Literal, power: int) -> None:
        if bit == TRUE:
            self.constant += 1 << power
        elif bit != FALSE:
            self.columns[power].append(bit)

    def add(self, bits: Sequence[Literal], power: int = 0, signed: bool = False, sign: int = 1) -> None:
        """A number (lowest bit first) times sign * 2^power; the top bit of a signed number counts negatively."""
        for k, bit in enumerate(bits):
            negative = (sign < 0) != (signed and k == len(bits) - 1)
            if negative:  # -b = ~b - 1
                self.constant -= 1 << (power + k)
            self.add_bit(bit ^ negative, power + k)

    def total(self) -> int:
        """Bits that are not constant."""
        return sum(len(bits) for bits in self.columns.values())
