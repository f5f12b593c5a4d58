"""Blocks of a frame in any order, some of them repeated or left out: a ring memory of those that are still wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from hw.buffer import Skid, skid_cost
from hw.fitted import fitted
from hw.loops import counters, counters_cost, ring_address, ring_walk, table
from hw.memory import ram, ram_cost
from hw.moves import Picks
from hw.ports import stage_ports
from hw.rom import table_luts
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class Gather:
    """A frame of the input -> a frame of `shape`, as `picks` says: a pass over a block for each of its `blocks`."""

    input: StreamType
    shape: tuple[int, ...]
    picks: Picks

    def __post_init__(self) -> None:
        beats, blocks = self.picks.beats(), self.picks.blocks
        whole = self.input.beats % self.picks.block == 0 and beats.min() >= 0 and beats.max() < self.picks.block
        if not whole or min(blocks) < 0 or max(blocks) >= self._total:
            raise ValueError(f"Gather of {self.input} by {self.picks}")
        if len(blocks) * len(beats) != self.outputs[0].beats:
            raise ValueError(f"Gather of {self.input} makes {len(blocks) * len(beats)} beats, not {self.outputs[0]}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return (StreamType(self.shape, self.input.format, self.input.lanes),)

    @property
    def _total(self) -> int:
        """Blocks of a frame."""
        return self.input.beats // self.picks.block

    @property
    def window(self) -> int:
        """Blocks of the memory."""
        return self.picks.window(self._total)

    @property
    def depth(self) -> int:
        """Beats of the memory."""
        return self.window * self.picks.block

    @property
    def skipped(self) -> int:
        """Blocks at the beginning of a frame that nobody wants."""
        return min(self.picks.blocks)

    @property
    def ahead(self) -> list[int]:
        """How many blocks each pass reads beyond the oldest that is held."""
        return (np.array(self.picks.blocks) - self.picks.oldest(self._total)[:-1]).tolist()

    @property
    def freed(self) -> list[int]:
        """How many blocks nobody wants any more after each pass."""
        return np.diff(self.picks.oldest(self._total)).tolist()

    @property
    def counts(self) -> list[int]:
        """Passes, then the beats of every level."""
        return [len(self.picks.blocks), *map(len, self.picks.levels)]

    @property
    def steps(self) -> list[list[int]]:
        """For every level how the address moves when it advances from each index and all inner ones restart."""
        blocks = [*self.picks.blocks, self._total + self.picks.blocks[0]]
        levels = [[b * self.picks.block for b in blocks], *map(list, self.picks.levels)]
        spans = [own[-1] - own[0] for own in levels]
        moves = [(np.diff(own) - sum(spans[k + 1 :])).tolist() for k, own in enumerate(levels)]
        return [own or [0] for own in moves]

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        blocks = frames[0].reshape(len(frames[0]), self._total, self.picks.block, self.input.lanes)
        chosen = blocks[:, list(self.picks.blocks)][:, :, self.picks.beats()]
        return (chosen.reshape(len(blocks), *self.shape),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """A pass begins when its block is stored and the one before has ended, which makes room for more."""
        rows = arrive[0].reshape(-1, self.picks.block)
        reads, end, starts = len(self.picks.beats()), 0, []
        stored: list[int] = []  # cycle after the last beat of each block
        room = [0] * (self.window + self.skipped)  # cycle from which each block finds a place
        for frame in range(len(rows) // self._total):
            for block, freed in zip(self.picks.blocks, self.freed, strict=True):
                while len(stored) <= frame * self._total + block:
                    begin = max(stored[-1] if stored else 0, room[len(stored)])
                    stored.append(int(serve(np.maximum(rows[len(stored)], begin))[-1]) + 1)
                starts.append(max(stored[frame * self._total + block], end))
                end = starts[-1] + reads
                room += [end] * freed
        return ((np.array(starts, np.int64)[:, None] + np.arange(reads) + 1).reshape(-1),)

    def cost(self) -> Cost:
        bits, pointer, tables = (
            self.input.beat_bits,
            (self.depth - 1).bit_length(),
            [*self.steps, self.ahead, self.freed],
        )
        counts = [self.picks.block, *self.counts]
        in_order = all(len(set(own)) == 1 for own in (tables[0], self.ahead, self.freed))
        if in_order:
            counts.pop(1)  # nobody asks which pass it is
        held = (self.window + 1).bit_length() + (0 if in_order else 4)
        walk = fitted("gather.bit") * pointer + fitted("gather.table") * sum(map(_table_luts, tables))
        control = Cost(lut=walk + fitted("gather.one"), ff=2 * pointer + 3 + held)
        return ram_cost(self.depth, bits) + skid_cost(bits) + counters_cost(counts) + control

    def rtl(self) -> wiring.Component:
        return _GatherCircuit(self)


def _table_luts(values: list[int]) -> float:
    """Of a table: comparisons where it changes seldom, else entries; a constant is free."""
    changes = int(np.count_nonzero(np.diff(values)))
    return 2 + min(changes, 8 * table_luts(len(values))) if changes else 0


class _GatherCircuit(wiring.Component):
    """`held` counts the blocks from the oldest wanted one to the last one stored; below 0 while that is yet to come."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: Gather) -> None:
        self.stage = stage
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, depth = self.stage, self.stage.depth
        m.submodules.memory = memory = ram(depth, len(self.i.payload))
        m.submodules.skid = skid = Skid(len(self.i.payload))
        connect(m, skid.o, flipped(self.o))
        least = -max(stage.skipped, *stage.freed)
        held = Signal(range(least, stage.window + 1), init=-stage.skipped)
        put, move, ends = Signal(), Signal(), Signal()
        _, stored = counters(m, [stage.picks.block], put)
        indices, last = counters(m, stage.counts, move)
        write, read = memory.write_port(), memory.read_port()
        start = (stage.picks.blocks[0] * stage.picks.block + int(stage.picks.beats()[0])) % depth
        steps = list(zip(indices, stage.steps, strict=True))
        m.d.comb += [
            self.i.ready.eq(held != stage.window),
            put.eq(self.i.valid & self.i.ready),
            write.en.eq(put),
            write.addr.eq(ring_address(m, depth, [1], [], put)),
            write.data.eq(self.i.payload),
            skid.issue.eq(held > table(indices[0], stage.ahead)),
            move.eq(skid.issue & skid.run),
            ends.eq(move & (last[1] if len(last) > 1 else Const(1, 1))),
            read.en.eq(skid.run),
            read.addr.eq(ring_walk(m, depth, steps, last[1:], move, start)),
            skid.data.eq(read.data),
        ]
        freed = table(indices[0], stage.freed)
        m.d.sync += held.eq(held + (put & stored[0]) - Mux(ends, freed, 0))
        return m
