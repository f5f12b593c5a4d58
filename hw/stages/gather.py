"""Blocks of a frame in any order, some of them repeated or left out: a ring memory of those that are still wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from hw.buffer import Skid, skid_cost
from hw.fetch import Fetch
from hw.fitted import fitted
from hw.flow import passes, stored
from hw.halts import Course, Halts, Times
from hw.loops import below, counters_and_ends, counters_cost, ring_addresses, ring_walks, soon_at_ends, told
from hw.memory import rooms_of
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
    def passed(self) -> list[int]:
        """And by how many blocks the pass that follows reads further on."""
        return np.diff([*self.picks.blocks, self._total + self.picks.blocks[0]]).tolist()

    @property
    def fetch(self) -> Fetch:
        """How the memory is read."""
        return Fetch(self.depth, self.input.beat_bits)

    @property
    def rooms(self) -> int:
        """Registers that say that there is room."""
        return rooms_of(self.depth, self.input.beat_bits)

    @property
    def sign_bits(self) -> int:
        """Of the counts whose signs say that there is a block, or room."""
        return (2 * self.window + self.skipped + max(self.freed) + 1).bit_length() + 1

    @property
    def _told_bits(self) -> int:
        """Registers behind tables."""
        steps = [np.array(own) % self.depth for own, early in zip(self.steps, self.early, strict=True) if early]
        power_of_two = self.depth & (self.depth - 1) == 0
        walks = _columns([s - back for s in steps for back in ((0,) if power_of_two else (0, self.depth))])
        changes = _columns([-np.array(own) for own in (self.passed, self.freed)]) if self.early[0] else set()
        walks |= changes if self.settled else set()
        return sum(len(set(column)) > 1 for column in walks) + sum(any(column) for column in changes)

    @property
    def settled(self) -> bool:
        """Whether a pass has been the same for two clocks when it comes to its last move: not where the first move
        already leads there."""
        return prod(self.counts[1:]) > 2

    @property
    def start(self) -> int:
        """The address that is read first."""
        return (self.picks.blocks[0] * self.picks.block + int(self.picks.beats()[0])) % self.depth

    @property
    def early(self) -> list[bool]:
        """Of every level whether it advances at least two clocks after its index has changed."""
        return [int(np.prod(self.counts[k + 1 :])) > 1 for k in range(len(self.counts))]

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
        return ((np.array(starts, np.int64)[:, None] + np.arange(reads) + self.fetch.latency).reshape(-1),)

    def course(self, arrive: Times, halts: Halts) -> Course:
        """A block enters when the pass has ended that makes room for it."""
        block, frames = self.picks.block, len(arrive[0]) // self.input.beats
        wanted = np.arange(frames)[:, None] * self._total + np.array(self.picks.blocks)
        last = wanted.reshape(-1) * block + block - 1
        freed = np.tile(self.freed, frames).cumsum()
        into = np.append(0, freed[:-1]) + self.window + self.skipped  # the first block that each pass makes room for
        place = np.where(np.diff(freed, prepend=0) > 0, into * block, len(arrive[0]))
        return stored(arrive[0], halts, passes(last, len(self.picks.beats()), self.fetch.latency), place)

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
        walk = fitted("gather.bit") * pointer + fitted("gather.table") * sum(map(_table_luts, tables))
        parts = self.fetch.parts
        apart = (parts > 1) * parts + self.rooms - 1
        registers = 2 * pointer * parts + apart + 2 * self.sign_bits + self._told_bits + sum(n > 1 for n in counts)
        control = Cost(lut=walk + fitted("gather.one"), ff=registers)
        return self.fetch.cost() + skid_cost(bits) + counters_cost(counts) + control

    def rtl(self) -> wiring.Component:
        return _GatherCircuit(self)


def _columns(tables: Sequence[np.ndarray]) -> set[tuple[int, ...]]:
    """The different bits of tables, entry by entry, the sign included."""
    bits = max((int(np.abs(own).max()).bit_length() for own in tables), default=0) + 1
    return {tuple((own >> bit & 1).tolist()) for own in tables for bit in range(bits)}


def _table_luts(values: list[int]) -> float:
    """Of a table: comparisons where it changes seldom, else entries; a constant is free."""
    changes = int(np.count_nonzero(np.diff(values)))
    return 2 + min(changes, 8 * table_luts(len(values))) if changes else 0


class _GatherCircuit(wiring.Component):
    """The blocks from the oldest wanted one to the last one stored are counted, below zero while that is yet to come:
    as what there is more than a pass reads, and what there is room for, so that the signs say whether to go on."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: Gather) -> None:
        self.stage = stage
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, depth, fetch = self.stage, self.stage.depth, self.stage.fetch
        m.submodules.skid = skid = Skid(len(self.i.payload), fetch.enables)
        connect(m, skid.o, flipped(self.o))
        put, move, parts = Signal(), Signal(), fetch.parts
        runs = list(skid.runs[:parts]) or [skid.run]
        _, (stored,) = counters_and_ends(m, [stage.picks.block], put)
        indices, (_, *ends) = counters_and_ends(m, stage.counts, move)
        soon = soon_at_ends(stage.counts[1:], indices[1:], ends)
        (short,), rooms = self._signs(m, put & stored, move, soon, indices[0])
        puts = [self.i.valid & rooms[k * len(rooms) // parts] for k in range(parts)]
        moves = [~short & run for run in runs]
        into = ring_addresses(m, depth, [1], [], puts)
        steps = list(zip(indices, stage.steps, stage.early, strict=True))
        out_of = ring_walks(m, depth, steps, ends, moves, stage.start)
        write, read = list(zip(into, puts, strict=True)), list(zip(out_of, runs, strict=True))
        data, offered = fetch.read(m, self.i.payload, write, read, (~short, skid.run), list(skid.runs[parts:]))
        m.d.comb += [
            self.i.ready.eq(rooms[0]),
            put.eq(puts[0]),
            move.eq(~short & skid.run),
            skid.issue.eq(offered),
            skid.data.eq(data),
        ]
        return m

    def _signs(
        self, m: Module, stored: Value, move: Value, soon: Value, index: Signal
    ) -> tuple[list[Value], list[Value]]:
        """Whether the block that a pass reads is yet to come; whether there is room for another, so many times.

        soon: a move leads to the last one of a pass.
        """
        stage = self.stage
        begins = -stage.skipped - stage.ahead[0] - 1, -stage.skipped - stage.window
        tables = [told(m, index, [-n for n in own], stage.settled) for own in (stage.passed, stage.freed)]
        changes = [_behind(m, value, soon, move) for value in tables] if stage.early[0] else tables
        counts = [(stored, Mux(move, change, 0)) for change in changes]
        times = 1, stage.rooms
        short, room = (below(m, b, stage.sign_bits, c, n) for b, c, n in zip(begins, counts, times, strict=True))
        return short, room


def _behind(m: Module, value: Value, soon: Value, move: Value) -> Signal:
    """A value at the last move of a pass, where it no longer changes, else 0."""
    change = Signal(value.shape())
    with m.If(move):
        m.d.sync += change.eq(Mux(soon, value, 0))
    return change
