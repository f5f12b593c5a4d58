"""What a clock leaves between registers: levels of logic, and time for wires, whose length is estimated.

A hop between slices takes longer by the root of its readers, over whose area a net spreads, and where a circuit is
large and in one piece; fitted to placed and routed circuits (docs/timing.md).
"""

from __future__ import annotations

from functools import cache
from math import sqrt

# (MHz, levels): look-up tables and carry chains between registers up to a clock, wires taken into account; a carry
# chain counts one more than the table that feeds it, a ternary adder three (MICROARCHITECTURE: -1 speed grade). At
# 100 MHz it is wires that count, up to four in a row, and a chain, which has none, is half a level.
LEVELS = ((100, 4), (200, 3), (250, 2))
MOST_LEVELS = LEVELS[0][1]  # of the slowest clock: wires take most of it, and no wire leads to a carry chain
WIRE_PS, SPREAD_PS = 620, 105
COMPACT = 400  # LUTs up to which wires are as short as `net_ps` says
GROWTH = 0.3  # the power of the size by which they grow beyond


def levels_at(clock_mhz: float) -> int:
    """Levels of logic between registers that hold a clock; the fewest there are for a clock above the last."""
    return next((levels for most, levels in LEVELS if clock_mhz <= most), LEVELS[-1][1])


def period_ps(levels: float) -> float:
    """Of the fastest clock with so many levels."""
    return 1e6 / next((clock for clock, most in LEVELS if levels >= most), LEVELS[-1][0])


@cache
def net_ps(readers: int) -> int:
    """What a wire between slices is estimated to take."""
    return WIRE_PS + round(SPREAD_PS * sqrt(readers))


def stretch(luts: int) -> float:
    """How much longer wires are where so many LUTs of one piece are placed."""
    return max(1.0, luts / COMPACT) ** GROWTH
