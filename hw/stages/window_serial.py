"""Windows read one beat after the other from a ring that holds the rows still in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.cost import Cost
from hw.buffer import Skid, skid_cost
from hw.copies import KEPT, groups_of, held, slices_of
from hw.fetch import Fetch
from hw.fitted import fitted
from hw.flow import passes, stored
from hw.halts import Course, Halts
from hw.loops import (
    at_ends,
    below,
    choose_step,
    counters_and_ends,
    counters_cost,
    ring_addresses,
    strides_to_steps,
    within,
)
from hw.memory import rooms_of, rounded
from hw.ports import elements, encode
from hw.register import register
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

    def __post_init__(self) -> None:
        if min(strides_to_steps(self.image_loops)) < 0:
            raise ValueError("the border is so wide that the windows of the next row begin before this one's end")

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
        wait = s.span - s.origin + s.leftover  # of the reader, where the next image enters when this one is through
        if row > min(down, s.after_image) and _TOLERATED * wait > s.counts[0] * row:
            depth = max(depth, s.span + wait)
        return rounded(depth, s.input.beat_bits)

    def schedule(self, arrive: np.ndarray) -> np.ndarray:
        """A window starts when its last beat is in; a beat enters when the window that frees its place ends."""
        return (self._starts(arrive)[:, None] + np.arange(self.window_beats) + self.fetch.latency).reshape(-1)

    def accepts(self, arrive: np.ndarray) -> np.ndarray:
        """A beat enters when it is there and the window that frees its place has ended."""
        index = np.arange(len(arrive), dtype=np.int64)
        place = self._first_beats(len(arrive)) + self.depth
        inside = place < len(arrive)
        hindered = np.full(len(arrive), _NEVER)
        hindered[place[inside]] = (self._starts(arrive) + self.window_beats - place)[inside]
        return index + np.maximum.accumulate(np.maximum(arrive - index, hindered))

    def course(self, arrive: np.ndarray, halts: Halts) -> Course:
        first = self._first_beats(len(arrive))
        read = passes(self._last_beats(first), self.window_beats, self.fetch.latency)
        return stored(arrive, halts, read, first + self.depth)

    def _starts(self, arrive: np.ndarray) -> np.ndarray:
        """Cycle in which each window begins to be read: the least that satisfies both rules, chunk by chunk.

        Within a chunk the windows that free a place are first taken to cost nothing, then to end when they do in
        the solution so far, until that changes nothing.
        """
        first, beats = self._first_beats(len(arrive)), self.window_beats
        last = self._last_beats(first)
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
        images = np.arange(0, total, image)[:, None, None] - self.sliding.origin
        return (images + down[:, None] + right).reshape(-1)

    def _last_beats(self, first: np.ndarray) -> np.ndarray:
        """The last beat that every window waits for, by its first: none of the next image."""
        image, rows = self.sliding.input.beats, first.reshape(-1, prod(self.sliding.counts))
        ends = np.arange(1, len(rows) + 1)[:, None] * image
        return (np.minimum(rows + self.sliding.span, ends) - 1).reshape(-1)

    @property
    def reaches_over(self) -> bool:
        """Whether windows end behind the image, in the border."""
        return self.sliding.last_first + self.sliding.span > self.sliding.input.beats

    @property
    def fetch(self) -> Fetch:
        """How the ring is read."""
        return Fetch(self.depth, self.sliding.input.beat_bits)

    @property
    def rooms(self) -> int:
        """Registers that say that there is room."""
        return rooms_of(self.depth, self.sliding.input.beat_bits)

    def cost(self) -> Cost:
        bits, pointer = self.sliding.input.beat_bits, (self.depth - 1).bit_length()
        loops = [count for count, _ in self.image_loops[1:] + self.window_loops]
        wrap = 1 if self.depth & (self.depth - 1) else 0
        a_bit = fitted("serial window.bit") + fitted("serial window.wrapped bit") * wrap
        control = Cost(
            lut=pointer * a_bit + fitted("serial window.one"), ff=4 * pointer + 10 + sum(n > 1 for n in loops)
        )
        memory = self.fetch.cost() + Cost(ff=(self.fetch.parts - 1) * (2 * pointer + 2) + self.rooms - 1)
        return memory + skid_cost(bits) + counters_cost(loops) + control + self._border_cost()

    def _border_cost(self) -> Cost:
        s = self.sliding
        if not s.border:
            return Cost()
        clipped = sum(a > 0 or b < n for n, tap in zip(s.counts, s.inside, strict=True) for a, b in tap)
        bits = (s.input.beats - 1).bit_length() * self.reaches_over
        beat = s.input.lanes * s.seen.bits
        walk = fitted("serial window.clipped") * clipped + fitted("serial window.image bit") * bits + 2
        return Cost(
            lut=walk + fitted("serial window.border bit") * beat,
            ff=bits + 4 + groups_of(beat) + self.fetch.registered * (clipped + 2) + clipped,
        )

    def rtl(self) -> wiring.Component:
        return _Circuit(self)


class _Circuit(wiring.Component):
    """The beats from the current window's first on are counted, below zero while that is yet to come: as what there is
    more than a window's span, and what there is room for, so that the signs say whether to go on."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, form: SerialForm) -> None:
        self.form = form
        bits = form.sliding.input.lanes * form.sliding.seen.bits
        taken = stream.Signature(unsigned(form.sliding.input.beat_bits))
        super().__init__({"i": In(taken), "o": Out(stream.Signature(unsigned(bits)))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        form, depth, fetch = self.form, self.form.depth, self.form.fetch
        parts = fetch.parts
        m.submodules.skid = skid = Skid(len(self.o.payload), parts + 2 + fetch.behind)
        connect(m, skid.o, flipped(self.o))
        steps, sliding = strides_to_steps(form.image_loops), form.sliding
        put, move, issue, (*runs, run, goes, leaves) = Signal(), Signal(), Signal(), [skid.run, *skid.runs[: parts + 2]]
        counts = [count for count, _ in form.window_loops]
        taps, ended = counters_and_ends(m, counts, move)
        over = issue & goes & at_ends(m, counts, taps, ended, move)  # not `move`, which has many readers
        # Again, from registers of its own: what is counted would stand behind tables that much else reads.
        left = issue & leaves & at_ends(m, counts, taps, ended, move, apart=True)
        windows, row_ended = counters_and_ends(m, sliding.counts, over)
        ends = row_ended + ended
        last = at_ends(m, [*sliding.counts, *counts], windows + taps, ends, move) if form.reaches_over else Const(0, 1)
        taps = taps[1:] if form.channelwise else taps[:2]
        back = self._back(m, steps, row_ended)
        stored = put, Mux(left, back, 0)
        bits = max(depth, *(abs(step) for step in steps)).bit_length() + 2
        (short,) = below(m, sliding.origin - sliding.span, bits, stored, 1)
        room = below(m, sliding.origin - depth, bits, stored, form.rooms)
        puts = [self.i.valid & room[k * len(room) // parts] for k in range(parts)]
        moves = [issue & each for each in runs]
        start = -sliding.origin % depth
        into = ring_addresses(m, depth, [1], [], puts)
        out_of = ring_addresses(m, depth, strides_to_steps(form.image_loops + form.window_loops), ends, moves, start)
        write, read = list(zip(into, puts, strict=True)), list(zip(out_of, runs, strict=True))
        clipped = _clipped(m, sliding, windows, row_ended, over)
        outside = ~_inside(m, taps, clipped, [run] if fetch.registered else [])
        data, offered = fetch.read(m, self.i.payload, write, read, (issue, run), list(skid.runs[parts + 2 :]))
        m.d.comb += [
            self.i.ready.eq(room[0]),
            put.eq(puts[0]),
            issue.eq(~short | self._whole(m, put, issue & goes & last)),
            move.eq(issue & run),
            skid.issue.eq(offered),
            skid.data.eq(self._seen(m, data, outside, run)),
        ]
        return m

    def _back(self, m: Module, steps: Sequence[int], ends: Sequence[Value]) -> Value:
        """What becomes of the count of stored beats when a window is over: in a register where windows take so many
        clocks that it is right before they end."""
        step = choose_step([-step for step in steps], ends)
        return register(m, step, 1) if self.form.window_beats > 1 else step

    def _whole(self, m: Module, put: Value, done: Value) -> Value:
        """Whether the image being read is stored as a whole, where its windows reach over it."""
        form = self.form
        if not form.reaches_over:
            return Const(0, 1)
        images, some = Signal(range(form.depth // form.sliding.input.beats + 3)), Signal()
        _, (stored,) = counters_and_ends(m, [form.sliding.input.beats], put)
        more = put & stored
        m.d.sync += [images.eq(images + more - done), some.eq(more | (images > 1) | ((images == 1) & ~done))]
        return some

    def _seen(self, m: Module, data: Value, outside: Value, run: Value) -> Value:
        """The beat that was read, or the border where its place is `outside` the image."""
        s = self.form.sliding
        if not s.border:
            return data
        code = int(s.seen.encode(np.array(s.border.value)))
        around = Cat(Const(code, s.seen.bits) for _ in range(s.input.lanes))
        seen = Cat(encode(value, s.seen) for value in elements(data, s.input))
        parts = slices_of(len(seen), groups_of(len(seen)))
        chosen = [Signal(name="outside", attrs=KEPT) for _ in parts]
        with m.If(run):
            m.d.sync += [copy.eq(outside) for copy in chosen]
        return Cat(Mux(copy, around[part], seen[part]) for copy, part in zip(chosen, parts, strict=True))


Clipped = list[dict[int, Value]]  # along rows and columns: of the taps that reach over an edge, by their place


def _clipped(m: Module, s: Sliding, windows: list[Signal], ended: list[Value], over: Value) -> Clipped:
    """Whether each lies in the image in the current window, in registers that move as windows do."""
    found: Clipped = []
    for axis, (window, ranges, count) in enumerate(zip(windows, s.inside, s.counts, strict=True)):
        step = over & Cat(*ended[axis + 1 :]).all()
        found.append({
            k: within(m, window, ended[axis], step, (count, a, b)) if a < b else Const(0, 1)
            for k, (a, b) in enumerate(ranges) if a > 0 or b < count
        })  # fmt: skip
    return found


def _inside(m: Module, taps: list[Signal], clipped: Clipped, again: list[Value]) -> Value:
    """Whether a position of a window lies in the image; what it depends on goes into registers once more where there
    are enables for such `again`."""

    def kept(value: Value) -> Value:
        return held(m, value, again) if again else value

    inside: Value = Const(1, 1)
    for tap, flags in zip(taps, clipped, strict=True):
        place = kept(tap)
        for k, flag in flags.items():
            inside &= (place != k) | kept(flag)
    return inside
