"""A border of a constant around every image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from codesign.formats import Format, Int, hull
from hw.buffer import Buffer, buffer_cost
from hw.loops import between, counters, counters_cost
from hw.ports import elements, encode, stage_ports
from hw.stream import StreamType
from hw.timing import serve

Pair = tuple[int, int]


@dataclass(frozen=True)
class Pad:
    """(rows, columns, channels) -> the same with `before` and `after` (rows, columns) of `value` around."""

    input: StreamType
    before: Pair
    after: Pair
    value: int

    def __post_init__(self) -> None:
        if len(self.input.shape) != 3 or self.input.shape[2] % self.input.lanes:
            raise ValueError(f"Pad takes (rows, columns, channels), lanes dividing channels: {self.input}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        rows, columns, channels = self.input.shape
        (top, left), (bottom, right) = self.before, self.after
        shape = (top + rows + bottom, left + columns + right, channels)
        return (replace(self.input, shape=shape, format=self._format),)

    @property
    def _format(self) -> Format:
        value = Int(self.value, self.value)
        return self.input.format if _holds(self.input.format, self.value) else hull(self.input.format, value)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        around = [(0, 0), *zip(self.before, self.after, strict=True), (0, 0)]
        return (np.pad(frames[0].astype(np.int64), around, constant_values=self.value),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """The border's beats wait for nothing but the frame's first input beat."""
        frames = len(arrive[0]) // self.input.beats
        rows, columns, channels = self.outputs[0].shape
        ready = np.zeros((frames, rows, columns, channels // self.input.lanes), np.int64)
        inside = ready[:, self.before[0] : rows - self.after[0], self.before[1] : columns - self.after[1]]
        inside[...] = np.reshape(arrive[0], inside.shape)
        ready[:, 0, 0, 0] = arrive[0][:: self.input.beats]
        return (serve(ready.reshape(-1)) + 1,)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """An input beat is taken when it is written, so the border's beats hold the input up."""
        rows, columns, channels = self.outputs[0].shape
        written = self.schedule(*arrive)[0].reshape(-1, rows, columns, channels // self.input.lanes) - 1
        inside = written[:, self.before[0] : rows - self.after[0], self.before[1] : columns - self.after[1]]
        return (inside.reshape(-1),)

    def cost(self) -> Cost:
        control = Cost(lut=4, ff=1)  # the border's value comes by the buffer's reset or merges with its LUTs
        return counters_cost(self.counts) + buffer_cost(self.outputs[0].beat_bits) + control

    @property
    def counts(self) -> tuple[int, int, int]:
        """Output rows, columns, beats a pixel."""
        rows, columns, channels = self.outputs[0].shape
        return rows, columns, channels // self.input.lanes

    def rtl(self) -> wiring.Component:
        return _PadCircuit(self)


def _holds(fmt: Format, value: int) -> bool:
    return fmt.contains(np.array([value]))


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
        rows, columns, _ = stage.counts
        moves = buffer.i.valid & buffer.i.ready
        (row, column, _), last = counters(m, stage.counts, moves)
        inside, begun = Signal(), Signal()
        with m.If(moves):
            m.d.sync += begun.eq(~last[0])
        m.d.comb += [
            inside.eq(
                between(row, stage.before[0], rows - stage.after[0])
                & between(column, stage.before[1], columns - stage.after[1])
            ),
            buffer.i.valid.eq(self.i.valid | (begun & ~inside)),
            self.i.ready.eq(inside & buffer.i.ready),
        ]
        copied = Cat(encode(value, out.format) for value in elements(self.i.payload, stage.input))
        code = int(out.format.encode(np.array(stage.value)))
        border = Cat(Const(code, out.format.bits) for _ in range(out.lanes))
        m.d.comb += buffer.i.payload.eq(Mux(inside, copied, border))
        return m
