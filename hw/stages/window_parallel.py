"""Whole windows a beat: delay lines of rows, then registers of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from hw.buffer import Buffer, buffer_cost
from hw.copies import EACH, KEPT, groups_of, slices_of
from hw.fitted import fitted
from hw.flow import buffer_flow
from hw.halts import Flow
from hw.loops import between, counters_and_ends, counters_cost, increased, with_inner
from hw.memory import choices_of, in_blocks, in_parts, parts_of, ram_cost
from hw.ports import elements, encode
from hw.sliding import Sliding
from hw.timing import serve

_TOLD = EACH - 12  # enables that one set of registers tells, which also moves the counters


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
    def in_memory(self) -> bool:
        """Whether there is such a memory: rows of one beat are delayed by the registers of their columns."""
        depth, width = self.line
        return depth > 1 and width > 0

    @property
    def line_groups(self) -> tuple[int, int, int]:
        """Enables of that memory's parts, of writing them where it is in tables, and of the choice among its banks."""
        depth, width = self.line
        if not self.in_memory:
            return 0, 0, 0
        parts = parts_of(depth, width)
        return parts, 0 if in_blocks(depth, width) else -(-parts // 2), choices_of(depth, width)

    @property
    def tap_groups(self) -> int:
        """Enables of the registers of columns."""
        return groups_of(self.stretched.kernel[0] * self.stretched.input.beat_bits, self.tail)

    @property
    def enables(self) -> int:
        """Of all that shifts: counters, memory, taps."""
        return 1 + sum(self.line_groups) + self.tap_groups

    @property
    def enable_groups(self) -> int:
        """Of these: each is told by registers of its own what moves."""
        return -(-self.enables // _TOLD)

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

    def flow(self, arrive: np.ndarray, leave: np.ndarray) -> Flow:
        """Nothing shifts while a window waits."""
        s, own = self.stretched, self.sliding.size
        ready = np.zeros((len(arrive) // self.sliding.input.beats, *s.size, s.pixel), np.int64)
        index, free = np.arange(ready.size).reshape(ready.shape), np.zeros(ready.size + 1, np.int64)
        rows, columns = self.ends
        free[index[:, rows, columns].reshape(-1) + 1] = leave
        into = index[:, : own[0], : own[1]].reshape(-1)
        shifts = np.zeros(ready.size, np.int64)
        while True:
            buffered = buffer_flow(arrive, shifts[into])
            (ready.reshape(-1)[into],) = buffered.offered
            found = self._shifts(np.maximum(ready.reshape(-1), free[:-1]))
            if np.array_equal(found, shifts):
                return Flow(buffered.taken, (shifts[index[:, rows, columns].reshape(-1)] + 1,))
            shifts = found

    def _shifts(self, ready: np.ndarray) -> np.ndarray:
        """Cycle in which each beat shifts in, border and all; a border stands before the first image, too."""
        s, (row, column) = self.stretched, self.begin
        before = (s.input.beats - row * s.row - column * s.pixel) % s.input.beats
        return serve(np.concatenate([np.zeros(before, np.int64), ready]))[before:]

    def cost(self) -> Cost:
        own, s = self.sliding, self.stretched
        bits = s.input.beat_bits
        newest, chains = s.kernel[0] * bits, s.kernel[0] * (s.kernel[1] - 1) * bits
        tap = s.taps[1]
        shifted = Cost(ff=chains * tap) if tap < 3 else Cost(lut=chains * -(-tap // 32))  # registers or SRLs
        taps = Cost(ff=newest) + shifted
        depth, width = self.line
        rows = ram_cost(depth, width) if self.in_memory else Cost()
        places = max(self.line_groups[0] - 1, 0) * (depth - 1).bit_length()
        copied = Cost(lut=self.enables - 1, ff=self.enables - 1 + places)
        control = counters_cost([depth, *s.input.shape[:2], s.pixel, max(s.reach[0], 1), s.reach[1]])
        one = Cost(lut=fitted("parallel window.one"), ff=1 + sum(n > 1 for n in (*s.input.shape[:2], s.pixel)))
        told = Cost(lut=4, ff=4) * (self.enable_groups - 1)  # a control of the buffer
        border = Cost(lut=fitted("parallel window.border"), ff=1 + self.insides) if own.border else Cost()
        return taps + rows + buffer_cost(own.input.beat_bits) + copied + told + control + one + border

    @property
    def insides(self) -> int:
        """Registers that tell the image from what is around it."""
        bordered = sum(n < around for n, around in zip(self.sliding.size, self.stretched.size, strict=True))
        return bordered * (self.enable_groups + groups_of(self.sliding.input.beat_bits))

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
        m.submodules.buffer = buffer = Buffer(own.input.beat_bits, valids=self.form.enable_groups - 1)
        connect(m, flipped(self.i), buffer.i)
        shift, ended, groups = Signal(), Signal(), slices_of(self.form.enables, self.form.enable_groups)
        valids = [Signal(name="valid", attrs=KEPT) for _ in range(self.form.enables)]
        indices, at_ends = counters_and_ends(m, [*s.size, s.pixel], shift, [*self.form.begin, 0])
        last = with_inner(at_ends)
        steps = [shift & inner for inner in last[1:]]
        insides = self._insides(m, indices, at_ends, steps)
        comes = [there | ~inside for there, inside in zip([buffer.o.valid, *buffer.valids], insides, strict=False)]
        shifts = [come & (self.o.ready | ~v) for come, group in zip(comes, groups, strict=True) for v in valids[group]]
        ends = [
            _window_ends(m, ends, size, step, index, outer)
            for ends, size, step, index, outer in zip(self.form.ends, s.size, steps, indices, last, strict=False)
        ]
        m.d.comb += [
            self.o.valid.eq(valids[0]),
            shift.eq(shifts[0]),
            buffer.o.ready.eq(insides[0] & (self.o.ready | ~valids[0])),
            ended.eq(ends[0] & ends[1] & self._begun(m, shift & last[0])),
        ]
        for group in groups:
            waits = valids[group.start] & ~self.o.ready
            m.d.sync += [valid.eq(Mux(shifts[group.start], ended, waits)) for valid in valids[group]]
        newest = self._newest(buffer.o.payload, insides[len(groups) :])
        m.d.comb += self.o.payload.eq(self._taps(m, newest, shifts[1:]))
        return m

    def _insides(
        self, m: Module, indices: Sequence[Signal], ends: Sequence[Value], steps: Sequence[Value]
    ) -> list[Value]:
        """Whether the image's beat passes, not the border: for each group of enables, and of a beat's bits."""
        sizes, counts = self.form.sliding.size, self.form.stretched.size
        axes = [k for k in range(2) if sizes[k] < counts[k]]
        found = []
        for _ in range(self.form.enable_groups + groups_of(self.form.sliding.input.beat_bits)):
            now = [Signal(name="inside", init=self.form.begin[k] < sizes[k], attrs=KEPT) for k in axes]
            for k, inside in zip(axes, now, strict=True):
                with m.If(steps[k]):
                    # as a table: `!=` would be a carry chain
                    m.d.sync += inside.eq(ends[k] | inside & (indices[k] ^ sizes[k] - 1).any())
            found.append(Cat(now).all())
        return found

    def _begun(self, m: Module, image: Value) -> Value:
        """Whether the border before the first image has passed."""
        if not self.form.sliding.border:
            return Const(1, 1)
        begun = Signal()
        with m.If(image):
            m.d.sync += begun.eq(1)
        return begun

    def _newest(self, beat: Value, insides: Sequence[Value]) -> Value:
        """What shifts in: the image's beat, or the border's."""
        s, seen = self.form.sliding, self.form.sliding.seen
        if not s.border:
            return beat
        around = Cat(Const(int(seen.encode(np.array(s.border.value))), seen.bits) for _ in range(s.input.lanes))
        beat = Cat(encode(value, seen) for value in elements(beat, s.input))
        parts = slices_of(len(beat), len(insides))
        return Cat(*(Mux(inside, beat[p], around[p]) for p, inside in zip(parts, insides, strict=True)))

    def _taps(self, m: Module, newest: Value, shifts: Sequence[Value]) -> Value:
        """All that a window sees, the oldest lowest, by enables of the memory and of groups of registers."""
        *_, groups = line = list(accumulate(self.form.line_groups))
        bits = len(newest)
        rows = self.form.stretched.kernel[0]
        chain = [Signal(rows * bits, reset_less=True) for _ in range(1 + self.form.tail)]
        older = chain[1][: (rows - 1) * bits]
        if self.form.in_memory:
            own = [shifts[a:b] for a, b in pairwise([0, *line])]
            older = _delayed(m, chain[0][: (rows - 1) * bits], self.form.line[0], *own)
        m.d.comb += chain[0].eq(Cat(newest, older))
        for part, shift in zip(slices_of(rows * bits, self.form.tap_groups), shifts[groups:], strict=True):
            with m.If(shift):
                m.d.sync += [after[part].eq(before[part]) for before, after in pairwise(chain)]
        columns = list(reversed(chain[1 :: self.form.stretched.taps[1]]))
        return Cat(*(column.word_select(row, bits) for row in reversed(range(rows)) for column in columns))


def _delayed(
    m: Module, value: Value, depth: int, reads: Sequence[Value], writes: Sequence[Value], chooses: Sequence[Value]
) -> Value:
    """The value `depth` shifts ago, by a ring read one place ahead; a part of it shifts with each of `reads`."""
    into, out, writes = [], [], writes or reads
    for k, read in enumerate(reads):
        place, write = Signal(range(depth), attrs=KEPT if len(reads) > 1 else {}), writes[k * len(writes) // len(reads)]
        following = Mux(place == depth - 1, 0, increased(place))
        with m.If(write):
            m.d.sync += place.eq(following)
        into.append((place, write))
        out.append((following, read))
    return in_parts(m, depth, value, into, out, chooses)


def _window_ends(m: Module, ends: slice, size: int, step: Value, index: Signal, restart: Value) -> Value:
    """Whether the row (or column) `index` of so many is one of `ends`."""
    wait = Signal(range(max(ends.start + 1, ends.step)), init=ends.start)
    with m.If(step):
        m.d.sync += wait.eq(Mux(restart, ends.start, Mux(wait == 0, ends.step - 1, wait - 1)))
    another = ends.stop - 1 + ends.step < size  # would follow, where the border of the other side is wider
    return (wait == 0) & (between(index, 0, ends.stop) if another else Const(1, 1))
