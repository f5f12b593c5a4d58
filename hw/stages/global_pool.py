"""The largest, smallest or sum over a whole image, or over each of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory

from codesign.cost import Cost
from hw.buffer import buffer_cost
from hw.elastic import Datapath
from hw.ending import Ending
from hw.fitted import fitted
from hw.loops import counters, counters_cost
from hw.memory import lutram_sites
from hw.ports import elements, encode
from hw.reduce import Operation, accumulate, node_luts, reduce_values, reduced_format
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class GlobalPool:
    """(..., channels) -> (channels): `op` over all leading positions; the lanes divide the channels.

    `parts` of an image one after the other are pooled each by itself: (parts, channels).
    """

    input: StreamType
    op: Operation
    parts: int = 1

    def __post_init__(self) -> None:
        if self.input.shape[-1] % self.input.lanes:
            raise ValueError(f"GlobalPool's lanes divide the channels: {self.input}")
        if (self.input.size // self.input.shape[-1]) % self.parts:
            raise ValueError(f"GlobalPool of {self.parts} equal parts of {self.input}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        channels = self.input.shape[-1]
        fmt = reduced_format(self.op, self.input.format, self.counts[0])
        shape = (channels,) if self.parts == 1 else (self.parts, channels)
        return (StreamType(shape, fmt, self.input.lanes),)

    @property
    def counts(self) -> tuple[int, int]:
        """Positions of a part, beats a position."""
        groups = self.input.shape[-1] // self.input.lanes
        return self.input.beats // groups // self.parts, groups

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        parts = frames[0].reshape(len(frames[0]), self.parts, self.counts[0], self.input.shape[-1])
        return (reduce_values(self.op, parts, axis=2).reshape(-1, *self.outputs[0].shape),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        beats = serve(arrive[0]).reshape(-1, *self.counts)
        return (beats[:, -1].reshape(-1) + 1,)

    def cost(self) -> Cost:
        out, groups = self.outputs[0], self.counts[1]
        node = Cost(lut=node_luts(self.op, out.format.bits)) * out.lanes
        kept = (
            Cost(ff=out.beat_bits)
            if groups == 1
            else Cost(lut=lutram_sites(groups, out.beat_bits), ff=(groups - 1).bit_length())
        )
        return (
            counters_cost(self.counts) + node + kept + buffer_cost(out.beat_bits) + Cost(lut=fitted("global pool.one"))
        )

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _GlobalPoolCircuit(self, then)


class _GlobalPoolCircuit(Ending[GlobalPool]):
    """Running results, one word a group of channels, read and written in the same clock."""

    i: stream.Interface

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, out = self.stage, self.stage.outputs[0]
        buffer = self.ending(m)
        moves = self.i.valid & self.i.ready
        (position, group), _ = counters(m, stage.counts, moves)
        result = Signal(out.beat_bits)
        held = elements(_word(m, group, stage.counts[1], result, moves), out)
        values = elements(self.i.payload, stage.input)
        m.d.comb += [
            result.eq(
                Cat(
                    encode(accumulate(stage.op, position == 0, kept, x), out.format)
                    for kept, x in zip(held, values, strict=True)
                )
            ),
            buffer.i.payload.eq(result),
            buffer.i.valid.eq(self.i.valid & (position == stage.counts[0] - 1)),
            self.i.ready.eq(buffer.i.ready),
        ]
        return m


def _word(m: Module, address: Signal, depth: int, new: Signal, write: Value) -> Value:
    """A word of a small memory, which `new` replaces when `write`."""
    if depth == 1:
        held = Signal(len(new), reset_less=True)
        with m.If(write):
            m.d.sync += held.eq(new)
        return held
    m.submodules.running = memory = Memory(shape=len(new), depth=depth, init=[], attrs={"ram_style": "distributed"})
    port, read = memory.write_port(), memory.read_port(domain="comb")
    m.d.comb += [port.addr.eq(address), port.data.eq(new), port.en.eq(write), read.addr.eq(address)]
    return read.data
