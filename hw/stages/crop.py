"""A part of every frame: the beats outside are taken and dropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Const, Module
from amaranth.lib import stream, wiring

from codesign.cost import Cost
from hw.buffer import buffer_cost
from hw.elastic import Datapath
from hw.ending import Ending
from hw.fitted import fitted
from hw.flow import sifted
from hw.halts import Course, Halts, Times
from hw.loops import counters_and_ends, counters_cost, with_inner, within
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class Crop:
    """Along axis k, `sizes[k]` elements from `starts[k]` on; the lanes divide both along the last axis."""

    input: StreamType
    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        inside = all(0 <= a < a + n <= m for a, n, m in zip(self.starts, self.sizes, self.input.shape, strict=True))
        if not inside or any(n % self.input.lanes for n in (self.starts[-1], self.sizes[-1], self.input.shape[-1])):
            raise ValueError(f"Crop of {self.input} to {self.sizes} from {self.starts}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return (StreamType(self.sizes, self.input.format, self.input.lanes),)

    @property
    def ranges(self) -> list[tuple[int, int, int]]:
        """(length, first, behind the last) of every axis, the last one in beats."""
        lanes = self.input.lanes
        axes = list(zip(self.input.shape, self.starts, self.sizes, strict=True))
        *outer, (length, start, size) = axes
        return [*((n, a, a + m) for n, a, m in outer), (length // lanes, start // lanes, (start + size) // lanes)]

    def _inside(self, values: np.ndarray) -> np.ndarray:
        """Values (frames, *axes in beats, ...) -> those that stay."""
        return values[(slice(None), *(slice(a, b) for _, a, b in self.ranges))]

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        beats = frames[0].reshape(len(frames[0]), *(n for n, _, _ in self.ranges), self.input.lanes)
        return (self._inside(beats).reshape(len(beats), *self.sizes),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        taken = serve(arrive[0]).reshape(-1, *(n for n, _, _ in self.ranges))
        return (self._inside(taken).reshape(-1) + 1,)

    def course(self, arrive: Times, halts: Halts) -> Course:
        beats = np.arange(len(arrive[0])).reshape(-1, *(n for n, _, _ in self.ranges))
        return sifted(arrive[0], self._inside(beats).reshape(-1), halts)

    def cost(self) -> Cost:
        return (
            buffer_cost(self.input.beat_bits)
            + counters_cost([n for n, _, _ in self.ranges])
            + Cost(lut=fitted("crop.one"), ff=sum((n > 1) + (b - a < n) for n, a, b in self.ranges))
        )

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _CropCircuit(self, then)


class _CropCircuit(Ending[Crop]):
    i: stream.Interface

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ranges = self.stage.ranges
        buffer = self.ending(m)
        move = self.i.valid & self.i.ready
        indices, ends = counters_and_ends(m, [n for n, _, _ in ranges], move)
        steps = [move & inner for inner in [*with_inner(ends)[1:], Const(1, 1)]]
        inside = Cat(*(within(m, *axis) for axis in zip(indices, ends, steps, ranges, strict=True))).all()
        m.d.comb += [
            buffer.i.payload.eq(self.i.payload),
            buffer.i.valid.eq(self.i.valid & inside),
            self.i.ready.eq(buffer.i.ready | ~inside),
        ]
        return m
