"""Whole windows a beat: delay lines of rows, then registers of columns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from hw.buffer import Buffer, buffer_cost
from hw.loops import counters, counters_cost
from hw.memory import ram, ram_cost
from hw.sliding import Sliding
from hw.timing import serve


@dataclass(frozen=True)
class ParallelForm:
    """One beat of input a clock; with a window's last pixel the window goes out, a beat a channel group."""

    sliding: Sliding

    @property
    def line(self) -> tuple[int, int]:
        """Depth and width of the memory that delays the rows."""
        s = self.sliding
        return s.taps[0], (s.kernel[0] - 1) * s.input.beat_bits

    @property
    def tail(self) -> int:
        """Registers a row of taps."""
        s = self.sliding
        return (s.kernel[1] - 1) * s.taps[1] + 1

    def schedule(self, arrive: np.ndarray) -> np.ndarray:
        s = self.sliding
        times = serve(arrive).reshape(-1, *s.input.shape[:2], s.pixel)
        (up, left), (down, right) = s.reach, s.stride
        return times[:, up - 1 :: down, left - 1 :: right].reshape(-1) + 2

    def accepts(self, arrive: np.ndarray) -> np.ndarray:
        return serve(arrive)

    def cost(self) -> Cost:
        s = self.sliding
        bits = s.input.beat_bits
        newest, chains = s.kernel[0] * bits, s.kernel[0] * (s.kernel[1] - 1) * bits
        tap = s.taps[1]
        shifted = Cost(ff=chains * tap) if tap < 3 else Cost(lut=chains * -(-tap // 32))  # registers or SRLs
        taps = Cost(ff=newest) + shifted
        depth, width = self.line
        rows = ram_cost(depth, width) if depth > 1 and width else Cost()  # else the taps are the delay
        control = counters_cost([depth, *s.input.shape[:2], s.pixel, max(s.reach[0], 1), s.reach[1]])
        return taps + rows + buffer_cost(bits) + control + Cost(ff=1)

    def rtl(self) -> wiring.Component:
        return _Circuit(self)


class _Circuit(wiring.Component):
    """Everything shifts together, and not while a window waits; the buffer before it ends the ready path."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, form: ParallelForm) -> None:
        self.form = form
        bits = form.sliding.input.beat_bits
        window = stream.Signature(unsigned(bits * form.sliding.positions))
        super().__init__({"i": In(stream.Signature(unsigned(bits))), "o": Out(window)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        s = self.form.sliding
        m.submodules.buffer = buffer = Buffer(s.input.beat_bits)
        connect(m, flipped(self.i), buffer.i)
        shift = Signal()
        m.d.comb += [
            shift.eq(buffer.o.valid & (self.o.ready | ~self.o.valid)),
            buffer.o.ready.eq(self.o.ready | ~self.o.valid),
        ]
        _, last = counters(m, [*s.input.shape[:2], s.pixel], shift)
        with m.If(shift):
            m.d.sync += self.o.valid.eq(
                _window_ends(m, s.reach[0], s.stride[0], shift & last[1], last[0])
                & _window_ends(m, s.reach[1], s.stride[1], shift & last[2], last[1])
            )
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        rows = self._row_taps(m, buffer.o.payload, shift)
        columns = [self._column_taps(m, tap, shift) for tap in reversed(rows)]
        m.d.comb += self.o.payload.eq(Cat(*columns))
        return m

    def _row_taps(self, m: Module, newest: Value, shift: Value) -> list[Value]:
        """The newest beat, and those that stand below one another above it."""
        depth, width = self.form.line
        if not width:
            return [newest]
        older = Signal(width)
        line = Cat(newest, older)
        m.d.comb += older.eq(_delayed(m, line[:width], depth, shift))
        bits = len(newest)
        return [line[k * bits : (k + 1) * bits] for k in range(self.form.sliding.kernel[0])]

    def _column_taps(self, m: Module, newest: Value, shift: Value) -> Value:
        """Registers of the beats of one row of the window, the oldest lowest."""
        chain = [newest]
        for _ in range(self.form.tail):
            chain.append(Signal(len(newest), reset_less=True))
        with m.If(shift):
            m.d.sync += [Cat(held).eq(before) for before, held in pairwise(chain)]
        return Cat(*reversed(chain[1 :: self.form.sliding.taps[1]]))


def _delayed(m: Module, value: Value, depth: int, shift: Value) -> Value:
    """The value `depth` shifts ago, by a ring that is read one place ahead."""
    if depth == 1:
        held = Signal(len(value), reset_less=True)
        with m.If(shift):
            m.d.sync += held.eq(value)
        return held
    m.submodules.line = memory = ram(depth, len(value))
    write, read = memory.write_port(), memory.read_port()
    place = Signal(range(depth))
    following = Mux(place == depth - 1, 0, place + 1)
    with m.If(shift):
        m.d.sync += place.eq(following)
    m.d.comb += [
        write.en.eq(shift), write.addr.eq(place), write.data.eq(value),
        read.en.eq(shift), read.addr.eq(following),
    ]  # fmt: skip
    return read.data


def _window_ends(m: Module, reach: int, stride: int, step: Value, restart: Value) -> Value:
    """Whether a window's last row (or column) is here: the first is `reach`, then every `stride`."""
    wait = Signal(range(max(reach, stride)), init=reach - 1)
    with m.If(step):
        m.d.sync += wait.eq(Mux(restart, reach - 1, Mux(wait == 0, stride - 1, wait - 1)))
    return wait == 0
