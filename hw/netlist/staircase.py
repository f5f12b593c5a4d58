"""Staircases of a number: how many thresholds it has reached, in look-up tables and carry chains."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from hw.netlist.cells import FALSE, Literal, Netlist
from hw.netlist.matrix import Number
from hw.netlist.tables import number_of, table_of, tables_of

MOST_PREFIX = 5  # bits that select a threshold inside one look-up table
DIRECT = 6  # bits of a number whose functions are look-up tables


@dataclass(frozen=True)
class Stairs:
    """A count of thresholds over lo..hi: those strictly inside, ascending, and how many are always `reached`."""

    thresholds: tuple[int, ...]
    reached: int
    lo: int
    hi: int

    @classmethod
    def of(cls, thresholds: Sequence[int], lo: int, hi: int) -> Stairs:
        inside = tuple(t for t in thresholds if lo < t <= hi)
        return cls(inside, sum(t <= lo for t in thresholds), lo, hi)

    @property
    def width(self) -> int:
        """Bits of the count of those inside."""
        return len(self.thresholds).bit_length()

    @property
    def takes(self) -> bool:
        """Whether there is a circuit here."""
        return self.width <= MOST_PREFIX + 1 or (self.even is not None and not self.even.stops)

    @cached_property
    def even(self) -> Even | None:
        """As a shift; None where the thresholds are not that regular."""
        return Even.of(self) if self.thresholds else None

    def offset(self) -> int:
        """Where the number should count from, at or below lo: there bits of the number are bits of the count."""
        if self.even is None:
            return self.lo
        return self.lo - (self.lo - self.even.zero) % (1 << (self.even.shift + self.width))


@dataclass(frozen=True)
class Even:
    """Thresholds zero + k 2^shift for k = 1, 2...; where half goes to even, every other one is one further or nearer.

    late: odd counts are reached one later than the row says; early: one earlier. stops: the count stays at a number
    that is not all ones while x rises on.
    """

    zero: int
    shift: int
    late: bool
    early: bool
    stops: bool

    @classmethod
    def of(cls, stairs: Stairs) -> Even | None:
        t = stairs.thresholds
        for late, early in ((False, False), (True, False), (False, True)):
            row = [value + (k % 2 == 0) * (early - late) for k, value in enumerate(t)]
            steps = {b - a for a, b in itertools.pairwise(row)} or {1}
            step = steps.pop()
            if not steps and step > 0 and step & (step - 1) == 0 and (step > 1 or not (late or early)):
                following = row[-1] + step - (early and len(t) % 2 == 0)
                stops = len(t) + 1 < 1 << stairs.width and following <= stairs.hi
                return cls(row[0] - step, step.bit_length() - 1, late, early, stops)
        return None


def count(n: Netlist, x: Number, stairs: Stairs) -> list[Literal]:
    """How many of `stairs.thresholds` x has reached, lowest bit first."""
    even = stairs.even
    if even is not None and not (even.stops and stairs.width > DIRECT - 2):
        block, rest = divmod(even.zero - x.offset, 1 << (even.shift + stairs.width))
        if rest == 0:
            return _shifted(n, x, stairs, even, block)
    return _direct(n, x, stairs) if len(x.bits) <= DIRECT else _searched(n, x, stairs)


def _direct(n: Netlist, x: Number, stairs: Stairs) -> list[Literal]:
    """A table of the number's few bits."""

    def at(row: Sequence[int]) -> int:
        value = x.offset + number_of(row)
        return sum(value >= t for t in stairs.thresholds)

    return [n.lut(table, x.bits) for table in tables_of(at, len(x.bits), stairs.width)]


def _shifted(n: Netlist, x: Number, stairs: Stairs, even: Even, block: int) -> list[Literal]:
    """The bits above the shift, where those above them are `block`; zeros below it, the highest count above it."""
    bits = x.bits[even.shift :]
    low, high = list(bits[: stairs.width]), bits[stairs.width :]
    low += [FALSE] * (stairs.width - len(low))
    tie = _tie(n, x.bits[: even.shift], even)
    if even.stops:
        low[0] = n.lut(HALVED, (low[0], *tie))
        return _stopped(n, low, [_compared(n, high, block, way) for way in (-1, 1)], len(stairs.thresholds))
    if len(high) < DIRECT - 2:
        gate, beside = _gate(len(high), block), list(high)
    else:
        gate, beside = GATED, [_compared(n, high, block, way) for way in (-1, 1)]
    halved = table_of(lambda v: gate >> number_of([_half(v), *v[3:]]), 3 + len(beside))
    return [n.lut(halved, [low[0], *tie, *beside]), *(n.lut(gate, [bit, *beside]) for bit in low[1:])]


GATED = table_of(lambda v: v[2] | v[0] & ~v[1], 3)


def _half(v: Sequence[int]) -> int:
    """The count's lowest bit where half goes to even: it is 0 on a tie if that is late, 1 if it is early."""
    return v[0] & ~v[1] | v[2]


HALVED = table_of(_half, 3)


def _tie(n: Netlist, below: Sequence[Literal], even: Even) -> tuple[Literal, Literal]:
    """Whether an odd count is not reached yet, and whether it is reached before its time."""
    if even.late:
        return any_of(n, below) ^ 1, FALSE
    if even.early:
        return FALSE, any_of(n, [bit ^ 1 for bit in below]) ^ 1
    return FALSE, FALSE


def any_of(n: Netlist, bits: Sequence[Literal]) -> Literal:
    """Whether one of the bits is one."""
    while len(bits) > 1:
        groups = [bits[k : k + 6] for k in range(0, len(bits), 6)]
        bits = [n.lut(table_of(lambda v: int(any(v)), len(g)), g) for g in groups]
    return bits[0] if bits else FALSE


def _stopped(n: Netlist, low: Sequence[Literal], beside: Sequence[Literal], most: int) -> list[Literal]:
    """The count with a limit that is not all ones; `beside`: below and above the block."""

    def limited(v: Sequence[int]) -> int:
        return 0 if v[-2] else most if v[-1] else min(number_of(v[:-2]), most)

    return [n.lut(table, [*low, *beside]) for table in tables_of(limited, len(low) + 2, len(low))]


@cache
def _gate(high: int, block: int) -> int:
    """A bit of the count: its own where the high bits are `block`, 0 below, 1 above."""

    def bit(v: Sequence[int]) -> int:
        upper = number_of(v[1:])
        return v[0] if upper == block else int(upper > block)

    return table_of(bit, 1 + high)


def _compared(n: Netlist, bits: Sequence[Literal], mark: int, way: int) -> Literal:
    """Whether the number is below (way -1) or above (1) the mark."""
    if len(bits) <= DIRECT:
        return n.lut(table_of(lambda v: int((number_of(v) - mark) * way > 0), len(bits)), bits)
    reached = _reaches(n, bits, [], [mark + (way > 0)])
    return reached ^ (way < 0)


def _searched(n: Netlist, x: Number, stairs: Stairs) -> list[Literal]:
    """Binary search: each bit, the highest first, by a comparison with the threshold that the bits above it choose."""
    width, never = stairs.width, 1 << len(x.bits)
    marks = [t - x.offset for t in stairs.thresholds] + [never] * ((1 << width) - 1 - len(stairs.thresholds))
    found: list[Literal] = []  # the highest first
    for level in range(width):
        half = 1 << (width - level - 1)
        chosen = [marks[(prefix * 2 + 1) * half - 1] for prefix in range(1 << level)]
        found.append(_reaches(n, x.bits, found, chosen))
    return found[::-1]


def _reaches(n: Netlist, bits: Sequence[Literal], prefix: Sequence[Literal], marks: Sequence[int]) -> Literal:
    """Whether the number has reached marks[prefix] (the prefix's first literal is its highest bit)."""
    step = 2 if len(prefix) <= 3 else 1
    limit = 1 << len(bits)
    if all(m >= limit for m in marks):
        return FALSE
    columns = [_column(n, bits[k : k + step], k, prefix, marks) for k in range(0, len(bits), step)]
    if any(m >= limit for m in marks):
        blocked = table_of(lambda v: marks[number_of(v[::-1])] < limit, len(prefix))
        columns.append((n.select(blocked, None, prefix)[0], FALSE))
    return n.carry(columns, 1)[-1]


def _column(
    n: Netlist, bits: Sequence[Literal], power: int, prefix: Sequence[Literal], marks: Sequence[int]
) -> tuple[Literal, Literal]:
    """Select: these bits equal the mark's, so the lower ones decide; data: they are above."""
    size = len(bits)

    def compared(v: Sequence[int]) -> tuple[int, int]:
        mark = marks[number_of(v[size:][::-1])] >> power & ((1 << size) - 1)
        return number_of(v[:size]), mark

    equal = table_of(lambda v: compared(v)[0] == compared(v)[1], size + len(prefix))
    if size == 1:
        return n.select(equal, None, [*bits, *prefix])[0], bits[0]
    above = table_of(lambda v: compared(v)[0] > compared(v)[1], size + len(prefix))
    return n.select(equal, above, [*bits, *prefix])
