"""Cycle counters at the accelerator's ports."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

_FLIGHT_BITS = 6
IN_FLIGHT = 1 << _FLIGHT_BITS  # frames whose start can be remembered


class Meter(wiring.Component):
    """Counts while `busy`, from `go` on; keeps the counts until the next `go`.

    Bits of `taken` and `given`: a beat of input k or output k moves; of `ends`, `leaves`: it is the last of its frame;
    of `hungry`, `blocked`: an input without a beat, an output whose beat waits. `room`: input k may begin a frame; a
    frame waits while IN_FLIGHT older ones are inside, so that each one's first clock is known.
    """

    counts = ("busy_cycles", "frames_done", "latency_last", "latency_slowest", "input_stalls", "output_stalls")
    go: Signal
    busy: Signal
    taken: Signal
    ends: Signal
    hungry: Signal
    given: Signal
    leaves: Signal
    blocked: Signal
    room: Signal
    busy_cycles: Signal
    frames_done: Signal
    latency_last: Signal
    latency_slowest: Signal
    input_stalls: Signal
    output_stalls: Signal

    def __init__(self, inputs: int, outputs: int) -> None:
        self.inputs, self.outputs = inputs, outputs
        super().__init__(
            {
                "go": In(1), "busy": In(1),
                **{name: In(inputs) for name in ("taken", "ends", "hungry")},
                **{name: In(outputs) for name in ("given", "leaves", "blocked")},
                "room": Out(inputs), **{name: Out(32) for name in self.counts},
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        finishes = self._finishes(m)
        started = self._starts(m)
        m.submodules.times = times = Memory(shape=32, depth=IN_FLIGHT, init=[], attrs={"ram_style": "distributed"})
        write, read = times.write_port(), times.read_port(domain="comb")
        late = Signal()
        m.d.comb += [
            write.en.eq(started[0]), write.addr.eq(started[1]), write.data.eq(self.busy_cycles),
            read.addr.eq(self.frames_done),
        ]  # fmt: skip
        began = Signal(32)
        at_once = started[0] & (started[1] == self.frames_done[:_FLIGHT_BITS])
        m.d.comb += began.eq(read.data)
        with m.If(at_once):
            m.d.comb += began.eq(self.busy_cycles)
        self._count(m, finishes)
        m.d.sync += late.eq(finishes)
        with m.If(finishes):
            m.d.sync += self.latency_last.eq(self.busy_cycles - began + 1)
        with m.If(late & (self.latency_last > self.latency_slowest)):
            m.d.sync += self.latency_slowest.eq(self.latency_last)
        with m.If(self.go):
            m.d.sync += [late.eq(0), self.latency_last.eq(0), self.latency_slowest.eq(0)]
        return m

    def _count(self, m: Module, finishes: Value) -> None:
        counts = [
            (self.busy_cycles, ~self.busy_cycles.all()), (self.frames_done, finishes),
            (self.input_stalls, self.hungry.any()), (self.output_stalls, self.blocked.any()),
        ]  # fmt: skip
        for count, moves in counts:
            with m.If(self.go):
                m.d.sync += count.eq(0)
            with m.Elif(self.busy & moves):
                m.d.sync += count.eq(count + 1)

    def _starts(self, m: Module) -> tuple[Value, Value]:
        """Whether a frame's first beat enters now (on the earliest of its inputs), and the frame's number."""
        newest = Signal(_FLIGHT_BITS + 1)
        begins = []
        for k in range(self.inputs):
            begun, inside = Signal(_FLIGHT_BITS + 1, name=f"begun{k}"), Signal(name=f"inside{k}")
            first = self.taken[k] & ~inside
            full = (begun - self.frames_done)[: _FLIGHT_BITS + 1] == IN_FLIGHT
            m.d.comb += self.room[k].eq(inside | ~full)
            begins.append(first & (begun == newest))
            with m.If(self.taken[k]):
                m.d.sync += [inside.eq(~self.ends[k]), begun.eq(begun + first)]
            with m.If(self.go):
                m.d.sync += [inside.eq(0), begun.eq(0)]
        starts = Cat(begins).any()
        m.d.sync += newest.eq(newest + starts)
        with m.If(self.go):
            m.d.sync += newest.eq(0)
        return starts, newest[:_FLIGHT_BITS]

    def _finishes(self, m: Module) -> Value:
        """Whether the last beat of the oldest frame inside leaves now (on the latest of its outputs)."""
        whole = []
        for k in range(self.outputs):
            ahead = Signal(_FLIGHT_BITS + 1, name=f"ahead{k}")  # frames that this output has sent and another has not
            leaves = self.given[k] & self.leaves[k]
            whole.append((leaves | (ahead != 0), ahead, leaves))
        finishes = Signal()
        m.d.comb += finishes.eq(Cat(w for w, _, _ in whole).all())
        for _, ahead, leaves in whole:
            m.d.sync += ahead.eq(ahead + leaves - finishes)
            with m.If(self.go):
                m.d.sync += ahead.eq(0)
        return finishes
