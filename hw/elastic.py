"""A fixed-latency datapath as a stream stage: ready/valid around registers that all share one enable."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, EnableInserter, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from hw.buffer import Skid, skid_cost
from hw.timing import serve


class Datapath(wiring.Component):
    """A circuit whose `y` answers `x` exactly `latency` (>= 1) clocks later; `valid` says that `x` is a beat.

    It may keep state that counts beats; `Elastic` gates its clock, so it never sees a stall. `ahead`: `valid` comes
    a clock before `x`, so that a memory can be read meanwhile.
    """

    x: Signal
    y: Signal
    valid: Signal

    def __init__(self, x_bits: int, y_bits: int, latency: int, ahead: bool = False) -> None:
        super().__init__({"x": In(x_bits), "valid": In(1), "y": Out(y_bits)})
        self.latency, self.ahead = latency, ahead


class Register(Datapath):
    """y is x a clock ago."""

    def __init__(self, bits: int) -> None:
        super().__init__(bits, bits, 1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = Signal(len(self.x), reset_less=True)
        m.d.sync += kept.eq(self.x)
        m.d.comb += self.y.eq(kept)
        return m


class Chain(Datapath):
    """Datapaths one behind the other; the first is `ahead` only where the chain is.

    `issue` says that `y` loads the result of a beat at this clock.
    """

    def __init__(self, *parts: Datapath, ahead: bool = False) -> None:
        self.parts, self.issue = parts, Signal()
        super().__init__(len(parts[0].x), len(parts[-1].y), sum(p.latency for p in parts), ahead)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flight = Signal(self.latency)
        valid, clock, x = Cat(self.valid, flight), int(self.ahead), self.x
        m.d.sync += flight.eq(valid)
        for k, part in enumerate(self.parts):
            m.submodules[f"part{k}"] = part
            m.d.comb += [part.x.eq(x), part.valid.eq(valid[clock - part.ahead])]
            x, clock = part.y, clock + part.latency
        m.d.comb += [self.y.eq(x), self.issue.eq(valid[clock - 1])]
        return m


class Elastic(wiring.Component):
    """One beat a clock through a datapath; a beat taken at clock t is offered at t + latency.

    The datapath only stops while the reader's spare beat is full, so `i.ready` comes straight from a register.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, datapath: Datapath) -> None:
        self.datapath = datapath
        x, y = (stream.Signature(unsigned(len(port))) for port in (datapath.x, datapath.y))
        super().__init__({"i": In(x), "o": Out(y)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        path = self.datapath
        m.submodules.skid = skid = Skid(len(path.y))
        m.submodules.datapath = EnableInserter(skid.run)(path)
        flight = Signal(path.latency - 1)  # which registers but the last hold a beat, the newest lowest
        on_way = Cat(self.i.valid, flight)
        with m.If(skid.run):
            m.d.sync += flight.eq(on_way)
        m.d.comb += [
            self.i.ready.eq(skid.run),
            path.x.eq(self.i.payload),
            path.valid.eq(self.i.valid),
            skid.issue.eq(on_way[-1]),
            skid.data.eq(path.y),
        ]
        connect(m, skid.o, flipped(self.o))
        return m


def elastic_schedule(arrive: np.ndarray, latency: int) -> np.ndarray:
    """Arrival times -> times at which `Elastic` offers the beats, its reader always ready."""
    return serve(arrive) + latency


def elastic_cost(y_bits: int, latency: int) -> Cost:
    """Of an Elastic without its datapath."""
    return skid_cost(y_bits) + Cost(ff=latency - 1)
