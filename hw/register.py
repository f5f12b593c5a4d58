"""Registers without reset, which the caller's domain gates."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Signal, Value


def register(m: Module, value: Value, clocks: int = 1) -> Value:
    """The value some clocks later; a constant needs no register."""
    if isinstance(value, Const):
        return value
    for _ in range(clocks):
        held = Signal(value.shape(), reset_less=True)
        m.d.sync += held.eq(value)
        value = held
    return value
