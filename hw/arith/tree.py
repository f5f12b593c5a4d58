"""Sums of many operands: pipelined trees of adders.

All functions add to the module `m`; registers are in its `sync` domain, without reset, and the caller gates them.
The latency depends on `levels` alone, so trees of different size stay in step when they are given the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Value

from codesign.cost import Cost
from hw.fitted import fitted
from hw.register import register

LEVELS_A_CLOCK = 2  # carry chains between registers: 100 MHz with margin on a -1 part


def tree_levels(count: int) -> int:
    """Levels of a tree of two-operand adders over `count` rows."""
    return max(count - 1, 0).bit_length()


def tree_latency(levels: int) -> int:
    """Clocks from the rows to the sum."""
    return -(-levels // LEVELS_A_CLOCK)


def adder_tree(m: Module, rows: Sequence[Value], levels: int) -> Value:
    """The exact sum of the rows, `tree_latency(levels)` clocks later."""
    assert tree_levels(len(rows)) <= levels
    for level in range(1, levels + 1):
        rows = [a + b for a, b in zip(rows[::2], rows[1::2], strict=False)] + list(rows[len(rows) & ~1 :])
        if level % LEVELS_A_CLOCK == 0 or level == levels:
            rows = [register(m, row) for row in rows]
    return rows[0] if rows else Const(0)


def tree_cost(bits: Sequence[int]) -> Cost:
    """Of `adder_tree` over rows of so many bits."""
    cost, levels = Cost(), tree_levels(len(bits))
    for level in range(1, levels + 1):
        pairs = [(a, b) for a, b in zip(bits[::2], bits[1::2], strict=False)]
        cost += Cost(lut=fitted("tree.bit") * sum(min(p) for p in pairs))
        bits = [max(p) + 1 for p in pairs] + list(bits[len(bits) & ~1 :])
        if level % LEVELS_A_CLOCK == 0 or level == levels:
            cost += Cost(ff=sum(bits))
    return cost
