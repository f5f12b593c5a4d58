"""One stream to several readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from hw.buffer import Buffer, buffer_cost
from hw.ports import stage_ports
from hw.stream import StreamType
from hw.timing import serve


@dataclass(frozen=True)
class Fork:
    """Every beat to each of `ways` (>= 2) outputs; each takes it when it likes, the next waits for all."""

    input: StreamType
    ways: int

    def __post_init__(self) -> None:
        if self.ways < 2:
            raise ValueError(f"Fork into {self.ways} ways")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return (self.input,) * self.ways

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        return (frames[0],) * self.ways

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (serve(arrive[0]) + 1,) * self.ways

    def cost(self) -> Cost:
        return buffer_cost(self.input.beat_bits) + Cost(lut=2.5 * self.ways, ff=self.ways)

    def rtl(self) -> wiring.Component:
        return _ForkCircuit(self)


class _ForkCircuit(wiring.Component):
    """The buffer stands before the fork, once, so the outputs' ready lines end in it."""

    i: stream.Interface

    def __init__(self, stage: Fork) -> None:
        self.stage = stage
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = Buffer(self.stage.input.beat_bits)
        connect(m, flipped(self.i), buffer.i)
        ways: list[stream.Interface] = [getattr(self, f"o{k}") for k in range(self.stage.ways)]
        done = Signal(len(ways))  # which ways have taken the beat before the others
        served = Signal(len(ways))
        m.d.comb += [served.eq(done | Cat(way.ready for way in ways)), buffer.o.ready.eq(served.all())]
        for k, way in enumerate(ways):
            m.d.comb += [way.valid.eq(buffer.o.valid & ~done[k]), way.payload.eq(buffer.o.payload)]
        with m.If(buffer.o.valid):
            m.d.sync += done.eq(served & ~served.all().replicate(len(ways)))
        return m
