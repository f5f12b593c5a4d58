"""AXI3 slave (the side of M_AXI_GP0) to AXI4-Lite master: bursts become single accesses."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.signatures import FIXED, GP, GP_ID_BITS, LITE, LITE_ADDRESS_BITS, WRAP


class Bridge(wiring.Component):
    """One burst at a time in each direction; IDs are returned, the worst response of a write burst counts.

    Exclusive accesses are answered OKAY, which tells the master that they were not exclusive.
    """

    axi: wiring.PureInterface
    lite: wiring.PureInterface

    def __init__(self) -> None:
        super().__init__({"axi": In(GP), "lite": Out(LITE)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._read(m)
        self._write(m)
        return m

    def _read(self, m: Module) -> None:
        ar, r, lite = self.axi.ar, self.axi.r, self.lite
        burst = _Burst("read")
        m.d.comb += [lite.ar.payload.addr.eq(burst.addr), r.payload.id.eq(burst.id), r.payload.last.eq(burst.left == 0)]
        kept = Signal(lite.r.payload.shape(), name="read_kept")
        m.d.comb += [r.payload.data.eq(kept.data), r.payload.resp.eq(kept.resp)]
        with m.FSM(name="read"):
            with m.State("IDLE"):
                m.d.comb += ar.ready.eq(1)
                with m.If(ar.valid):
                    burst.take(m, ar.payload)
                    m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += lite.ar.valid.eq(1)
                with m.If(lite.ar.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += lite.r.ready.eq(1)
                with m.If(lite.r.valid):
                    m.d.sync += kept.eq(lite.r.payload)
                    m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += r.valid.eq(1)
                with m.If(r.ready):
                    burst.advance(m)
                    m.next = "ASK"
                    with m.If(burst.left == 0):
                        m.next = "IDLE"

    def _write(self, m: Module) -> None:
        aw, w, b, lite = self.axi.aw, self.axi.w, self.axi.b, self.lite
        burst, worst = _Burst("write"), Signal(2)
        address_sent, data_sent = Signal(), Signal()
        m.d.comb += [lite.aw.payload.addr.eq(burst.addr), b.payload.id.eq(burst.id), b.payload.resp.eq(worst)]
        with m.FSM(name="write"):
            with m.State("IDLE"):
                m.d.comb += aw.ready.eq(1)
                with m.If(aw.valid):
                    burst.take(m, aw.payload)
                    m.d.sync += worst.eq(0)
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.comb += w.ready.eq(1)
                m.d.sync += [address_sent.eq(0), data_sent.eq(0)]
                with m.If(w.valid):
                    m.d.sync += [lite.w.payload.data.eq(w.payload.data), lite.w.payload.strb.eq(w.payload.strb)]
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [lite.aw.valid.eq(~address_sent), lite.w.valid.eq(~data_sent)]
                m.d.sync += [address_sent.eq(address_sent | lite.aw.ready), data_sent.eq(data_sent | lite.w.ready)]
                with m.If((address_sent | lite.aw.ready) & (data_sent | lite.w.ready)):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += lite.b.ready.eq(1)
                with m.If(lite.b.valid):
                    m.d.sync += worst.eq(worst | lite.b.payload.resp)  # of OKAY, SLVERR, DECERR: the worst
                    burst.advance(m)
                    m.next = "TAKE"
                    with m.If(burst.left == 0):
                        m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += b.valid.eq(1)
                with m.If(b.ready):
                    m.next = "IDLE"


class _Burst:
    """The burst under way: its ID, the address of the next beat, and how many follow that."""

    def __init__(self, name: str) -> None:
        self.id = Signal(GP_ID_BITS, name=f"{name}_id")
        self.addr = Signal(LITE_ADDRESS_BITS, name=f"{name}_addr")
        self.left = Signal(4, name=f"{name}_left")
        self.step = Signal(3, name=f"{name}_step")
        self.moving = Signal(LITE_ADDRESS_BITS, name=f"{name}_moving")  # address bits that a step may change

    def take(self, m: Module, asked: data.View) -> None:
        step = (1 << asked.size[:2])[:3]  # a bus of four bytes
        wrapped = (asked.len * step) | (step - 1)[:3]
        everything = (1 << LITE_ADDRESS_BITS) - 1
        moving = Mux(asked.burst == WRAP, wrapped, Mux(asked.burst == FIXED, 0, everything))
        m.d.sync += [
            self.id.eq(asked.id), self.addr.eq(asked.addr), self.left.eq(asked.len), self.step.eq(step),
            self.moving.eq(moving),
        ]  # fmt: skip

    def advance(self, m: Module) -> None:
        stepped = (self.addr + self.step) & self.moving
        m.d.sync += [self.addr.eq((self.addr & ~self.moving) | stepped), self.left.eq(self.left - 1)]
