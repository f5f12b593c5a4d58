"""Beats of a memory that are read ahead of a Skid, and the registers behind a memory in block RAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Module, Signal, Value

from codesign.cost import Cost
from hw.copies import groups_of, held
from hw.memory import Ports, choices_of, in_blocks, in_parts, parts_of, ram_cost


@dataclass(frozen=True)
class Fetch:
    """From a memory of `depth` beats of so many bits: block RAM, which leaves few levels behind it, goes straight into
    registers, or through the choice among its banks alone."""

    depth: int
    bits: int

    @property
    def parts(self) -> int:
        """Of the memory: each has an address and an enable of its own."""
        return parts_of(self.depth, self.bits)

    @property
    def registered(self) -> bool:
        """Whether there are registers behind it."""
        return in_blocks(self.depth, self.bits)

    @property
    def behind(self) -> int:
        """Enables of these, and of the choice among banks."""
        return max(groups_of(self.bits), choices_of(self.depth, self.bits)) if self.registered else 0

    @property
    def enables(self) -> int:
        """In all that are wanted beside the Skid's own `run`."""
        parts = self.parts + self.behind
        return parts if parts > 1 else 0

    @property
    def latency(self) -> int:
        """Clocks from the address to the beat."""
        return 1 + self.registered

    def cost(self) -> Cost:
        """With its enables, and without addresses."""
        return ram_cost(self.depth, self.bits) + Cost(ff=self.registered * (self.bits + self.behind + 1))

    def read(
        self, m: Module, data: Value, write: Ports, read: Ports, issue: tuple[Value, Value], behind: Sequence[Value]
    ) -> tuple[Value, Value]:
        """The beat that a Skid takes, and whether it is one; issue: that one is read now, and the enable of that."""
        word, (issued, run) = in_parts(m, self.depth, data, write, read, behind), issue
        if not self.registered:
            return word, issued
        offered = Signal()
        with m.If(run):
            m.d.sync += offered.eq(issued)
        return held(m, word, behind), offered
