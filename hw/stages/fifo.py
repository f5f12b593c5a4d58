"""A queue on an edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from hw.buffer import Buffer, Skid, buffer_cost, skid_cost
from hw.copies import copies, groups_of, slices_of
from hw.fetch import Fetch
from hw.fitted import fitted
from hw.flow import buffer_flow, later, passes, skid_flow, stored
from hw.halts import Course, Flow, Halts, Start, Times
from hw.loops import fill, rounds, told_apart
from hw.memory import Ports, choices_of, in_blocks, in_parts, lutram_sites, parts_of, ram_cost
from hw.ports import stage_ports
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class Fifo:
    """At least `depth` (>= 1) beats of storage.

    `passing`: what is announced to it is offered as it comes where it finds LUT memory empty.
    """

    input: StreamType
    depth: int
    passing: bool = False

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ValueError(f"Fifo of depth {self.depth}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        return (frames[0],)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (serve(arrive[0]) + self._latency,)

    @property
    def _latency(self) -> int:
        return 1 + (self.fetch.latency if self.in_banks else self._in_blocks)

    def flow(self, arrive: Times, leave: Times, start: Start) -> Flow:
        if self.depth <= 2:
            return buffer_flow(arrive[0], leave[0])
        if self.in_banks:
            return skid_flow(self, arrive, leave[0], start)
        kept = self.depth + self._in_blocks  # block memory is read into one more register
        taken = serve(np.maximum(arrive[0], later(leave[0] + 1, kept)))
        return Flow((taken,), (self.offered(taken, leave[0]),))

    def course(self, arrive: Times, halts: Halts) -> Course:
        """Of one in banks."""
        beats = np.arange(len(arrive[0]))
        return stored(arrive[0], halts, passes(beats, 1, self.fetch.latency), beats + self.depth)

    def offered(self, taken: np.ndarray, leave: np.ndarray) -> np.ndarray:
        """When the beats that it takes are offered, those before leaving so."""
        if self._in_blocks:
            return serve(np.maximum(taken + 1, later(leave, 1))) + 1
        return np.maximum(serve(taken) + 1, later(leave + 1, 1))

    @property
    def _in_blocks(self) -> bool:
        return in_blocks(self.depth, self.input.beat_bits)

    @property
    def in_banks(self) -> bool:
        """Whether block RAM is read through a choice among banks, which wants registers behind it."""
        return choices_of(self.depth, self.input.beat_bits) > 0

    @property
    def fetch(self) -> Fetch:
        """How such a memory is read."""
        return Fetch(self.depth, self.input.beat_bits)

    def cost(self) -> Cost:
        bits, pointer = self.input.beat_bits, (self.depth - 1).bit_length()
        if self.depth <= 2:
            return buffer_cost(bits)
        power_of_two = self.depth == 1 << pointer
        a_bit = fitted("fifo.bit") + fitted("fifo.wrapped bit") * (not power_of_two)
        ends = 2 + 2 * told_apart(self.depth)
        control = Cost(lut=a_bit * pointer + fitted("fifo.one"), ff=3 * pointer + power_of_two + ends)
        if self.in_banks:
            return self.fetch.cost() + skid_cost(bits) + control + Cost(ff=self.fetch.parts)
        if self._in_blocks:
            return ram_cost(self.depth, bits) + control + Cost(ff=1)
        parts = parts_of(self.depth, bits, comb=True)
        copied = 2 * (parts - 1) * (pointer + 1) + parts * pointer  # Yosys doubles the address
        return Cost(lut=lutram_sites(self.depth, bits) + fitted("fifo.in luts"), ff=copied) + control

    def rtl(self) -> wiring.Component:
        if self.depth <= 2:
            return Buffer(self.input.beat_bits)
        return _FifoCircuit(self)

    def announced(self) -> wiring.Component:
        """The same where `i.valid` comes a clock before its beat, and only when there will be room; depth from 3 on."""
        return _FifoCircuit(self, announced=True)

    @property
    def announced_latency(self) -> int:
        """Clocks from such a beat to its being offered, where nothing waits."""
        return 0 if self.passing and not self._in_blocks else self._latency

    def announced_offers(self, taken: np.ndarray, leave: np.ndarray) -> np.ndarray:
        """As `offered`, of such beats."""
        if self.announced_latency:
            return self.offered(taken, leave)
        return np.maximum(serve(taken), later(leave + 1, 1))


class _FifoCircuit(wiring.Component):
    """A ring: LUT memory is read where the oldest beat stands, block memory read ahead into its register."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: Fifo, announced: bool = False) -> None:
        self.stage, self.announced = stage, announced
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth, bits = self.stage.depth, self.stage.input.beat_bits
        parts, put, fetch = parts_of(depth, bits, comb=True), Signal(), Signal()
        selects = groups_of(bits) if self.passes else 0
        rooms, somes = fill(m, depth, put, fetch, 0 if self.announced else parts, parts + selects)
        puts = copies(m, self.i.valid, parts) if self.announced else [self.i.valid & room for room in rooms]
        write = list(zip(rounds(m, depth, puts), puts, strict=True))
        read = self._read_in_banks if self.stage.in_banks else self._passed if self.passes else self._read
        m.d.comb += [
            self.i.ready.eq(1 if self.announced else rooms[0]),
            put.eq(puts[0]),
            fetch.eq(read(m, write, somes)),
        ]
        return m

    @property
    def passes(self) -> bool:
        """Whether a beat may be offered as it comes, while it is stored."""
        return self.announced and not self.stage.announced_latency

    def _passed(self, m: Module, write: Ports, somes: Sequence[Value]) -> Value:
        """Drives the output; whether a beat is fetched: of the memory, or the one that comes where that is empty."""
        fetches = [(some | put) & self.o.ready for some, (_, put) in zip(somes, write, strict=False)]
        read = list(zip(rounds(m, self.stage.depth, fetches), fetches, strict=True))
        stored = in_parts(m, self.stage.depth, self.i.payload, write, read, comb=True)
        selects = somes[len(write) :]
        for some, part in zip(selects, slices_of(len(stored), len(selects)), strict=True):
            m.d.comb += self.o.payload[part].eq(Mux(some, stored[part], self.i.payload[part]))
        m.d.comb += self.o.valid.eq(somes[0] | write[0][1])
        return fetches[0]

    def _read(self, m: Module, write: Ports, somes: Sequence[Value]) -> Value:
        """Drives the output; whether a beat is fetched."""
        depth, blocks, o = self.stage.depth, in_blocks(self.stage.depth, self.stage.input.beat_bits), self.o
        takes = o.ready | ~o.valid if blocks else o.ready
        fetches = [some & takes for some in somes]
        read = list(zip(rounds(m, depth, fetches), fetches, strict=True))
        m.d.comb += o.payload.eq(in_parts(m, depth, self.i.payload, write, read, comb=not blocks))
        if blocks:
            with m.If(takes):
                m.d.sync += o.valid.eq(somes[0])
        else:
            m.d.comb += o.valid.eq(somes[0])
        return fetches[0]

    def _read_in_banks(self, m: Module, write: Ports, somes: Sequence[Value]) -> Value:
        """The same through registers that a skid stops."""
        fetch, parts = self.stage.fetch, self.stage.fetch.parts
        m.submodules.skid = skid = Skid(fetch.bits, fetch.enables)
        connect(m, skid.o, flipped(self.o))
        fetches = [some & run for some, run in zip(somes, skid.runs[:parts], strict=True)]
        read = list(zip(rounds(m, fetch.depth, fetches), skid.runs[:parts], strict=True))
        behind, issued = list(skid.runs[parts:]), (somes[0], skid.run)
        data, offered = fetch.read(m, self.i.payload, write, read, issued, behind)
        m.d.comb += [skid.data.eq(data), skid.issue.eq(offered)]
        return somes[0] & skid.run
