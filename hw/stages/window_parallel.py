"""Whole windows a beat: delay lines of rows, then registers of columns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from hw.buffer import Buffer, buffer_cost
from hw.fitted import fitted
from hw.loops import between, counters_and_ends, counters_cost, with_inner
from hw.memory import ram, ram_cost
from hw.ports import elements, encode
from hw.sliding import Sliding
from hw.timing import serve


@dataclass(frozen=True)
class ParallelForm:
    """One beat of input a clock; with a window's last pixel the window goes out, a beat a channel group."""

    sliding: Sliding

    def __post_init__(self) -> None:
        _ = self.stretched  # refuses an image so small that a window sees the border of both sides

    @property
    def stretched(self) -> Sliding:
        """What passes: the image, and behind its rows and behind its last row the border of one side."""
        return self.sliding.stretched

    @property
    def line(self) -> tuple[int, int]:
        """Depth and width of the memory that delays the rows."""
        s = self.stretched
        return s.taps[0], (s.kernel[0] - 1) * s.input.beat_bits

    @property
    def tail(self) -> int:
        """Registers a row of taps."""
        s = self.stretched
        return (s.kernel[1] - 1) * s.taps[1] + 1

    @property
    def begin(self) -> tuple[int, int]:
        """Row and column after a reset: where the border behind an image begins, which stands before the first."""
        rows, columns = self.sliding.size
        if self.stretched.size[1] > columns:
            return rows - 1, columns
        return rows % self.stretched.size[0], 0

    @property
    def ends(self) -> tuple[slice, slice]:
        """The rows and columns of the image with which windows end."""
        s = self.sliding
        axes = zip(s.reach, s.border.before, s.stride, s.counts, strict=True)
        rows, columns = (slice(reach - 1 - a, reach - a + step * (n - 1), step) for reach, a, step, n in axes)
        return rows, columns

    def _passes(self, arrive: np.ndarray) -> np.ndarray:
        """Cycle before the one in which each beat shifts in, border and all: (images, rows, columns, beats a pixel).

        Nothing but the image's own beats is waited for.
        """
        s, own = self.stretched, self.sliding.size
        ready = np.full((len(arrive) // self.sliding.input.beats, *s.size, s.pixel), -1, np.int64)
        ready[:, : own[0], : own[1]] = arrive.reshape(-1, *own, s.pixel)
        row, column = self.begin
        before = (s.input.beats - row * s.row - column * s.pixel) % s.input.beats
        return serve(np.concatenate([np.full(before, -1), ready.reshape(-1)]))[before:].reshape(ready.shape)

    def schedule(self, arrive: np.ndarray) -> np.ndarray:
        rows, columns = self.ends
        return self._passes(arrive)[:, rows, columns].reshape(-1) + 2

    def accepts(self, arrive: np.ndarray) -> np.ndarray:
        """Two beats wait at most."""
        rows, columns = self.sliding.size
        shifted = self._passes(arrive)[:, :rows, :columns].reshape(-1) + 1
        room = np.concatenate([[0, 0], shifted + 1])[: len(arrive)]
        return serve(np.maximum(arrive, room))

    def cost(self) -> Cost:
        own, s = self.sliding, self.stretched
        bits = s.input.beat_bits
        newest, chains = s.kernel[0] * bits, s.kernel[0] * (s.kernel[1] - 1) * bits
        tap = s.taps[1]
        shifted = Cost(ff=chains * tap) if tap < 3 else Cost(lut=chains * -(-tap // 32))  # registers or SRLs
        taps = Cost(ff=newest) + shifted
        depth, width = self.line
        rows = ram_cost(depth, width) if depth > 1 and width else Cost()  # else the taps are the delay
        control = counters_cost([depth, *s.input.shape[:2], s.pixel, max(s.reach[0], 1), s.reach[1]])
        border = Cost(lut=fitted("parallel window.border"), ff=1) if own.border else Cost()
        return (
            taps
            + rows
            + buffer_cost(own.input.beat_bits)
            + control
            + Cost(lut=fitted("parallel window.one"), ff=1 + sum(n > 1 for n in (*s.input.shape[:2], s.pixel)))
            + border
        )

    def rtl(self) -> wiring.Component:
        return _Circuit(self)


class _Circuit(wiring.Component):
    """Everything shifts together, and not while a window waits; the buffer before it ends the ready path."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, form: ParallelForm) -> None:
        self.form = form
        window = stream.Signature(unsigned(form.stretched.input.beat_bits * form.sliding.positions))
        super().__init__({"i": In(stream.Signature(unsigned(form.sliding.input.beat_bits))), "o": Out(window)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        own, s = self.form.sliding, self.form.stretched
        m.submodules.buffer = buffer = Buffer(own.input.beat_bits)
        connect(m, flipped(self.i), buffer.i)
        shift, inside, runs = Signal(), Signal(), Signal()
        indices, at_ends = counters_and_ends(m, [*s.size, s.pixel], shift, [*self.form.begin, 0])
        last = with_inner(at_ends)
        m.d.comb += [
            inside.eq(between(indices[0], 0, own.size[0]) & between(indices[1], 0, own.size[1])),
            runs.eq(self.o.ready | ~self.o.valid),
            shift.eq((buffer.o.valid | ~inside) & runs),
            buffer.o.ready.eq(inside & runs),
        ]
        ends = [
            _window_ends(m, ends, size, shift & inner, index, outer)
            for ends, size, inner, index, outer in zip(self.form.ends, s.size, last[1:], indices, last, strict=False)
        ]
        with m.If(shift):
            m.d.sync += self.o.valid.eq(ends[0] & ends[1] & self._begun(m, shift & last[0]))
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        rows = self._row_taps(m, self._newest(buffer.o.payload, inside), shift)
        columns = [self._column_taps(m, tap, shift) for tap in reversed(rows)]
        m.d.comb += self.o.payload.eq(Cat(*columns))
        return m

    def _begun(self, m: Module, image: Value) -> Value:
        """Whether the border before the first image has passed."""
        if not self.form.sliding.border:
            return Const(1, 1)
        begun = Signal()
        with m.If(image):
            m.d.sync += begun.eq(1)
        return begun

    def _newest(self, beat: Value, inside: Value) -> Value:
        """What shifts in: the image's beat, or the border's."""
        s, seen = self.form.sliding, self.form.sliding.seen
        if not s.border:
            return beat
        around = Cat(Const(int(seen.encode(np.array(s.border.value))), seen.bits) for _ in range(s.input.lanes))
        return Mux(inside, Cat(encode(value, seen) for value in elements(beat, s.input)), around)

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
        return Cat(*reversed(chain[1 :: self.form.stretched.taps[1]]))


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


def _window_ends(m: Module, ends: slice, size: int, step: Value, index: Signal, restart: Value) -> Value:
    """Whether the row (or column) `index` of so many is one of `ends`."""
    wait = Signal(range(max(ends.start + 1, ends.step)), init=ends.start)
    with m.If(step):
        m.d.sync += wait.eq(Mux(restart, ends.start, Mux(wait == 0, ends.step - 1, wait - 1)))
    another = ends.stop - 1 + ends.step < size  # would follow, where the border of the other side is wider
    return (wait == 0) & (between(index, 0, ends.stop) if another else Const(1, 1))
