"""Registers without reset, which the caller's domain gates."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value

from codesign.cost import Cost

SHIFTED = 3  # registers in a row that synthesis makes a shift register of
_DEEP = 32  # of them are in a LUT
_SHIFTS = "shifts"  # attribute of a signal that holds shift registers, bit by bit: the clocks of each


def register(m: Module, value: Value, clocks: int = 1) -> Value:
    """The value some clocks later; a constant needs no register."""
    if isinstance(value, Const):
        return value
    for _ in range(clocks):
        held = Signal(value.shape(), reset_less=True)
        m.d.sync += held.eq(value)
        value = held
    return value


def delayed(m: Module, value: Value, clocks: int) -> Value:
    """As `register`, in shift registers where there are enough clocks: all of a bit's in one part of one signal."""
    if isinstance(value, Const) or clocks < SHIFTED:
        return register(m, value, clocks)
    line = Signal(len(value) * clocks, reset_less=True, attrs={_SHIFTS: clocks})
    rows = [line[k * clocks : (k + 1) * clocks] for k in range(len(value))]
    m.d.sync += line.eq(Cat(*(Cat(value[k], row[:-1]) for k, row in enumerate(rows))))
    late = Cat(*(row[-1] for row in rows))
    return late.as_signed() if value.shape().signed else late


def shifts_of(signal: Signal) -> int:
    """Registers in a row that must have one enable."""
    return int(signal.attrs.get(_SHIFTS, 1))


def delay_cost(bits: float, clocks: int) -> Cost:
    """Of `delayed`."""
    return Cost(lut=bits * -(-clocks // _DEEP)) if clocks >= SHIFTED else Cost(ff=bits * clocks)
