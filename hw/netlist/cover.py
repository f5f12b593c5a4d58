"""How many sites of which kind add up each column of a heap: dynamic programming over the columns.

A carry chain runs over neighbouring columns. In a column it takes four bits in one site (their sum stays, one bit is
saved in the next column), or six in two sites (a sum in this column and one in the next). Either way two bits go for a
site, and each chain gives one back at its end: few long chains that are always full are the best. A last chain adds
what is left, at most three bits a column, whatever it is; full adders take what would be a fourth. Sixes are less deep,
since a saved bit goes through a second look-up table, and so leave fewer bits for registers to hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

ROWS = 3  # that the last chain adds
ENDS, STEPS, MOST_ADDERS = 3, 8, 3  # tried in a column: the fewest and the most sixes, steps between, full adders
MOST_STATES = 100  # kept after a column, of those that look best
BIT = 0.5  # sites that a bit costs later
DEEP = 0.1  # sites that a ternary adder counts more for its depth
ANY = 1 << 20


class Column(NamedTuple):
    """Sites of a column: of ternary adders, first sites of sixes, full adders."""

    ternaries: int
    sixes: int
    adders: int

    @property
    def chains(self) -> int:
        """That stand in the column, those left out whose six began in the one below."""
        return self.ternaries + self.sixes


# What comes into a column: chains, more bits, sixes of the column below; whether the last chain has begun.
State = tuple[int, int, int, bool]
Trace = tuple["Trace", Column] | None
States = dict[State, tuple[float, Trace]]  # what each costs, and the columns up to it


@lru_cache(maxsize=1 << 14)
def cover(heights: tuple[int, ...], ones: tuple[int, ...]) -> tuple[int, tuple[Column, ...]]:
    """Sites, and which, for so many bits a column; `ones`: of these the constant ones, which a chain's start takes."""
    states: States = {(0, 0, 0, False): (0.0, None)}
    for height, one in zip(heights, ones, strict=True):
        states = _kept(_after(states, height, one, MOST_ADDERS) or _after(states, height, one, ANY))
    cost, trace = min(states.values(), key=lambda found: found[0])
    columns: list[Column] = []
    while trace is not None:
        trace, column = trace
        columns.append(column)
    return round(cost - DEEP * sum(c.ternaries for c in columns)), tuple(reversed(columns))


def _after(states: States, height: int, one: int, most_adders: int) -> States:
    """The states behind a column, each as cheap as can be."""
    found: States = {}
    for (chains, more, below, begun), (cost, trace) in states.items():
        for ternaries, sixes, adders, left in _choices(height + more, chains, below, one, most_adders):
            begins = begun or left > 1
            key = ternaries + below, ternaries + sixes + adders, sixes, begins
            total = cost + (ternaries + sixes) + sixes + adders + begins + DEEP * ternaries
            if key not in found or total < found[key][0]:
                found[key] = total, (trace, Column(ternaries, sixes, adders))
    return found


def _choices(height: int, chains: int, below: int, one: int, most_adders: int) -> Iterator[tuple[int, int, int, int]]:
    """Sites for a column, as in `Column`, and the bits that are left there for the last chain."""
    for sixes in _sixes(height // 5):
        bits = height - 5 * sixes
        for ternaries in range(max(0, (bits - ROWS - 2 * most_adders - 1) // 4), (bits + chains) // 3 + 1):
            starts = ternaries + sixes - chains
            left = bits - 3 * ternaries - (one if starts > 0 else starts)
            adders = (left - ROWS + 1) // 2 if left > ROWS else 0
            if left < (ternaries + sixes + below > 0):
                break
            if adders <= most_adders:
                yield ternaries, sixes, adders, left - 2 * adders


@cache
def _sixes(most: int) -> list[int]:
    """How many are tried."""
    tried = {*range(ENDS), *range(most + 1 - ENDS, most + 1), *range(0, most, max(1, most // STEPS))}
    return sorted(k for k in tried if 0 <= k <= most)


def _kept(states: States) -> States:
    """Those that look best."""
    if len(states) <= MOST_STATES:
        return states
    order = sorted(states, key=lambda s: (states[s][0] + BIT * (s[0] + s[1]) + s[2], s))
    return {state: states[state] for state in order[:MOST_STATES]}


class Chain(NamedTuple):
    """The columns of a carry chain, whether it takes six bits there, and whether a constant one goes in."""

    columns: tuple[tuple[int, bool], ...]
    one: bool

    @property
    def end(self) -> int:
        """The column that its carry goes to."""
        column, six = self.columns[-1]
        return column + 1 + six

    def parts(self, most: int) -> list[Chain]:
        """The chain in parts of at most so many bits, each of which gives its carry to the next one's first column."""
        bits, parts = 0, list[list[tuple[int, bool]]]([[]])
        for column, six in self.columns:
            bits += 1 + six
            if bits > most:
                bits = 1 + six
                parts.append([])
            parts[-1].append((column, six))
        return [Chain(tuple(part), self.one and k == 0) for k, part in enumerate(parts)]


def chains_of(columns: Sequence[Column], ones: Sequence[int]) -> list[Chain]:
    """The sites as carry chains that go on as long as they can; the first to begin is the first to end."""
    made: list[tuple[list[tuple[int, bool]], bool]] = []
    arriving: dict[int, list[int]] = {}
    for p, column in enumerate(columns):
        here = sorted(arriving.pop(p, []))
        here = here[max(0, len(here) - column.chains) :]
        for k in range(column.chains - len(here)):
            here.append(len(made))
            made.append(([], k == 0 and bool(ones[p])))
        for k, chain in enumerate(here):
            six = k < column.sixes
            made[chain][0].append((p, six))
            arriving.setdefault(p + 1 + six, []).append(chain)
    return [Chain(tuple(taken), one) for taken, one in made]
