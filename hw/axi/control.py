"""The registers as an AXI4-Lite slave."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.axi.registers import Register
from hw.axi.signatures import LITE


class Control(wiring.Component):
    """Ports by register: `name` (what reads give, an input, or what a read-write register keeps, an output).

    Beside it `name_written` where it can be written: up for one clock, when `data` and what is kept are new.
    Addresses of no register read as zero and ignore writes: an error response would kill the program that asked.
    """

    lite: wiring.PureInterface
    data: Signal

    def __init__(self, registers: Iterable[Register]) -> None:
        self.registers = tuple(registers)
        ports = {r.name: (Out if r.access == "read-write" else In)(32) for r in self.registers}
        written = {f"{r.name}_written": Out(1) for r in self.registers if r.access != "read-only"}
        super().__init__({"lite": In(LITE), "data": Out(32), **ports, **written})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _write(self, m: Module) -> None:
        aw, w, b = self.lite.aw, self.lite.w, self.lite.b
        lanes = Cat(strobe.replicate(8) for strobe in w.payload.strb)
        taken = Signal()
        m.d.comb += [taken.eq(aw.valid & w.valid & ~b.valid), aw.ready.eq(taken), w.ready.eq(taken)]
        with m.If(b.ready):
            m.d.sync += b.valid.eq(0)
        with m.If(taken):
            m.d.sync += [b.valid.eq(1), self.data.eq(w.payload.data & lanes)]
        for r in self.registers:
            if r.access == "read-only":
                continue
            here = Signal(name=f"{r.name}_here")
            m.d.comb += here.eq(taken & (aw.payload.addr[2:] == r.offset >> 2))
            m.d.sync += getattr(self, f"{r.name}_written").eq(here)
            if r.access == "read-write":
                kept = getattr(self, r.name)
                with m.If(here):
                    m.d.sync += kept.eq((kept & ~lanes) | (w.payload.data & lanes))

    def _read(self, m: Module) -> None:
        ar, r = self.lite.ar, self.lite.r
        m.d.comb += ar.ready.eq(~r.valid)
        with m.If(r.ready):
            m.d.sync += r.valid.eq(0)
        with m.If(ar.valid & ar.ready):
            m.d.sync += [r.valid.eq(1), r.payload.data.eq(0)]
            with m.Switch(ar.payload.addr[2:]):
                for register in self.registers:
                    with m.Case(register.offset >> 2):
                        m.d.sync += r.payload.data.eq(getattr(self, register.name))
