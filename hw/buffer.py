"""Where ready paths end: registers between a circuit and a reader that may stop."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost


class Skid(wiring.Component):
    """Makes a stream of a register of the caller's, which must load exactly when `run` is up.

    `issue` says that what the register loads is a beat. A spare register catches the beat that would be lost
    when the reader stops; so no path leads from `o.ready` to `run`, which is a register's output where nothing drives
    `hold`: while that is up, the circuit stops too. Else it stops only when both registers hold a beat: a reader that
    takes its time over one does not cost the circuit a clock.
    """

    hold: Signal
    issue: Signal
    run: Signal
    data: Signal
    o: stream.Interface

    def __init__(self, bits: int) -> None:
        super().__init__({
            "hold": In(1), "issue": In(1), "run": Out(1), "data": In(bits), "o": Out(stream.Signature(unsigned(bits)))
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held, spared, stop = Signal(), Signal(), Signal()
        spare = Signal(len(self.data), reset_less=True)
        waits, holds = self.o.valid & ~self.o.ready, Mux(stop, held, self.run & self.issue)
        m.d.comb += [
            self.run.eq(~(stop | self.hold)),
            self.o.valid.eq(spared | held),
            self.o.payload.eq(Mux(spared, spare, self.data)),
        ]
        with m.If(~spared):
            m.d.sync += spare.eq(self.data)
        m.d.sync += [held.eq(holds), spared.eq(waits), stop.eq(waits & holds)]
        return m


class Buffer(wiring.Component):
    """Two beats of storage, one clock of latency; `i.ready` and `o.valid` come from registers only."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, bits: int) -> None:
        port = stream.Signature(unsigned(bits))
        super().__init__({"i": In(port), "o": Out(port)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = len(self.i.payload)
        m.submodules.skid = skid = Skid(bits)
        data = Signal(bits, reset_less=True)
        with m.If(skid.run):
            m.d.sync += data.eq(self.i.payload)
        m.d.comb += [skid.data.eq(data), skid.issue.eq(self.i.valid), self.i.ready.eq(skid.run)]
        connect(m, skid.o, flipped(self.o))
        return m


def buffer_cost(bits: int) -> Cost:
    """Of a Buffer."""
    return Cost(lut=bits + 3, ff=2 * bits + 3)


def skid_cost(bits: int) -> Cost:
    """Of a Skid, without the caller's register."""
    return Cost(lut=bits + 3, ff=bits + 3)
