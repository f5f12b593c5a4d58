"""Windows read one beat after the other from a ring that holds the rows still in use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from hw.buffer import Skid, skid_cost
from hw.loops import choose_step, counters, counters_cost, ring_address, strides_to_steps
from hw.memory import ram, ram_cost
from hw.sliding import Sliding
from hw.timing import serve

_NEVER = np.iinfo(np.int64).min // 2  # before every cycle, with room for sums
_CHUNK = 1 << 12  # windows
_TOLERATED = 32  # rows of the next image are fetched ahead where the wait for them exceeds 1/32 of a frame


@dataclass(frozen=True)
class SerialForm:
    """One beat of input a clock in, one beat of a window a clock out."""

    sliding: Sliding
    channelwise: bool

    @property
    def window_loops(self) -> list[tuple[int, int]]:
        """(count, distance) of the loops within a window, outermost first."""
        s = self.sliding
        kernel, channels = list(zip(s.kernel, s.taps, strict=True)), (s.pixel, 1)
        return [channels, *kernel] if self.channelwise else [*kernel, channels]

    @property
    def image_loops(self) -> list[tuple[int, int]]:
        """(count, distance) of the loops over images and windows; images never end."""
        s = self.sliding
        return [(1, s.input.beats), *zip(s.counts, s.steps, strict=True)]

    @property
    def window_beats(self) -> int:
        return self.sliding.positions * self.sliding.pixel

    @property
    def row_beats(self) -> int:
        """Beats of a row of windows."""
        return self.sliding.counts[1] * self.window_beats

    @property
    def depth(self) -> int:
        """Beats of the ring: a window's span, and what comes in meanwhile, so that neither side waits long."""
        s, beats, row = self.sliding, self.window_beats, self.row_beats
        down, right = s.steps
        depth = s.span + max(beats, min(row - (s.counts[1] - 1) * right, down))
        depth += max(0, min(beats, right) - s.after_row) + max(0, min(row, down) - s.after_image)
        wait = s.span + s.leftover  # of the reader, where the next image enters only when this one is through
        if row > min(down, s.after_image) and _TOLERATED * wait > s.counts[0] * row:
            depth = max(depth, s.span + wait)
        return _rounded(depth, s.input.beat_bits)

    def schedule(self, arrive: np.ndarray) -> np.ndarray:
        """A window starts when its last beat is in; a beat enters when the window that frees its place ends."""
        return (self._starts(arrive)[:, None] + np.arange(self.window_beats) + 1).reshape(-1)

    def accepts(self, arrive: np.ndarray) -> np.ndarray:
        """A beat enters when it is there and the window that frees its place has ended."""
        index = np.arange(len(arrive), dtype=np.int64)
        place = self._first_beats(len(arrive)) + self.depth
        inside = place < len(arrive)
        hindered = np.full(len(arrive), _NEVER)
        hindered[place[inside]] = (self._starts(arrive) + self.window_beats - place)[inside]
        return index + np.maximum.accumulate(np.maximum(arrive - index, hindered))

    def _starts(self, arrive: np.ndarray) -> np.ndarray:
        """Cycle in which each window begins to be read: the least that satisfies both rules, chunk by chunk.

        Within a chunk the windows that free a place are first taken to cost nothing, then to end when they do in
        the solution so far, until that changes nothing.
        """
        first, beats = self._first_beats(len(arrive)), self.window_beats
        last = first + self.sliding.span - 1
        ready = last + 1 + np.maximum.accumulate(arrive - np.arange(len(arrive), dtype=np.int64))[last]
        freeing = np.searchsorted(first + self.depth, last, side="right")  # windows that must have ended before
        starts = np.zeros(len(first), np.int64)
        delay = np.full(len(first) + 1, _NEVER)  # what the first windows, so many, cost the beats behind them
        for begin in range(0, len(first), _CHUNK):
            now, behind = slice(begin, begin + _CHUNK), slice(begin + 1, begin + 1 + _CHUNK)
            delay[behind], settled = delay[begin], False
            free = starts[begin - 1] + beats if begin else 0
            while not settled:
                earliest = np.maximum(ready[now], last[now] + 1 + delay[freeing[now]])
                earliest[0] = max(earliest[0], free)
                found = serve(earliest, beats)
                settled, starts[now] = np.array_equal(found, starts[now]), found
                longest = np.maximum.accumulate(found + beats - first[now] - self.depth)
                delay[behind] = np.maximum(delay[begin], longest)
        return starts

    def _first_beats(self, total: int) -> np.ndarray:
        """The first beat of every window of the images in `total` beats."""
        (_, image), *loops = self.image_loops
        down, right = (np.arange(count) * distance for count, distance in loops)
        return (np.arange(0, total, image)[:, None, None] + down[:, None] + right).reshape(-1)

    def cost(self) -> Cost:
        s, bits, pointer = self.sliding, self.sliding.input.beat_bits, (self.depth - 1).bit_length()
        loops = [count for count, _ in self.image_loops[1:] + self.window_loops]
        wrap = 1 if self.depth & (self.depth - 1) else 0
        control = Cost(lut=pointer * (2.7 + 3.3 * wrap) + 8, ff=3 * pointer + 2)
        return ram_cost(self.depth, s.input.beat_bits) + skid_cost(bits) + counters_cost(loops) + control

    def rtl(self) -> wiring.Component:
        return _Circuit(self)


def _rounded(depth: int, width: int) -> int:
    """The next power of two where it takes the same memory, since addresses then wrap by themselves."""
    power = 1 << (depth - 1).bit_length()
    same = ram_cost(power, width) == ram_cost(depth, width)
    return power if same else depth


class _Circuit(wiring.Component):
    """`stored` counts the beats from the current window's first on; below zero while that is yet to come."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, form: SerialForm) -> None:
        self.form = form
        port = stream.Signature(unsigned(form.sliding.input.beat_bits))
        super().__init__({"i": In(port), "o": Out(port)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        form, depth = self.form, self.form.depth
        m.submodules.memory = memory = ram(depth, len(self.i.payload))
        m.submodules.skid = skid = Skid(len(self.i.payload))
        connect(m, skid.o, flipped(self.o))
        steps = strides_to_steps(form.image_loops)
        stored = Signal(signed(max(depth, *(abs(step) for step in steps)).bit_length() + 1))
        write, read = memory.write_port(), memory.read_port()
        move = Signal()
        loops = form.image_loops + form.window_loops
        _, last = counters(m, [count for count, _ in loops[1:]], move)
        m.d.comb += [
            self.i.ready.eq(stored < depth),
            write.en.eq(self.i.valid & self.i.ready),
            write.addr.eq(ring_address(m, depth, [1], [], write.en)),
            write.data.eq(self.i.payload),
            skid.issue.eq(stored >= form.sliding.span),
            move.eq(skid.issue & skid.run),
            read.en.eq(skid.run),
            read.addr.eq(ring_address(m, depth, strides_to_steps(loops), last, move)),
            skid.data.eq(read.data),
        ]
        with m.If(move & last[2]):
            m.d.sync += stored.eq(stored + write.en - choose_step(steps, last[:2]))
        with m.Else():
            m.d.sync += stored.eq(stored + write.en)
        return m
