"""A stream through a circuit that cannot stop: a beat is taken only when there is room for its result.

No enable reaches the circuit's registers, however many they are; the results wait in a FIFO behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from codesign.formats import Int
from hw.copies import groups_of
from hw.elastic import Chain, Datapath
from hw.fitted import fitted
from hw.flow import later
from hw.halts import Flow
from hw.loops import below
from hw.stages.fifo import Fifo
from hw.stream import StreamType
from hw.timing import serve

ROUND_TRIP = 1  # clocks between a result's leaving and its room being known
_LEAST = 3  # beats of an announced queue
_SELECT = 0.5  # LUTs a bit: two selects by one signal share a LUT6


@dataclass(frozen=True)
class Credit:
    """What becomes of results of so many `bits`, `latency` clocks after their beats.

    `passing`: they are offered as they come where none waits in LUT memory. That puts a select behind the memory, whose
    output stages read as a register's, so only results that leave the design do so.
    """

    bits: int
    latency: int
    passing: bool = False

    @property
    def queue(self) -> Fifo:
        """Room for every result on its way at one a clock: a power of two."""
        type_, clocks = StreamType((self.bits,), Int(0, 1), self.bits), self.latency + ROUND_TRIP
        least = Fifo(type_, _power_of_two(clocks), self.passing)
        return Fifo(type_, _power_of_two(clocks + least.announced_latency), self.passing)

    def schedule(self, arrive: np.ndarray) -> np.ndarray:
        """Arrival times -> times at which results are offered, their reader always ready."""
        return serve(arrive) + self.latency + self.queue.announced_latency

    def flow(self, arrive: np.ndarray, leave: np.ndarray) -> Flow:
        """Cycles in which beats are offered and results taken -> beats taken and results offered."""
        queue = self.queue
        taken = serve(np.maximum(arrive, later(leave + ROUND_TRIP, queue.depth)))
        return Flow((taken,), (queue.announced_offers(taken + self.latency, leave),))

    def cost(self) -> Cost:
        """Of a Credited without its circuit."""
        queue = self.queue
        counter = queue.depth.bit_length()
        own = Cost(lut=fitted("credit.bit") * counter + fitted("credit.one"), ff=counter + self.latency)
        passing = Cost() if queue.announced_latency else Cost(lut=_SELECT * self.bits, ff=groups_of(self.bits))
        return queue.cost() + own + passing


class Credited(wiring.Component):
    """`y` of the circuit answers its `x` exactly `latency` (>= 1) clocks later; `then`: a datapath behind it.

    `passing`: see Credit.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(
        self, circuit: wiring.Component, latency: int, then: Datapath | None = None, passing: bool = False
    ) -> None:
        self.circuit, self.clocks, self.passing = circuit, latency, passing
        self.then = None if then is None else Chain(then, ahead=True)
        x: Value = circuit.x  # type: ignore[attr-defined]
        y: Value = circuit.y if then is None else then.y  # type: ignore[attr-defined]
        super().__init__({"i": In(stream.Signature(unsigned(len(x)))), "o": Out(stream.Signature(unsigned(len(y))))})

    @property
    def latency(self) -> int:
        """Clocks from a beat to its result."""
        return self.clocks + (self.then.latency if self.then else 0)

    def _behind(self, m: Module, y: Value, flight: Value) -> Value:
        """The results, `flight` the beats from the one taken now to that before the last register."""
        if self.then is None:
            return y
        m.submodules.then = then = self.then
        m.d.comb += [then.x.eq(y), then.valid.eq(flight[self.clocks - 1])]
        return then.y

    def elaborate(self, platform: object) -> Module:
        m = Module()
        queue = Credit(len(self.o.payload), self.latency, self.passing).queue
        depth = queue.depth
        m.submodules.circuit = circuit = self.circuit
        m.submodules.results = results = queue.announced()
        flight, taken, given = Signal(self.latency - 1), Signal(), Signal()
        (room,) = below(m, -depth, depth.bit_length(), (taken, given.as_signed()), 1)  # beats on their way, less depth
        y = self._behind(m, circuit.y, beats := Cat(taken, flight))  # type: ignore[attr-defined]
        m.d.comb += [
            self.i.ready.eq(room),
            taken.eq(self.i.valid & self.i.ready),
            given.eq(self.o.valid & self.o.ready),
            circuit.x.eq(self.i.payload),  # type: ignore[attr-defined]
            results.i.valid.eq(beats[-1]),  # type: ignore[attr-defined]
            results.i.payload.eq(y),  # type: ignore[attr-defined]
        ]
        m.d.sync += flight.eq(beats)
        connect(m, results.o, flipped(self.o))  # type: ignore[attr-defined]
        return m


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, _LEAST - 1).bit_length()
