"""A fixed-latency datapath as a stream stage: ready/valid around registers that all share one enable."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, EnableInserter, Module, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from hw.buffer import Skid, skid_cost
from hw.dealt import Dealt
from hw.timing import serve

_SHORT = 8  # clocks: registers of a longer flight are too many readers beside those of one enable (`hw.dealt`)


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

    @property
    def joins(self) -> tuple[Joining, ...]:
        """The places where it takes beats of other streams."""
        return ()


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


class Joining(Datapath):
    """`pair` of each beat x and the next beat of the stream `other` (behind x's bits where `behind`, else before).

    A circuit that it stands in stops (`gate`) while a beat x is there and the other is not.
    """

    def __init__(self, pair: Datapath, other_bits: int, behind: bool) -> None:
        super().__init__(len(pair.x) - other_bits, len(pair.y), pair.latency)
        self.pair, self.behind = pair, behind
        self.other = stream.Signature(unsigned(other_bits)).create()
        self.run = Signal()

    @property
    def joins(self) -> tuple[Joining, ...]:
        return (self,)

    @property
    def hold(self) -> Value:
        return self.valid & ~self.other.valid

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pair = pair = self.pair
        both = (self.x, self.other.payload) if self.behind else (self.other.payload, self.x)
        m.d.comb += [pair.x.eq(Cat(*both)), pair.valid.eq(self.valid), self.y.eq(pair.y)]
        m.d.comb += self.other.ready.eq(self.valid & self.run)
        return m


def gate(m: Module, skid: Skid, path: Datapath) -> None:
    """The circuit before a skid stops where its datapath waits for a beat of another stream."""
    if path.joins:
        m.d.comb += [skid.hold.eq(Cat(join.hold for join in path.joins).any())]
        m.d.comb += [join.run.eq(skid.run) for join in path.joins]


class Chain(Datapath):
    """Datapaths one behind the other; the first is `ahead` only where the chain is.

    `issue` says that `y` loads the result of a beat at this clock.
    """

    def __init__(self, *parts: Datapath, ahead: bool = False) -> None:
        self.parts, self.issue = parts, Signal()
        super().__init__(len(parts[0].x), len(parts[-1].y), sum(p.latency for p in parts), ahead)

    @property
    def joins(self) -> tuple[Joining, ...]:
        return tuple(join for part in self.parts for join in part.joins)

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

    The datapath only stops while the reader's spare beat is full, so `i.ready` comes straight from a register, or
    while it waits for another stream's beat. `runs`: as `i.ready`, for so many groups of the caller's registers.
    """

    i: stream.Interface
    o: stream.Interface
    runs: Signal

    def __init__(self, datapath: Datapath, runs: int = 0) -> None:
        self.datapath = datapath
        x, y = (stream.Signature(unsigned(len(port))) for port in (datapath.x, datapath.y))
        super().__init__({"i": In(x), "o": Out(y), "runs": Out(runs)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        path, circuit = self.datapath, Dealt(self.datapath, platform)
        own = circuit.enables - 1 + _apart(path.latency)
        m.submodules.skid = skid = Skid(len(path.y), own + len(self.runs))
        m.submodules.datapath = circuit.enabled([skid.run, *skid.runs[:own]][-circuit.enables :])
        flight = Signal(path.latency - 1)  # which registers but the last hold a beat, the newest lowest
        on_way = Cat(self.i.valid, flight)
        with m.If(skid.run):
            m.d.sync += flight.eq(on_way)
        m.d.comb += [
            self.i.ready.eq(skid.run),
            self.runs.eq(skid.runs[own:]),
            path.x.eq(self.i.payload),
            path.valid.eq(self.i.valid),
            skid.issue.eq(on_way[-1]),
            skid.data.eq(path.y),
        ]
        gate(m, skid, path)
        connect(m, skid.o, flipped(self.o))
        return m


class Passage(wiring.Component):
    """A datapath without registers behind it: it stops while its result is there and the reader does not take it."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, datapath: Datapath) -> None:
        self.datapath = datapath
        x, y = (stream.Signature(unsigned(len(port))) for port in (datapath.x, datapath.y))
        super().__init__({"i": In(x), "o": Out(y)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        path, run, flight = self.datapath, Signal(), Signal(self.datapath.latency)
        m.submodules.datapath = EnableInserter(run)(path)
        with m.If(run):
            m.d.sync += flight.eq(Cat(self.i.valid, flight))
        m.d.comb += [
            run.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(run),
            path.x.eq(self.i.payload),
            path.valid.eq(self.i.valid),
            self.o.valid.eq(flight[-1]),
            self.o.payload.eq(path.y),
        ]
        return m


def _apart(latency: int) -> bool:
    """Whether what holds a beat has an enable of its own."""
    return latency > _SHORT


def passage_times(arrive: np.ndarray, wanted: np.ndarray, latency: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a Passage: when it takes each beat, has it for the reader, and when it leaves, not before it is wanted.

    All that is inside moves together, so a beat's age is counted in clocks without the `stopped` ones.
    """
    came, wants = arrive.tolist(), wanted.tolist()
    taken: list[int] = []
    offered: list[int] = []
    left: list[int] = []
    ages: list[int] = []  # when each was taken, less the clocks that had been stopped by then
    stopped = 0

    def leave() -> int:
        nonlocal stopped
        there = ages[len(left)] + latency + stopped
        gone = max(there, wants[len(left)], left[-1] + 1 if left else 0)
        stopped += gone - there
        offered.append(there)
        left.append(gone)
        return gone

    for k, first in enumerate(came):
        now = max(first, taken[-1] + 1 if k else 0)
        while len(left) < k and ages[len(left)] + latency + stopped <= now:
            now = max(now, leave())
        taken.append(now)
        ages.append(now - stopped)
    while len(left) < len(came):
        leave()
    return np.array(taken, np.int64), np.array(offered, np.int64), np.array(left, np.int64)


def elastic_schedule(arrive: np.ndarray, latency: int) -> np.ndarray:
    """Arrival times -> times at which `Elastic` offers the beats, its reader always ready."""
    return serve(arrive) + latency


def elastic_cost(y_bits: int, latency: int) -> Cost:
    """Of an Elastic without its datapath."""
    return skid_cost(y_bits) + Cost(ff=latency - 1 + _apart(latency))
