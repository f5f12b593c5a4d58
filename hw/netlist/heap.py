"""Compressor heaps: weighted bits added up by counters, and a ternary adder at the end.

Counters (7 series): (6,0,6;5) of two LUT6, two LUT6_2 and one CARRY4, 12 bits to 5 (Preusser 2017); six bits to three
in three LUT6; a full adder in one LUT6_2. A carry chain's constant carry in takes a constant one for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hw.netlist.cells import FALSE, TRUE, Literal, Netlist
from hw.netlist.tables import ones_bit, table_of


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


def summed(n: Netlist, heap: Heap, width: int, rows: int = 3) -> list[Literal]:
    """The heap's sum modulo 2^width, lowest bit first; compressed until `rows` (2 or 3) rows are left."""
    columns = {p: list(bits) for p, bits in heap.columns.items() if bits and p < width}
    constant = heap.constant % (1 << width)
    now = -1
    while max((len(bits) + (constant >> p & 1) for p, bits in columns.items()), default=0) > rows:
        now = max(now + 1, min(n.level(b) for bits in columns.values() for b in bits))
        columns, constant = _level(n, columns, constant, width, rows, now)
    return _finish(n, columns, constant, width)


Columns = dict[int, list[Literal]]


def _level(
    n: Netlist, columns: Columns, constant: int, width: int, rows: int, now: int
) -> tuple[Columns, int]:  # fmt: skip
    """One level of counters over the bits that are there `now`; while wide counters or late bits come, others wait.

    A wide counter takes the fewest look-up tables for a bit that it saves, so what might still fill one waits for it.
    """
    made: defaultdict[int, list[Literal]] = defaultdict(list)
    left: Columns = {}
    for p, bits in columns.items():
        left[p] = sorted((b for b in bits if n.level(b) <= now), key=n.level)
        made[p] += [b for b in bits if n.level(b) > now]
    waits = any(made.values())
    for power in sorted(left):
        while len(left[power]) >= 6 and len(left.get(power + 2, ())) >= 6:
            constant, waits = _wide_counter(n, left, made, power, constant), True
    if not waits:
        constant = _last_counters(n, left, made, constant, rows)
    for power, bits in left.items():
        made[power] += bits
    return {p: bits for p, bits in made.items() if bits and p < width}, constant % (1 << width)


def _last_counters(
    n: Netlist, left: Columns, made: defaultdict[int, list[Literal]], constant: int, rows: int
) -> int:  # fmt: skip
    """Counters of one column, as many as it takes; what remains of the constant."""
    for power in sorted(left):
        bits = left[power]
        while len(bits) >= 6:
            _counter(n, _take(bits, 6), made, power)
        while len(bits) + len(made[power]) + (one := constant >> power & 1) > rows and len(bits) + one >= 3:
            taken = _take(bits, 3)
            if len(taken) < 3:  # the constant is the third
                taken, constant = [*taken, TRUE], constant - (1 << power)
            _counter(n, taken, made, power)
    return constant


def _take(bits: list[Literal], count: int) -> list[Literal]:
    """The first bits, which have waited longest."""
    taken = bits[:count]
    del bits[:count]
    return taken


def _counter(n: Netlist, bits: list[Literal], made: defaultdict[int, list[Literal]], power: int) -> None:
    """Six bits to three, or three to two."""
    if len(bits) == 6:
        found = [n.lut(ones_bit(6, k), bits) for k in range(3)]
    else:
        found = list(n.pair(ones_bit(3, 0), ones_bit(3, 1), bits))
    for k, bit in enumerate(found):
        made[power + k].append(bit)


ONE = table_of(lambda v: sum(v) >> 1 == 1, 5)
TWO = table_of(lambda v: sum(v) >> 1 == 2, 5)


def _wide_counter(
    n: Netlist, left: Columns, made: defaultdict[int, list[Literal]], power: int, constant: int
) -> int:  # fmt: skip
    """(6,0,6;5) on columns `power` and `power + 2`; what remains of the constant, whose bit there it takes in."""
    chain: list[tuple[Literal, Literal]] = []
    for column in (power, power + 2):
        bits = _take(left[column], 6)
        first = sorted(bits, key=lambda b: b & 1)  # the one that goes to the chain directly should not be inverted
        parity, _ = n.select(ones_bit(6, 0), None, first)
        chain += [(parity, first[0]), n.select(ONE, TWO, first[1:])]
    carry_in = constant >> power & 1
    for k, bit in enumerate(n.carry(chain, carry_in)):
        made[power + k].append(bit)
    return constant - (carry_in << power)


def _finish(n: Netlist, columns: Columns, constant: int, width: int) -> list[Literal]:
    """At most three rows and a constant, added."""
    rows: list[list[Literal]] = [[], [], []]
    for power in range(width):
        bits = [*columns.get(power, ())] + [TRUE] * (constant >> power & 1)
        assert len(bits) <= 3, "a ternary adder takes three rows"
        for k in range(3):
            rows[k].append(bits[k] if k < len(bits) else FALSE)
    low = next((p for p in range(width) if rows[1][p] != FALSE), width)
    done = rows[0][:low]
    if low == width:
        return done
    a, b, c = (row[low:] for row in rows[:3])
    return done + (_binary(n, a, b) if all(bit == FALSE for bit in c) else _ternary(n, a, b, c))


def _binary(n: Netlist, a: Sequence[Literal], b: Sequence[Literal]) -> list[Literal]:
    """a + b modulo 2^len(a), one site a bit."""
    chain: list[tuple[Literal, Literal]] = []
    for x, y in zip(a, b, strict=True):
        direct = x if x & 1 == 0 else y
        table = ones_bit(2, 0)
        if direct & 1:
            chain.append(n.select(table, table_of(lambda v: v[0], 2), (x, y)))
        else:
            chain.append((n.select(table, None, (x, y))[0], direct))
    return _chain(n, chain)


def _chain(n: Netlist, chain: list[tuple[Literal, Literal]]) -> list[Literal]:
    """The sums of a chain; a last column that only shows the carry is the chain's carry out."""
    if chain[-1] == (FALSE, FALSE):
        return n.carry(chain[:-1], FALSE)
    return n.carry(chain, FALSE)[:-1]


SUM_OF_FOUR = ones_bit(4, 0)
CARRY_OF_THREE = table_of(lambda v: (v[0] + v[1] + v[2]) >> 1, 4)


def _ternary(n: Netlist, a: Sequence[Literal], b: Sequence[Literal], c: Sequence[Literal]) -> list[Literal]:
    """a + b + c modulo 2^len(a), one site a bit: O5 saves the carry of three, the chain adds it to the next column."""
    chain: list[tuple[Literal, Literal]] = []
    saved = FALSE
    for x, y, z in zip(a, b, c, strict=True):
        six, five = n.select(SUM_OF_FOUR, CARRY_OF_THREE, (x, y, z, saved))
        chain.append((six, saved))
        saved = five
    return _chain(n, chain)


def popcount(n: Netlist, bits: Iterable[Literal]) -> list[Literal]:
    """The number of ones."""
    heap = Heap()
    for bit in bits:
        heap.add_bit(bit, 0)
    return summed(n, heap, (heap.total() + heap.constant).bit_length())
