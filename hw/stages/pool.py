"""The largest, smallest or sum of the positions of a window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value, ValueLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from hw.buffer import buffer_cost
from hw.copies import KEPT, slices_of
from hw.dealt import enables_of
from hw.elastic import Datapath, elastic_cost, elastic_schedule
from hw.ending import Ending
from hw.fitted import fitted
from hw.loops import counters, counters_cost
from hw.ports import elements, encode, value_shape
from hw.reduce import (
    Operation,
    accumulate,
    combine,
    lane_groups,
    node_luts,
    reduce_values,
    reduced_format,
    tree,
    tree_bits,
)
from hw.register import register
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class Pool:
    """(..., groups, positions, lanes) -> (..., groups * lanes): `op` over the positions.

    A beat carries one position of a group (lanes), or all of them (positions * lanes), of one group or of several.
    """

    input: StreamType
    op: Operation

    def __post_init__(self) -> None:
        _, positions, lanes = self.input.shape[-3:]
        if self.input.lanes != lanes and self.input.lanes % (positions * lanes):
            raise ValueError(f"Pool takes one position or all of them a beat: {self.input}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        *outer, groups, positions, lanes = self.input.shape
        fmt = reduced_format(self.op, self.input.format, positions)
        made = lanes if self.input.lanes == lanes else self.input.lanes // positions
        return (StreamType((*outer, groups * lanes), fmt, made),)

    @property
    def _beats(self) -> int:
        """Beats a result."""
        return self.input.beats // self.outputs[0].beats

    @property
    def _levels(self) -> int:
        """Clocks through the tree of all positions."""
        return max(1, (self.input.shape[-2] - 1).bit_length())

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        result = reduce_values(self.op, frames[0], axis=-2)
        return (result.reshape(len(result), *self.outputs[0].shape),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        if self._beats == 1:
            return (elastic_schedule(arrive[0], self._levels),)
        return (serve(arrive[0])[self._beats - 1 :: self._beats] + 1,)

    def cost(self) -> Cost:
        out = self.outputs[0]
        if self._beats == 1:
            return _tree_cost(self)
        a_lane = Cost(lut=node_luts(self.op, out.format.bits), ff=out.format.bits)
        return (
            a_lane * out.lanes
            + counters_cost([self._beats])
            + buffer_cost(out.beat_bits)
            + Cost(lut=fitted("pool.one"), ff=2 * self.groups - 1)
        )

    @property
    def groups(self) -> int:
        """Of lanes whose running results share an enable."""
        return lane_groups(self.outputs[0])

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _TreePool(self, then) if self._beats == 1 else _SerialPool(self, then)


def _tree_cost(stage: Pool) -> Cost:
    positions, out = stage.input.shape[-2], stage.outputs[0]
    pairs, registers = tree_bits(stage.op, stage.input.format.bits, positions, out.format.bits)
    luts = fitted("pool.tree.sum" if stage.op == "sum" else "pool.tree.extreme") * sum(pairs)
    nodes = Cost(lut=luts, ff=sum(registers)) * out.lanes
    return nodes + Cost(ff=enables_of(registers * out.lanes) - 1) + elastic_cost(out.beat_bits, stage._levels)


class _SerialPool(Ending[Pool]):
    i: stream.Interface

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, out = self.stage, self.stage.outputs[0]
        groups = slices_of(out.lanes, stage.groups)
        buffer = self.ending(m, runs=len(groups) - 1)
        moves = [self.i.valid & run for run in (buffer.i.ready, *buffer.runs)]
        _, (at_last,) = counters(m, [stage._beats], moves[0])
        results: list[Value] = []
        for group, move in zip(groups, moves, strict=True):
            first = Signal(init=1, attrs=KEPT if len(groups) > 1 else {})
            with m.If(move):
                m.d.sync += first.eq(at_last)
            values = elements(self.i.payload, stage.input)[group]
            results += [_running(m, stage, value, first, move) for value in values]
        m.d.comb += [
            buffer.i.payload.eq(Cat(encode(result, out.format) for result in results)),
            buffer.i.valid.eq(self.i.valid & at_last),
            self.i.ready.eq(buffer.i.ready),
        ]
        return m


def _running(m: Module, stage: Pool, value: Value, first: Value, move: ValueLike) -> Value:
    """The result up to this value, which it keeps for the next."""
    held = Signal(value_shape(stage.outputs[0].format), reset_less=True)
    result = accumulate(stage.op, first, held, value)
    with m.If(move):
        m.d.sync += held.eq(result)
    return result


class _TreePool(Ending[Pool]):
    i: stream.Interface

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tree = self.ending(m, _Tree(self.stage))
        connect(m, flipped(self.i), tree.i)
        return m


class _Tree(Datapath):
    """All positions of a group in a beat: a tree for each lane, registered at every level."""

    def __init__(self, stage: Pool) -> None:
        self.stage = stage
        super().__init__(stage.input.beat_bits, stage.outputs[0].beat_bits, stage._levels)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, out = self.stage, self.stage.outputs[0]
        values = elements(self.x, stage.input)
        positions, lanes = stage.input.shape[-2:]
        groups = [values[k : k + positions * lanes] for k in range(0, len(values), positions * lanes)]
        results = [self._reduce(m, group[lane::lanes]) for group in groups for lane in range(lanes)]
        m.d.comb += self.y.eq(Cat(encode(result, out.format) for result in results))
        return m

    def _reduce(self, m: Module, values: list[Value]) -> Value:
        if len(values) == 1:
            return register(m, values[0])
        return tree(values, partial(combine, self.stage.op), partial(register, m))
