"""A heap added up by carry chains over many columns, as `hw.netlist.cover` lays them out: the fewest look-up tables.

Counters of a few columns, as (6,0,6;5) (Preusser 2017), have fewer levels of logic, and take a tenth more of them.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hw.netlist.cells import FALSE, TRUE, Literal, Netlist
from hw.netlist.clock import MOST_LEVELS
from hw.netlist.cover import Chain, chains_of, cover
from hw.netlist.heap import Heap
from hw.netlist.pipeline import FEW
from hw.netlist.tables import ones_bit, table_of

NEXT = 64  # chains of which the earliest is built first
ONE = table_of(lambda v: sum(v) >> 1 == 1, 5)
TWO = table_of(lambda v: sum(v) >> 1 == 2, 5)
SUM_OF_FOUR = ones_bit(4, 0)
CARRY_OF_THREE = table_of(lambda v: (v[0] + v[1] + v[2]) >> 1, 4)
OR_NONE = table_of(lambda v: v[0], 2)
CHAIN_BITS, SHORT_BITS = 32, 16  # of a carry chain, up to 100 MHz and beyond (MICROARCHITECTURE)


def chain_bits(levels: float) -> int:
    """Of the longest carry chain that the clock of so many levels allows."""
    return CHAIN_BITS if levels >= MOST_LEVELS else SHORT_BITS


def popcount(n: Netlist, bits: Iterable[Literal]) -> list[Literal]:
    """The number of ones."""
    heap = Heap()
    for bit in bits:
        heap.add_bit(bit, 0)
    return added(n, heap, (heap.total() + heap.constant).bit_length())


def added(n: Netlist, heap: Heap, width: int, levels: float = MOST_LEVELS) -> list[Literal]:
    """The heap's sum modulo 2^width, lowest bit first; made for so many `levels` of logic between registers."""
    ones = [heap.constant >> p & 1 for p in range(width)]
    work = Work(n, [sorted(heap.columns.get(p, ()), key=n.level) for p in range(width)], ones, levels)
    _, columns = cover(work.heights(), tuple(ones))
    chains = [part for chain in chains_of(columns, ones) for part in chain.parts(work.most)]
    while chains:
        soonest = min(range(min(NEXT, len(chains))), key=lambda k: (*work.lacks(chains[k]), k))
        work.chain(chains.pop(soonest))
    for p, column in enumerate(columns):
        for _ in range(column.adders):
            work.adder(p)
    while (high := work.too_high()) is not None:
        work.adder(high)
    return work.last()


@dataclass
class Work:
    """The bits of every column that wait, earliest first, and its constant one."""

    n: Netlist
    bits: list[list[Literal]]
    ones: list[int]
    levels: float

    @property
    def most(self) -> int:
        """Bits of its longest carry chain."""
        return chain_bits(self.levels)

    @property
    def width(self) -> int:
        return len(self.bits)

    def heights(self) -> tuple[int, ...]:
        """Bits of every column, the constant one with them."""
        return tuple(len(bits) + one for bits, one in zip(self.bits, self.ones, strict=True))

    def put(self, bit: Literal, power: int) -> None:
        if power < self.width and bit != FALSE:
            insort(self.bits[power], bit, key=self.n.level)

    def take(self, power: int, count: int) -> list[Literal]:
        """The earliest bits, as many as there are."""
        pool = self.bits[power]
        taken = pool[:count]
        del pool[:count]
        return taken

    def lacks(self, chain: Chain) -> tuple[int, int]:
        """How many bits the chain does not find now, and the level of the last that it does."""
        missing, level, saved = 0, 0, False
        for power, six in chain.columns:
            pool, wanted = self.bits[power], 6 if six else 4
            found = min(len(pool), wanted)
            if found and (last := self.n.level(pool[found - 1])) > level:
                level = last
            if found < wanted:
                missing += wanted - found - saved
                level += saved
            saved = not six
        return missing, level

    def chain(self, chain: Chain) -> None:
        """Build it and put what it gives where it belongs."""
        sites: list[tuple[Literal, Literal]] = []
        powers: list[int] = []
        kept: list[tuple[Literal, int]] = []
        saved = FALSE
        for power, six in chain.columns:
            found, left = self._with_saved(power, 6 if six else 4, saved)
            kept.append((left, power))
            if six:
                sites, saved = [*sites, *_six(self.n, found)], FALSE
            else:
                site, saved = _ternary(self.n, found)
                sites.append(site)
            powers += [power, power + 1][: 1 + six]
        if chain.one:
            self.ones[powers[0]] = 0
        *sums, carry = self.n.carry(sites, TRUE if chain.one else FALSE)
        kept.append((saved, chain.end))
        if self.levels <= FEW:  # the chain fills a clock, and what it saves comes in the next one like its sums
            self.n.delay((bit for bit, _ in kept), max(map(self.n.level, sums)))
        for bit, power in (*kept, *zip([*sums, carry], [*powers, chain.end], strict=True)):
            self.put(bit, power)

    def _with_saved(self, power: int, wanted: int, saved: Literal) -> tuple[list[Literal], Literal]:
        """Bits for a site, that which the site before saved among them only if there are too few; else it is left."""
        found = _straight_last(self.take(power, wanted))
        if len(found) == wanted:
            return found, saved
        return (found if saved == FALSE else [*found, saved]), FALSE

    def adder(self, power: int) -> None:
        """Three bits of a column, the constant one among them if it has to be."""
        found = self.take(power, 3)
        if len(found) < 3 and self.ones[power]:
            self.ones[power] = 0
            found.append(TRUE)
        if len(found) < 2:
            for bit in found:
                self.put(bit, power)
            return
        found += [FALSE] * (3 - len(found))
        total, carry = self.n.pair(ones_bit(3, 0), ones_bit(3, 1), found)
        self.put(total, power)
        self.put(carry, power + 1)

    def too_high(self) -> int | None:
        """The first column that has more bits than the last chains take."""
        saved, length = False, 0
        for power, (count, one) in enumerate(zip(self.heights(), self.ones, strict=True)):
            if not length and count <= 1:
                continue
            carried = length > 0 and length % self.most == 0
            if count + saved + carried - (0 if length else one) > 4:
                return power
            saved, length = count + saved + carried >= 3, length + 1
        return None

    def last(self) -> list[Literal]:
        """One chain for all that is left, or several where it would be too long."""
        low = next((p for p, height in enumerate(self.heights()) if height > 1), self.width)
        rows = [[*bits, *[TRUE] * one] for bits, one in zip(self.bits, self.ones, strict=True)]
        done = [row[0] if row else FALSE for row in rows[:low]]
        if low == self.width:
            return done
        carry_in = TRUE if self.ones[low] else FALSE
        if self.ones[low]:
            rows[low].pop()
        return done + self._last(rows[low:], carry_in)

    def _last(self, rows: Sequence[list[Literal]], carry_in: Literal) -> list[Literal]:
        done: list[Literal] = []
        sites: list[tuple[Literal, Literal]] = []
        saved = FALSE
        for row in rows:
            found = _straight_last(row) + ([saved] if saved != FALSE else [])
            if len(sites) == self.most:
                *sums, carry = self.n.carry(sites, carry_in)
                done, sites, carry_in, found = done + sums, [], FALSE, [*found, carry]
            site, saved = _ternary(self.n, found)
            sites.append(site)
        if sites[-1] == (FALSE, FALSE) and len(sites) > 1:  # it would only show the carry
            return done + self.n.carry(sites[:-1], carry_in)
        return done + self.n.carry(sites, carry_in)[:-1]


def _straight_last(bits: Iterable[Literal]) -> list[Literal]:
    """The last one goes to the chain directly, where an inverted one would take a look-up table."""
    return sorted(bits, key=lambda b: b & 1 == 0)


def _ternary(n: Netlist, bits: Sequence[Literal]) -> tuple[tuple[Literal, Literal], Literal]:
    """Select and data of a site that adds up to four bits, and the bit that it saves for the next column.

    The last bit goes to the chain and not into the saved one: it may come from the site before.
    """
    if len(bits) < 3:
        return _binary(n, bits), FALSE
    *three, last = bits
    padded = [*three, *[FALSE] * (3 - len(three)), last]
    six, five = n.select(SUM_OF_FOUR, CARRY_OF_THREE, padded)
    return (six, last), five


def _binary(n: Netlist, bits: Sequence[Literal]) -> tuple[Literal, Literal]:
    """Select and data of a site that adds at most two bits."""
    x, y = (*bits, FALSE, FALSE)[:2]
    direct = x if x & 1 == 0 else y
    if direct & 1:
        return n.select(ones_bit(2, 0), OR_NONE, (x, y))
    return n.select(ones_bit(2, 0), None, (x, y))[0], direct


def _six(n: Netlist, bits: Sequence[Literal]) -> list[tuple[Literal, Literal]]:
    """The two sites of six bits of a column; the last goes to the chain."""
    *five, last = [*[FALSE] * (6 - len(bits)), *bits]
    parity, _ = n.select(ones_bit(6, 0), None, [last, *five])
    return [(parity, last), n.select(ONE, TWO, five)]
