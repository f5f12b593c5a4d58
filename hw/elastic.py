"""A fixed-latency datapath as a stream stage: ready/valid around registers that all share one enable."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.timing import serve


class Datapath(wiring.Component):
    """A circuit whose `y` answers `x` exactly `latency` (>= 1) clocks later; `valid` says that `x` is a beat.

    It may keep state that counts beats; `Elastic` gates its clock, so it never sees a stall.
    """

    x: Signal
    y: Signal
    valid: Signal

    def __init__(self, x_bits: int, y_bits: int, latency: int) -> None:
        super().__init__({"x": In(x_bits), "valid": In(1), "y": Out(y_bits)})
        self.latency = latency


class Elastic(wiring.Component):
    """One beat a clock through a datapath; a beat taken at clock t is offered at t + latency.

    A spare register catches the beat that leaves the datapath when the reader stops; only then that stops.
    So `i.ready` comes straight from a register, and no path leads from `o.ready` to it.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, datapath: Datapath) -> None:
        self.datapath = datapath
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(len(datapath.x)))),
                "o": Out(stream.Signature(unsigned(len(datapath.y)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        path = self.datapath
        run = Signal()
        m.submodules.datapath = EnableInserter(run)(path)
        flight = Signal(path.latency)  # which of the datapath's registers hold a beat, the newest lowest
        spare, spared = Signal(len(path.y), reset_less=True), Signal()
        m.d.comb += [
            run.eq(~spared),
            self.i.ready.eq(run),
            path.x.eq(self.i.payload),
            path.valid.eq(self.i.valid),
            self.o.valid.eq(spared | flight[-1]),
            self.o.payload.eq(Mux(spared, spare, path.y)),
        ]
        with m.If(run):
            m.d.sync += [flight.eq(Cat(self.i.valid, flight)), spare.eq(path.y)]
        m.d.sync += spared.eq(self.o.valid & ~self.o.ready)
        return m


def elastic_schedule(arrive: np.ndarray, latency: int) -> np.ndarray:
    """Arrival times -> times at which `Elastic` offers the beats, its reader always ready."""
    return serve(arrive) + latency
