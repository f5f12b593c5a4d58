"""Another number of lanes for the same elements."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring

from codesign.cost import Cost
from hw.buffer import Buffer, buffer_cost
from hw.copies import EACH, KEPT, copies, groups_of, held, slices_of
from hw.elastic import Datapath
from hw.ending import Ending
from hw.fitted import fitted
from hw.loops import increased
from hw.memory import choice_sites
from hw.ports import stage_ports
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
        """A wide beat is taken when its last piece goes; into a gearbox, when there is room for it."""
        taken, given = self._units
        if self.queues:
            (left,), last = self.schedule(*arrive), taken * np.arange(1, len(arrive[0]) + 1) - _capacity(taken, given)
            makes_room = -(-last // given) - 1
            return (serve(np.where(makes_room < 0, arrive[0], np.maximum(arrive[0], left[makes_room] + 1))),)
        if given > 1:
            return (serve(arrive[0]),)
        pieces = serve(np.repeat(arrive[0], taken))
        return (pieces[taken - 1 :: taken],)

    def cost(self) -> Cost:
        taken, given = self._units
        bits, out_bits = self.input.beat_bits, self.outputs[0].beat_bits
        if given == 1:
            return buffer_cost(out_bits) + _pick_cost(out_bits, taken)
        if taken == 1:
            counter = (given - 1).bit_length()
            control = fitted("wider.counter bit") * counter + fitted("wider.piece") * given + fitted("wider.one")
            counters = counter * _wider_counters(bits, given)
            return Cost(lut=control, ff=2 * out_bits - bits + counters + 1 + groups_of(out_bits))
        return _gearbox_cost(bits // taken, taken, given)

    @property
    def queues(self) -> bool:
        """Whether neither side's beats are whole pieces of the other's."""
        return min(self._units) > 1

    @property
    def narrows(self) -> bool:
        """Whether a beat leaves in whole pieces."""
        taken, given = self._units
        return given == 1 < taken

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        """`then`: a datapath behind it, where it narrows."""
        taken, given = self._units
        if self.narrows:
            return _Narrower(self, then)
        assert then is None
        if taken == given:
            return Buffer(self.input.beat_bits)
        return _Wider(self) if taken == 1 else _Gearbox(self)


class _Circuit(wiring.Component):
    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: Width) -> None:
        self.stage = stage
        self.bits = stage.outputs[0].beat_bits
        self.taken, self.given = stage._units
        super().__init__(stage_ports(stage))


class _Narrower(Ending[Width]):
    """Sends a beat piece by piece while it waits at the input."""

    i: stream.Interface

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffer, ways = self.ending(m), self.stage._units[0]
        bits = self.stage.outputs[0].beat_bits
        parts = slices_of(bits, _pick_groups(bits, ways))
        pieces = _counters(ways, len(parts))
        at_last = pieces[0] == ways - 1
        words = [self.i.payload[k * bits : (k + 1) * bits] for k in range(ways)]
        m.d.comb += [
            *(buffer.i.payload[p].eq(Array(w[p] for w in words)[k]) for p, k in zip(parts, pieces, strict=True)),
            buffer.i.valid.eq(self.i.valid),
            self.i.ready.eq(buffer.i.ready & at_last),
        ]
        with m.If(buffer.i.valid & buffer.i.ready):
            m.d.sync += [piece.eq(Mux(at_last, 0, increased(pieces[0]))) for piece in pieces]
        return m


class _Wider(_Circuit):
    """Gathers all pieces but the last, which goes straight into the output register with them.

    One output register is enough for full rate: it has at least two clocks a beat. It loads while it is empty, and so
    does a piece while its turn lasts, so that no enable waits for the input: what comes last is the beat.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, gathered = len(self.i.payload), self.given - 1
        parts = slices_of(width, groups_of(width))
        pieces = _counters(self.given, _wider_counters(width, self.given))
        at_last = pieces[0] == gathered
        m.d.comb += self.i.ready.eq(~at_last | ~self.o.valid)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [piece.eq(Mux(at_last, 0, increased(pieces[0]))) for piece in pieces]
        kept = []
        for k in range(gathered):
            turns = (pieces[k // EACH * len(parts) + j] == k for j in range(len(parts)))  # equal ones would be merged
            kept.append(held(m, self.i.payload, turns))
        valid = (self.o.valid & ~self.o.ready) | (at_last & self.i.valid & ~self.o.valid)
        empty = copies(m, ~valid, groups_of(self.bits), init=1)
        m.d.sync += self.o.valid.eq(valid)
        m.d.comb += self.o.payload.eq(held(m, Cat(*kept, self.i.payload), empty))
        return m


def _wider_counters(width: int, given: int) -> int:
    """Of the piece: for every group of a piece's registers, and so that none is compared too often."""
    return groups_of(width) * groups_of(given - 1)


def _pick_groups(bits: int, ways: int) -> int:
    """Counters that choose among the ways, each for a part of the bits: a table for four of them reads it."""
    return groups_of(bits, -(-ways // 4))


def _counters(count: int, copied: int) -> list[Signal]:
    """Of one value."""
    attrs = KEPT if copied > 1 else {}
    return [Signal(range(count), name="piece", attrs=attrs) for _ in range(copied)]


class _Gearbox(_Circuit):
    """A queue of units: a beat enters behind the units there are, and leaves from the front.

    `ready` and `valid` come from the fill alone. It holds just as much as full rate takes.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taken, given, capacity = self.taken, self.given, _capacity(self.taken, self.given)
        unit = self.bits // given
        queue, fill = Signal(capacity * unit, reset_less=True), Signal(range(capacity + 1))
        put, get = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        kept, left = Signal.like(queue), Signal.like(fill)
        m.d.comb += [
            self.o.valid.eq(fill >= given),
            self.i.ready.eq(fill <= capacity - taken),
            self.o.payload.eq(queue),
            kept.eq(Mux(get, queue >> (given * unit), queue)),
            left.eq(Mux(get, fill - given, fill)),
        ]
        m.d.sync += [queue.eq(kept), fill.eq(left)]
        with m.If(put):
            m.d.sync += fill.eq(left + taken)
            with m.Switch(left):
                for start in range(capacity - taken + 1):
                    with m.Case(start):
                        m.d.sync += queue[start * unit : (start + taken) * unit].eq(self.i.payload)
        return m


def _capacity(taken: int, given: int) -> int:
    """Units that a gearbox must hold so that the narrower side never waits."""
    return taken + given + min(taken, given) - 1


def _pick_cost(bits: int, ways: int) -> Cost:
    """Of a multiplexer of `ways` words and its counter."""
    counter = (ways - 1).bit_length()
    control = fitted("narrower.counter bit") * counter + fitted("narrower.one")
    return Cost(lut=bits * choice_sites(ways) + control, ff=counter * _pick_groups(bits, ways))


def _gearbox_cost(unit: int, taken: int, given: int) -> Cost:
    capacity = _capacity(taken, given)
    fill = capacity.bit_length()
    a_bit = fitted("gearbox.bit") + fitted("gearbox.place") * capacity
    return Cost(lut=capacity * unit * a_bit + fitted("gearbox.fill bit") * fill, ff=capacity * unit + fill)
