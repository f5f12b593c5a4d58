"""Another number of lanes for the same elements."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, gcd

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring

from codesign.cost import Cost
from hw.buffer import Buffer, buffer_cost
from hw.copies import EACH, KEPT, copies, groups_of, held, slices_of
from hw.elastic import Datapath
from hw.fitted import fitted
from hw.flow import later, sifted, skid_flow, whole_course
from hw.halts import Course, Flow, Halts, Start, Times
from hw.loops import rounds
from hw.ports import stage_ports
from hw.stages.gearbox import Gearbox, gearbox_cost
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class Width:
    """The same elements, `lanes` a beat; any that divide the frame, at the rate of the narrower side."""

    input: StreamType
    lanes: int

    def __post_init__(self) -> None:
        self.input.with_lanes(self.lanes)

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return (self.input.with_lanes(self.lanes),)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        return (frames[0],)

    @property
    def _units(self) -> tuple[int, int]:
        """Lanes in and out, in units of what divides both."""
        unit = gcd(self.input.lanes, self.lanes)
        return self.input.lanes // unit, self.lanes // unit

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        taken, given = self._units
        total = len(arrive[0]) * taken
        last_needed = (np.arange(given, total + 1, given) - 1) // taken
        return (serve(serve(arrive[0])[last_needed] + 1),)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """A wider beat is taken when the last that ends in it goes; a narrower one as it comes."""
        taken, given = self._units
        if given >= taken:
            return (serve(arrive[0]),)
        last = taken * np.arange(1, len(arrive[0]) + 1) // given - 1
        return (self.schedule(*arrive)[0][last] - 1,)

    def flow(self, arrive: Times, leave: Times, start: Start) -> Flow:
        if self.buffered or self.lanes == self.input.lanes:
            return skid_flow(self, arrive, leave[0], start)
        given = self._units[1]
        free = np.zeros_like(arrive[0])
        free[given - 1 :: given] = later(leave[0] + 1, 1)  # the one register, for the last piece
        taken = serve(np.maximum(arrive[0], free))
        return Flow((taken,), (taken[given - 1 :: given] + 1,))

    def course(self, arrive: Times, halts: Halts) -> Course:
        taken, given = self._units
        if given <= taken:
            return whole_course(self, arrive, halts)
        ends = (np.arange(given, len(arrive[0]) * taken + 1, given) - 1) // taken
        return sifted(arrive[0], ends, halts)

    def cost(self) -> Cost:
        taken, given = self._units
        bits, out_bits = self.input.beat_bits, self.outputs[0].beat_bits
        if taken > 1 or given == 1:
            return buffer_cost(out_bits) + (gearbox_cost(out_bits, taken, given) if self.buffered else Cost())
        counter = (given - 1).bit_length()
        control = fitted("wider.counter bit") * counter + fitted("wider.piece") * given + fitted("wider.one")
        count = _wider_counters(bits, given)
        counters = counter * count + ceil(count / _moving_together(given))
        return Cost(lut=control, ff=2 * out_bits - bits + counters + 2 + groups_of(out_bits))

    @property
    def buffered(self) -> bool:
        """Whether it ends in two registers: what only gathers whole beats has one."""
        return self._units[0] > 1

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        """`then`: a datapath behind it, where it is `buffered`."""
        if self.buffered:
            return Gearbox(self, *self._units, then)
        assert then is None
        return _Wider(self) if self.lanes > self.input.lanes else Buffer(self.input.beat_bits)


class _Wider(wiring.Component):
    """Gathers all pieces but the last, which goes straight into the output register with them.

    One output register is enough for full rate: it has at least two clocks a beat. It loads while it is empty, and so
    does a piece while its turn lasts, so that no enable waits for the input: what comes last is the beat.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: Width) -> None:
        self.bits, (_, self.given) = stage.outputs[0].beat_bits, stage._units
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, gathered = len(self.i.payload), self.given - 1
        parts = slices_of(width, groups_of(width))
        pieces, at_last = self._pieces(m, _wider_counters(width, self.given))
        kept = []
        for k in range(gathered):
            turns = (pieces[k // EACH * len(parts) + j] == k for j in range(len(parts)))  # equal ones would be merged
            kept.append(held(m, self.i.payload, turns))
        empty = copies(m, ~(valid := self._valid(at_last)), groups_of(self.bits), init=1)
        m.d.sync += self.o.valid.eq(valid)
        m.d.comb += self.o.payload.eq(held(m, Cat(*kept, self.i.payload), empty))
        return m

    def _valid(self, at_last: Value) -> Value:
        """Whether the output register will hold a beat."""
        return (self.o.valid & ~self.o.ready) | (at_last & self.i.valid & ~self.o.valid)

    def _pieces(self, m: Module, count: int) -> tuple[list[Signal], Signal]:
        """So many counters; and whether they are at the last piece. What is `ready` is in a register for each group
        that moves together: the circuit before takes its time over it."""
        each, last = _moving_together(self.given), Signal()
        several = KEPT if count > each else {}
        ready = [Signal(name="ready", init=1, attrs=several) for _ in range(0, count, each)]
        pieces = rounds(m, self.given, [self.i.valid & ready[k // each] for k in range(count)])
        following = Mux(self.i.valid & ready[0], pieces[0] == self.given - 2, last)
        m.d.sync += [last.eq(following), *(r.eq(~(following & self._valid(last))) for r in ready)]
        m.d.comb += self.i.ready.eq(ready[0])
        return pieces, last


def _moving_together(given: int) -> int:
    """Counters of so many pieces that one enable moves."""
    return EACH // (given - 1).bit_length()


def _wider_counters(width: int, given: int) -> int:
    """Of the piece: for every group of a piece's registers, and so that none is compared too often."""
    return groups_of(width) * groups_of(given - 1)
