"""One stream to several readers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import connect, flipped

from codesign.cost import Cost
from hw.buffer import Buffer, buffer_cost
from hw.fitted import fitted
from hw.flow import buffer_flow, flow
from hw.halts import Flow, Start, Times
from hw.pipeline import Stage, counted
from hw.ports import stage_ports
from hw.stream import StreamType
from hw.timing import accept_times, serve


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

    def flow(self, arrive: Times, leave: Times, start: Start) -> Flow:
        """A beat leaves with the last way that takes it."""
        made = buffer_flow(arrive[0], np.max(leave, axis=0))
        return replace(made, offered=made.offered * self.ways)

    def cost(self) -> Cost:
        return buffer_cost(self.input.beat_bits) + _ways_cost(self.ways)

    def rtl(self) -> wiring.Component:
        return _ForkCircuit(self, Buffer(self.input.beat_bits))


@dataclass(frozen=True, eq=False)
class Forked:
    """What a stage of one output gives, to each of `ways` outputs; the stage's own registers end the ready path."""

    source: Stage
    ways: int

    @property
    def kind(self) -> str:
        """What a table of stages calls it."""
        return f"{getattr(self.source, 'kind', type(self.source).__name__)} + Fork"

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return self.source.inputs

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return self.source.outputs * self.ways

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.source.golden(*frames) * self.ways

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.source.schedule(*arrive) * self.ways

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return accept_times(self.source, list(arrive))

    def flow(self, arrive: Times, leave: Times, start: Start) -> Flow:
        made = flow(self.source, arrive, (np.max(leave, axis=0),), start)
        return replace(made, offered=made.offered * self.ways)

    def cost(self) -> Cost:
        return self.source.cost() + _ways_cost(self.ways)

    def counted(self) -> Cost:
        return counted(self.source) + _ways_cost(self.ways)

    def rtl(self) -> wiring.Component:
        return _ForkCircuit(self, self.source.rtl())


def _ways_cost(ways: int) -> Cost:
    return Cost(lut=fitted("fork.way") * ways, ff=ways)


class _ForkCircuit(wiring.Component):
    """A circuit stands before the fork, once, so the outputs' ready lines end in it."""

    def __init__(self, stage: Fork | Forked, source: wiring.Component) -> None:
        self.stage, self.source = stage, source
        super().__init__(stage_ports(stage))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.source = source = self.source
        for name in self.signature.members:
            if name.startswith("i"):
                connect(m, flipped(getattr(self, name)), getattr(source, name))
        beat: stream.Interface = getattr(source, "o")  # noqa: B009  (the ports are made from the stage)
        ways: list[stream.Interface] = [getattr(self, f"o{k}") for k in range(self.stage.ways)]
        done = Signal(len(ways))  # which ways have taken the beat before the others
        served = Signal(len(ways))
        m.d.comb += [served.eq(done | Cat(way.ready for way in ways)), beat.ready.eq(served.all())]
        for k, way in enumerate(ways):
            m.d.comb += [way.valid.eq(beat.valid & ~done[k]), way.payload.eq(beat.payload)]
        with m.If(beat.valid):
            m.d.sync += done.eq(served & ~served.all().replicate(len(ways)))
        return m
