"""The largest, smallest or sum over a whole image, or over each of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory

from codesign.cost import Cost
from hw.buffer import buffer_cost
from hw.copies import KEPT, slices_of
from hw.elastic import Datapath
from hw.ending import Ending
from hw.fitted import fitted
from hw.loops import counters_and_ends, counters_cost, increased
from hw.memory import lutram_sites
from hw.ports import element, elements, encode
from hw.reduce import Operation, accumulate, lane_groups, node_luts, reduce_values, reduced_format
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
        out, groups, shares = self.outputs[0], self.counts[1], self.shares
        index = (groups - 1).bit_length()
        node = Cost(lut=node_luts(self.op, out.format.bits)) * out.lanes
        kept = (
            Cost(ff=out.beat_bits) if groups == 1 else Cost(lut=lutram_sites(groups, out.beat_bits), ff=index * shares)
        )
        copied = Cost(ff=2 * shares + sum(n > 1 for n in self.counts) - 1)
        return (
            counters_cost(self.counts)
            + node
            + kept
            + buffer_cost(out.beat_bits)
            + copied
            + Cost(lut=fitted("global pool.one"))
        )

    @property
    def shares(self) -> int:
        """Of lanes whose running results share an enable and an index."""
        return lane_groups(self.outputs[0])

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _GlobalPoolCircuit(self, then)


class _GlobalPoolCircuit(Ending[GlobalPool]):
    """Running results, one word a group of channels, read and written in the same clock."""

    i: stream.Interface

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage = self.stage
        buffer = self.ending(m, runs=stage.shares - 1)
        moves = [self.i.valid & run for run in (buffer.i.ready, *buffer.runs)]
        (_, index), (at_last, ended) = counters_and_ends(m, stage.counts, moves[0])
        values, results = elements(self.i.payload, stage.input), list[Value]()
        for k, lanes in enumerate(slices_of(stage.input.lanes, stage.shares)):
            place = _follower(m, index, ended, moves[k]) if k else index
            results.append(self._running(m, place, values[lanes], moves[k], at_last, ended))
        m.d.comb += [
            buffer.i.payload.eq(Cat(results)),
            buffer.i.valid.eq(self.i.valid & at_last),
            self.i.ready.eq(buffer.i.ready),
        ]
        return m

    def _running(
        self, m: Module, place: Signal, values: Sequence[Value], move: Value, at_last: Value, ended: Value
    ) -> Value:
        """The results of some lanes up to these values, which they keep for the next."""
        fmt, first = self.stage.outputs[0].format, Signal(init=1, attrs=KEPT if self.stage.shares > 1 else {})
        with m.If(move & ended):
            m.d.sync += first.eq(at_last)
        result = Signal(fmt.bits * len(values))
        word = _word(m, place, self.stage.counts[1], result, move)
        kept = [element(word.word_select(k, fmt.bits), fmt) for k in range(len(values))]
        op = self.stage.op
        m.d.comb += result.eq(Cat(encode(accumulate(op, first, h, x), fmt) for h, x in zip(kept, values, strict=True)))
        return result


def _follower(m: Module, index: Signal, ended: Value, move: Value) -> Signal:
    """Another register of an index."""
    copy = Signal.like(index, name="index", attrs=KEPT)
    with m.If(move):
        m.d.sync += copy.eq(Mux(ended, 0, increased(index)))
    return copy


def _word(m: Module, address: Signal, depth: int, new: Signal, write: Value) -> Value:
    """A word of a small memory, which `new` replaces when `write`."""
    if depth == 1:
        held = Signal(len(new), reset_less=True)
        with m.If(write):
            m.d.sync += held.eq(new)
        return held
    memory = Memory(shape=len(new), depth=depth, init=[], attrs={"ram_style": "distributed"})
    m.submodules += memory
    port, read = memory.write_port(), memory.read_port(domain="comb")
    m.d.comb += [port.addr.eq(address), port.data.eq(new), port.en.eq(write), read.addr.eq(address)]
    return read.data
