"""A queue on an edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring

from codesign.cost import Cost
from hw.buffer import Buffer, buffer_cost
from hw.fitted import fitted
from hw.loops import decreased, increased
from hw.memory import in_blocks, lutram_sites, ram, ram_cost
from hw.ports import stage_ports
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class Fifo:
    """At least `depth` (>= 1) beats of storage."""

    input: StreamType
    depth: int

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
        return (serve(arrive[0]) + (2 if self._in_blocks else 1),)

    @property
    def _in_blocks(self) -> bool:
        return in_blocks(self.depth, self.input.beat_bits)

    def cost(self) -> Cost:
        bits, pointer = self.input.beat_bits, (self.depth - 1).bit_length()
        if self.depth <= 2:
            return buffer_cost(bits)
        power_of_two = self.depth == 1 << pointer
        a_bit = fitted("fifo.bit") + fitted("fifo.wrapped bit") * (not power_of_two)
        control = Cost(lut=a_bit * pointer + fitted("fifo.one"), ff=3 * pointer + power_of_two + 2)
        if self._in_blocks:
            return ram_cost(self.depth, bits) + control + Cost(ff=1)
        in_luts = Cost(
            lut=lutram_sites(self.depth, bits) + fitted("fifo.in luts"), ff=pointer
        )  # Yosys doubles the address
        return in_luts + control

    def rtl(self) -> wiring.Component:
        if self.depth <= 2:
            return Buffer(self.input.beat_bits)
        return _FifoCircuit(self)


class _FifoCircuit(wiring.Component):
    """A ring: LUT memory is read where the oldest beat stands, block memory read ahead into its register."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, stage: Fifo) -> None:
        self.stage = stage
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth, bits = self.stage.depth, self.stage.input.beat_bits
        put, fetch = Signal(), Signal()
        room, some = _fill(m, depth, put, fetch)
        m.submodules.memory = memory = ram(depth, bits)
        write = memory.write_port()
        m.d.comb += [
            self.i.ready.eq(room),
            put.eq(self.i.valid & room),
            write.en.eq(put),
            write.addr.eq(_ring_pointer(m, depth, put)),
            write.data.eq(self.i.payload),
        ]
        oldest = _ring_pointer(m, depth, fetch)
        if in_blocks(depth, bits):
            read = memory.read_port()
            m.d.comb += [fetch.eq(some & (self.o.ready | ~self.o.valid)), read.en.eq(fetch)]
            with m.If(self.o.ready | ~self.o.valid):
                m.d.sync += self.o.valid.eq(some)
        else:
            read = memory.read_port(domain="comb")
            m.d.comb += [fetch.eq(some & self.o.ready), self.o.valid.eq(some)]
        m.d.comb += [read.addr.eq(oldest), self.o.payload.eq(read.data)]
        return m


def _fill(m: Module, depth: int, put: Value, fetch: Value) -> tuple[Signal, Signal]:
    """Whether there is room, and whether there is a beat: registers of their own, so that no path has to compare."""
    level, room, some = Signal(range(depth + 1)), Signal(init=1), Signal()
    with m.If(put & ~fetch):
        m.d.sync += [level.eq(increased(level)), room.eq(level != depth - 1), some.eq(1)]
    with m.Elif(fetch & ~put):
        m.d.sync += [level.eq(decreased(level)), some.eq(level != 1), room.eq(1)]
    return room, some


def _ring_pointer(m: Module, depth: int, move: Signal) -> Signal:
    pointer = Signal(range(depth))
    with m.If(move):
        m.d.sync += pointer.eq(Mux(pointer == depth - 1, 0, increased(pointer)))
    return pointer
