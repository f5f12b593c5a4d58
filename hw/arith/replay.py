"""A vector kept while it is read several times, and the next one taken meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from codesign.cost import Cost
from hw.arith.order import Order
from hw.arith.walk import Walk, walk_cost
from hw.copies import groups_of, held
from hw.fitted import fitted
from hw.loops import counters_and_ends, counters_cost, with_inner
from hw.memory import choices_of, in_parts, parts_of, ram_cost


class Replay(wiring.Component):
    """Reads each vector in an order: while `valid` and `run`, `x` is the beat a clock later.

    `last`: it is the last one of its pass. `enable`: `run` again, for parts of the register of `x`. Two vectors fit, so
    that the second is written while the first is read; a beat can be read in the clock after it was taken. `i.ready`
    is a register.
    """

    i: stream.Interface
    valid: Signal
    last: Signal
    run: Signal
    enable: Signal
    x: Signal

    def __init__(self, bits: int, order: Order) -> None:
        self.bits, self.order = bits, order
        control = {"valid": Out(1), "last": Out(1), "run": In(1), "enable": In(groups_of(bits))}
        super().__init__({"i": In(stream.Signature(bits)), "x": Out(bits), **control})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid, whole, room = Signal(), Signal(), Signal(init=1)  # whole: the half that is read is, room: a half is not
        taken, step = self.i.valid & room, valid & self.run
        (written,), (wrote,) = counters_and_ends(m, [self.order.beats], taken)
        reading = self._reading(m, step, written, taken, filling := taken & wrote)
        into, out_of = _toggle(m, filling), _toggle(m, emptying := step & reading.end)
        m.d.sync += [whole.eq(filling | (whole & ~(emptying & room))), room.eq(emptying | (room & ~(filling & whole)))]
        # Whether the next beat can be read is in a register: nothing that is compared decides on a step.
        there = Mux(reading.end, ~room, whole)
        m.d.sync += valid.eq(filling | Mux(step, there | reading.ahead, valid | reading.here))
        m.d.comb += [
            self.i.ready.eq(room),
            self.valid.eq(valid), self.last.eq(reading.last),
            self.x.eq(self._stored(m, (Cat(written, into), taken), Cat(reading.beat, out_of))),
        ]  # fmt: skip
        return m

    def _stored(self, m: Module, write: tuple[Value, Value], address: Value) -> Value:
        """The beat that is read, each part of it by an enable of its own."""
        depth = replay_depth(self.order.beats)
        parts, choices = parts_of(depth, self.bits), choices_of(depth, self.bits)
        read = [(address, run) for run in self._runs(parts)]
        return in_parts(m, depth, self.i.payload, [write] * parts, read, self._runs(choices))

    def _runs(self, count: int) -> list[Value]:
        """So many of the enables."""
        return [self.enable[k * len(self.enable) // count] for k in range(count)]

    def _reading(self, m: Module, step: Value, written: Value, taken: Value, filling: Value) -> _Reading:
        if self.order.complete:
            return self._in_order(m, step, written, taken)
        m.submodules.walk = walk = Walk(self.order)
        m.d.comb += walk.step.eq(step)
        # Whether fewer beats than these were written, in registers: so only the one that comes is compared for order.
        was_here, was_ahead = Signal(), Signal()
        here = was_here | (taken & (walk.beat == written))
        ahead = was_ahead | (taken & (walk.following == written))
        coming = (walk.coming < written) | (taken & (walk.coming == written))
        m.d.sync += [was_here.eq(Mux(step, ahead, here) & ~filling), was_ahead.eq(Mux(step, coming, ahead) & ~filling)]
        # A half that a step gives back must be full by then.
        return _Reading(walk.beat, walk.last, walk.end, here & ~walk.end, ahead & ~walk.ended)

    def _in_order(self, m: Module, step: Value, written: Value, taken: Value) -> _Reading:
        """All beats in order, their number counted a step ahead. A step reads a beat that was written, so that the one
        behind it is there unless it is the next to be written, and that is not being written now."""
        (_, following), ends = counters_and_ends(m, [self.order.passes, self.order.beats], step, [0, 1])
        ended, last_after = with_inner(ends)
        beat, end, last = Signal.like(following, init=0), Signal(), Signal()
        with m.If(step):
            m.d.sync += [beat.eq(following), end.eq(ended), last.eq(last_after)]
        return _Reading(beat, last, end, taken, taken | (following != written))


@dataclass(frozen=True)
class _Reading:
    """The beat to be read, whether it is the last one of its pass, and of all; and in the half that is being written:
    whether it is `here` a clock later, and whether the following one is."""

    beat: Value
    last: Value
    end: Value
    here: Value
    ahead: Value


class Hold(wiring.Component):
    """The same for vectors of one beat: `x` is a register, which the first reading of a vector fills."""

    i: stream.Interface
    valid: Signal
    last: Signal
    run: Signal
    enable: Signal
    x: Signal

    def __init__(self, bits: int, passes: int) -> None:
        self.passes = passes
        control = {"valid": Out(1), "last": Out(1), "run": In(1), "enable": In(groups_of(bits))}
        super().__init__({"i": In(stream.Signature(bits)), "x": Out(bits), **control})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        step, free = self.valid & self.run, Signal(init=1)
        _, (ended,) = counters_and_ends(m, [self.passes], step)
        with m.If(step):
            m.d.sync += free.eq(ended)
        m.d.comb += [
            self.i.ready.eq(free & self.run),
            self.valid.eq(self.i.valid | ~free),
            self.last.eq(1),
            self.x.eq(held(m, self.i.payload, [enable & self.valid & free for enable in self.enable])),
        ]
        return m


def replay(bits: int, order: Order) -> Replay | Hold:
    """What keeps vectors of so many bits a beat."""
    return Hold(bits, order.passes) if order.beats == 1 else Replay(bits, order)


def _toggle(m: Module, when: Value) -> Signal:
    """Which of the two halves: the other one from `when` on."""
    half = Signal()
    m.d.sync += half.eq(half ^ when)
    return half


def replay_depth(beats: int) -> int:
    """Words of the memory: two halves, each a power of two."""
    return 2 << (beats - 1).bit_length()


def replay_cost(bits: int, order: Order) -> Cost:
    """Of `replay`, its output register included."""
    if order.beats == 1:
        ends = 2 * (order.passes > 1)  # registers of the counter's end, and of what comes behind it
        return counters_cost([order.passes]) + Cost(lut=fitted("hold.one"), ff=bits + ends)
    half = (order.beats - 1).bit_length()
    reading = counters_cost([order.passes, order.beats]) if order.complete else walk_cost(order)
    ends = 2 + (4 + half if order.complete else 2)  # registers of what can be read and of the loops' ends
    own = Cost(lut=fitted("replay.one") + fitted("replay.bit") * half, ff=4 + ends)
    control = counters_cost([order.beats]) + reading + own
    return control + ram_cost(replay_depth(order.beats), bits)
