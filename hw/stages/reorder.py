"""Elements in another order, some of them left out or repeated: a memory of two blocks, read by nested loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from hw.buffer import Skid, skid_cost
from hw.fetch import Fetch
from hw.fitted import fitted
from hw.flow import passes, stored
from hw.halts import Course, Halts, Times
from hw.loops import at_ends, counters_and_ends, counters_cost, fill, ring_addresses, strides_to_steps
from hw.moves import Access
from hw.ports import stage_ports
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class Reorder:
    """A frame of the input -> a frame of `shape`, as `access` says; one block is read while the next one comes."""

    input: StreamType
    shape: tuple[int, ...]
    access: Access

    def __post_init__(self) -> None:
        beats, blocks = self.access.beats(), self.input.beats // self.access.block
        if self.input.beats % self.access.block or beats.min() < 0 or beats.max() >= self.access.block:
            raise ValueError(f"Reorder of {self.input} by {self.access}")
        if blocks * len(beats) != self.outputs[0].beats:
            raise ValueError(f"Reorder of {self.input} makes {blocks * len(beats)} beats, not {self.outputs[0]}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return (StreamType(self.shape, self.input.format, self.input.lanes),)

    @property
    def loops(self) -> list[tuple[int, int]]:
        """(count, distance in the memory) of all loops; the outermost, over blocks, never ends."""
        return [(1, self.access.block), *self.access.loops]

    @property
    def depth(self) -> int:
        """Beats of the memory."""
        return 2 * self.access.block

    @property
    def fetch(self) -> Fetch:
        """How the memory is read."""
        return Fetch(self.depth, self.input.beat_bits)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        blocks = frames[0].reshape(len(frames[0]), -1, self.access.block, self.input.lanes)
        return (blocks[:, :, self.access.beats()].reshape(len(blocks), *self.shape),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """A block is read when its last beat is stored and the one before is read.

        Waiting for a free place costs nothing: the block before, or the one that leaves its place, ends later.
        """
        block, reads = self.access.block, self.access.reads
        ready = (arrive[0].reshape(-1, block) - np.arange(block)).max(axis=1)
        starts = serve(serve(ready, block) + block, reads)
        return ((starts[:, None] + np.arange(reads) + self.fetch.latency).reshape(-1),)

    def course(self, arrive: Times, halts: Halts) -> Course:
        """A block enters when the one before the last one has been read."""
        block, beats = self.access.block, len(arrive[0])
        last = np.arange(block, beats + 1, block) - 1
        return stored(arrive[0], halts, passes(last, self.access.reads, self.fetch.latency), last + 1 + block)

    def cost(self) -> Cost:
        bits, pointer = self.input.beat_bits, (self.depth - 1).bit_length()
        wrap = 1 if self.depth & (self.depth - 1) else 0
        a_bit = fitted("reorder.bit") + fitted("reorder.wrapped bit") * wrap
        counts = [self.access.block, *(count for count, _ in self.access.loops)]
        control = Cost(lut=pointer * a_bit + fitted("reorder.one"), ff=2 * pointer + 4 + sum(n > 1 for n in counts))
        control += Cost(ff=(2 * pointer + 3) * (self.fetch.parts - 1))
        return self.fetch.cost() + skid_cost(bits) + counters_cost(counts) + control

    def rtl(self) -> wiring.Component:
        return _ReorderCircuit(self)


class _ReorderCircuit(wiring.Component):
    """Blocks that are stored and not yet read are counted; each part of the memory is moved by registers of its own."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: Reorder) -> None:
        self.stage = stage
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, depth, fetch = self.stage, self.stage.depth, self.stage.fetch
        m.submodules.skid = skid = Skid(len(self.i.payload), fetch.enables)
        connect(m, skid.o, flipped(self.o))
        put, move, parts = Signal(), Signal(), fetch.parts
        runs = list(skid.runs[:parts]) or [skid.run]
        _, (stored,) = counters_and_ends(m, [stage.access.block], put)
        counts = [count for count, _ in stage.access.loops]
        indices, ends = counters_and_ends(m, counts, move)
        rooms, somes = fill(m, 2, put & stored, move & at_ends(m, counts, indices, ends, move), parts, parts)
        puts = [self.i.valid & room for room in rooms]
        moves = [some & run for some, run in zip(somes, runs, strict=True)]
        into = ring_addresses(m, depth, [1], [], puts)
        out_of = ring_addresses(m, depth, strides_to_steps(stage.loops), ends, moves, stage.access.start)
        write, read = list(zip(into, puts, strict=True)), list(zip(out_of, runs, strict=True))
        data, offered = fetch.read(m, self.i.payload, write, read, (somes[0], skid.run), list(skid.runs[parts:]))
        m.d.comb += [
            self.i.ready.eq(rooms[0]),
            put.eq(puts[0]),
            move.eq(somes[0] & skid.run),
            skid.issue.eq(offered),
            skid.data.eq(data),
        ]
        return m
