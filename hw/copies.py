"""Registers that are there several times, so that none has too many readers: wide enables and selects are slow."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from amaranth.hdl import Cat, Module, Signal, Value, ValueLike

from hw.netlist.fanout import MOST_READERS

EACH = MOST_READERS - 4  # an inverter, and what else reads it
KEPT = {"keep": 1}  # a register that synthesis must not make one of with an equal one (`hw.yosys.verilog_from_rtlil`)


def groups_of(bits: int, readers: int = 1) -> int:
    """Into how many groups so many bits go that each group, so many readers a bit, reads one register."""
    return max(1, -(-bits * readers // EACH))


def slices_of(bits: int, groups: int) -> list[slice]:
    """So many bits in groups of almost one size."""
    bounds = [bits * k // groups for k in range(groups + 1)]
    return [slice(a, b) for a, b in pairwise(bounds)]


def copies(m: Module, value: ValueLike, count: int, init: int = 0, reset_less: bool = False) -> list[Signal]:
    """Registers of one value."""
    shape = Value.cast(value).shape()
    made = [Signal(shape, name="copy", init=init, reset_less=reset_less, attrs=KEPT) for _ in range(count)]
    m.d.sync += [copy.eq(value) for copy in made]
    return made


def branched(m: Module, value: ValueLike, count: int, reset_less: bool = False) -> list[Signal]:
    """Registers of one value two clocks later, however many: none before them has too many readers."""
    roots = copies(m, value, groups_of(count), reset_less=reset_less)
    parts = zip(roots, slices_of(count, len(roots)), strict=True)
    return [leaf for root, p in parts for leaf in copies(m, root, p.stop - p.start, reset_less=reset_less)]


def held(m: Module, value: Value, runs: Iterable[Value]) -> Value:
    """A wide register: each of `runs`, which are all the same, enables a part of it."""
    runs, parts = list(runs), list[Signal]()
    for part, run in zip(slices_of(len(value), len(runs)), runs, strict=True):
        kept = Signal(len(value[part]), reset_less=True)
        with m.If(run):
            m.d.sync += kept.eq(value[part])
        parts.append(kept)
    return Cat(*parts)
