"""A border of a constant around every image, and gaps of it between the pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from codesign.formats import Format, Int, hull
from codesign.ops.pad import Pad as PadOp
from hw.buffer import Buffer, buffer_cost
from hw.fitted import fitted
from hw.loops import counters_and_ends, counters_cost, with_inner, within
from hw.ports import elements, encode, stage_ports
from hw.stream import StreamType
from hw.timing import serve

Pair = tuple[int, int]


@dataclass(frozen=True)
class Pad:
    """(rows, columns, channels) -> the same with `before` and `after` (rows, columns) of `value` around, and with
    `gaps` rows and columns of it between neighbours."""

    input: StreamType
    before: Pair
    after: Pair
    value: int
    gaps: Pair = (0, 0)

    def __post_init__(self) -> None:
        if len(self.input.shape) != 3 or self.input.shape[2] % self.input.lanes:
            raise ValueError(f"Pad takes (rows, columns, channels), lanes dividing channels: {self.input}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        rows, columns, channels = self.input.shape
        shape = (*self.op.size((rows, columns)), channels)
        return (replace(self.input, shape=shape, format=self._format),)

    @property
    def op(self) -> PadOp:
        return PadOp(self.before, self.after, self.value, self.gaps)

    def _inside(self, beats: np.ndarray) -> np.ndarray:
        """Of values (frames, rows, columns, ...) of the result those that are the image's own."""
        rows, columns, _ = self.input.shape
        return beats[(slice(None), *self.op.inside((rows, columns)))]

    @property
    def _format(self) -> Format:
        value = Int(self.value, self.value)
        return self.input.format if _holds(self.input.format, self.value) else hull(self.input.format, value)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        padded = np.full((len(frames[0]), *self.outputs[0].shape), self.value, np.int64)
        self._inside(padded)[...] = frames[0]
        return (padded,)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """The border's beats wait for nothing but the frame's first input beat."""
        ready = np.zeros((len(arrive[0]) // self.input.beats, *self.counts), np.int64)
        inside = self._inside(ready)
        inside[...] = np.reshape(arrive[0], inside.shape)
        ready[:, 0, 0, 0] = arrive[0][:: self.input.beats]
        return (serve(ready.reshape(-1)) + 1,)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """An input beat is taken when it is written, so the border's beats hold the input up."""
        written = self.schedule(*arrive)[0].reshape(-1, *self.counts) - 1
        return (self._inside(written).reshape(-1),)

    def cost(self) -> Cost:
        around = sum(a + b > 0 for a, b in zip(self.before, self.after, strict=True))
        # The border's value comes by the buffer's reset or merges with its LUTs.
        control = Cost(lut=fitted("pad.one"), ff=1 + sum(n > 1 for n in self.counts) + around)
        every = counters_cost([gap + 1 for gap in self.gaps]) + Cost(lut=sum(gap > 0 for gap in self.gaps))
        return counters_cost(self.counts) + every + buffer_cost(self.outputs[0].beat_bits) + control

    @property
    def counts(self) -> tuple[int, int, int]:
        """Output rows, columns, beats a pixel."""
        rows, columns, channels = self.outputs[0].shape
        return rows, columns, channels // self.input.lanes

    def rtl(self) -> wiring.Component:
        return _PadCircuit(self)


def _holds(fmt: Format, value: int) -> bool:
    return fmt.contains(np.array([value]))


def _own(m: Module, stage: Pad, axis: int, index: Signal, end: Value, step: Value) -> Value:
    """Whether a row (or column) is the image's own; `step`: the index moves on, to 0 from the last, its `end`."""
    count, before, gap = stage.counts[axis], stage.before[axis], stage.gaps[axis]
    inside = within(m, index, end, step, (count, before, count - stage.after[axis]))
    if not gap:
        return inside
    phase = Signal(range(gap + 1), init=-before % (gap + 1))  # 0 where an own row or column may stand
    with m.If(step):
        m.d.sync += phase.eq(Mux(end, -before % (gap + 1), Mux(phase == gap, 0, phase + 1)))
    return inside & (phase == 0)


class _PadCircuit(wiring.Component):
    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: Pad) -> None:
        self.stage = stage
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, out = self.stage, self.stage.outputs[0]
        m.submodules.buffer = buffer = Buffer(out.beat_bits)
        connect(m, buffer.o, flipped(self.o))
        moves = buffer.i.valid & buffer.i.ready
        indices, ends = counters_and_ends(m, stage.counts, moves)
        last = with_inner(ends)
        steps = [moves & inner for inner in last[1:]]
        inside, begun = Signal(), Signal()
        with m.If(moves):
            m.d.sync += begun.eq(~last[0])
        m.d.comb += [
            inside.eq(Cat(*(_own(m, stage, k, indices[k], ends[k], steps[k]) for k in range(2))).all()),
            buffer.i.valid.eq(self.i.valid | (begun & ~inside)),
            self.i.ready.eq(inside & buffer.i.ready),
        ]
        copied = Cat(encode(value, out.format) for value in elements(self.i.payload, stage.input))
        code = int(out.format.encode(np.array(stage.value)))
        border = Cat(Const(code, out.format.bits) for _ in range(out.lanes))
        m.d.comb += buffer.i.payload.eq(Mux(inside, copied, border))
        return m
