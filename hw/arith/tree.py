"""Sums of many operands: pipelined trees of adders.

All functions add to the module `m`; registers are in its `sync` domain, without reset, and the caller gates them.
The latency depends on `levels` alone, so trees of different size stay in step when they are given the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

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


def register(m: Module, value: Value, clocks: int = 1) -> Value:
    """The value some clocks later; a constant needs no register."""
    if isinstance(value, Const):
        return value
    for _ in range(clocks):
        held = Signal(value.shape(), reset_less=True)
        m.d.sync += held.eq(value)
        value = held
    return value


def count_triples(bits: Sequence[Value]) -> list[Value]:
    """Rows of at most two bits whose sum is the number of ones: a full adder over every three bits.

    A full adder takes in whatever gate of two inputs makes each bit: three XNORs and their sum are two LUT6.
    """
    return [_full_adder(*bits[k : k + 3]) for k in range(0, len(bits), 3)]


def _full_adder(a: Value, b: Value | None = None, c: Value | None = None) -> Value:
    if b is None:
        return a
    if c is None:
        return Cat(a ^ b, a & b)
    return Cat(a ^ b ^ c, Mux(a ^ b, c, a))
