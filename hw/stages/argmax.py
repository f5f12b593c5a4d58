"""Which element is the largest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from codesign.formats import Int
from hw.buffer import Buffer, buffer_cost
from hw.dealt import Dealt
from hw.elastic import Datapath, elastic_schedule
from hw.fitted import fitted
from hw.loops import counters, counters_cost
from hw.ports import element, elements, encode, stage_ports, value_shape
from hw.reduce import tree
from hw.register import register
from hw.stream import StreamType

Candidate = tuple[Value, Value]  # an element, and its index


@dataclass(frozen=True)
class ArgMax:
    """(..., C) -> (..., 1): index of the first largest (or smallest) of the last axis; lanes divide C."""

    input: StreamType
    largest: bool = True

    def __post_init__(self) -> None:
        if self.input.shape[-1] % self.input.lanes:
            raise ValueError(f"ArgMax's lanes divide the last axis: {self.input}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        *outer, choices = self.input.shape
        return (StreamType((*outer, 1), Int(0, choices - 1), 1),)

    @property
    def _beats(self) -> int:
        """Beats a result."""
        return self.input.shape[-1] // self.input.lanes

    @property
    def _levels(self) -> int:
        """Clocks through the tree that finds the best lane of a beat."""
        return (self.input.lanes - 1).bit_length()

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        best = (np.argmax if self.largest else np.argmin)(frames[0], axis=-1)
        return (best[..., None].astype(np.int64),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        ready = elastic_schedule(arrive[0], self._levels)
        return (ready[self._beats - 1 :: self._beats] + 1,)

    def cost(self) -> Cost:
        value, index = self.input.format.bits, self.outputs[0].format.bits
        best_lanes = Cost(ff=self._levels)
        for level in range(self._levels):
            taken, given = (-(-self.input.lanes // (1 << k)) for k in (level, level + 1))
            pair = Cost(lut=fitted("argmax.bit") * value + fitted("argmax.level") * (level + 1))
            best_lanes += pair * (taken // 2) + Cost(ff=value + level + 1) * given
        if self._beats == 1 and self._levels:  # of the last node, only the index is used
            best_lanes += Cost(ff=-value)
        best_beat = Cost(lut=fitted("argmax.bit") * value + fitted("argmax.index bit") * index, ff=value + index) * (
            self._beats > 1
        )
        return best_lanes + best_beat + counters_cost([self._beats]) + buffer_cost(index)

    def rtl(self) -> wiring.Component:
        return _ArgMaxCircuit(self)

    def better(self, a: Candidate, b: Candidate) -> Candidate:
        """Of two candidates, `a` the earlier, the one to keep."""
        wins = b[0] > a[0] if self.largest else b[0] < a[0]
        return Mux(wins, b[0], a[0]), Mux(wins, b[1], a[1])


class _ArgMaxCircuit(wiring.Component):
    """The best lane of every beat by a tree, then the best beat by a register; all stands still while the buffer behind
    it is full."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: ArgMax) -> None:
        self.stage = stage
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, out = self.stage, self.stage.outputs[0]
        lanes = Dealt(path := _BestLane(stage), platform)
        m.submodules.buffer = buffer = Buffer(out.beat_bits, runs=lanes.enables - 1)
        connect(m, buffer.o, flipped(self.o))
        m.submodules.lanes = lanes.enabled([buffer.i.ready, *buffer.runs])
        m.d.comb += path.x.eq(self.i.payload)
        best, there = path.y, self._on_way(m, buffer.i.ready)
        moves = there & buffer.i.ready
        (beat,), (at_last,) = counters(m, [stage._beats], moves)
        bits = stage.input.format.bits
        index = (beat * stage.input.lanes + best[bits:])[: out.beat_bits]
        index = self._first_best(m, element(best[:bits], stage.input.format), index, beat == 0, moves)
        m.d.comb += [
            buffer.i.payload.eq(index),
            buffer.i.valid.eq(there & at_last),
            self.i.ready.eq(buffer.i.ready),
        ]
        return m

    def _on_way(self, m: Module, run: Value) -> Value:
        """Whether the tree's result is that of a beat."""
        flight = Signal(self.stage._levels)
        on_way = Cat(self.i.valid, flight)
        with m.If(run):
            m.d.sync += flight.eq(on_way)
        return on_way[-1]

    def _first_best(self, m: Module, value: Value, index: Value, first: Value, moves: Value) -> Value:
        """The index of the best up to this beat."""
        held = Signal(value_shape(self.stage.input.format), reset_less=True)
        held_index = Signal(len(index), reset_less=True)
        kept = self.stage.better((held, held_index), (value, index))
        best = [Mux(first, new, old) for new, old in zip((value, index), kept, strict=True)]
        with m.If(moves):
            m.d.sync += [held.eq(best[0]), held_index.eq(best[1])]
        return best[1]


class _BestLane(Datapath):
    def __init__(self, stage: ArgMax) -> None:
        self.stage = stage
        super().__init__(stage.input.beat_bits, stage.input.format.bits + stage._levels, stage._levels)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage = self.stage
        values = elements(self.x, stage.input)
        candidates = [(v, Const(k, stage._levels)) for k, v in enumerate(values)]
        value, lane = tree(candidates, stage.better, partial(_registered, m))
        m.d.comb += self.y.eq(Cat(encode(value, stage.input.format), lane))
        return m


def _registered(m: Module, candidate: Candidate) -> Candidate:
    return register(m, candidate[0]), register(m, candidate[1])
