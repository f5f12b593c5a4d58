"""A stage and what joins its stream with another's, without a handshake between: only the other's beats are awaited."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out, connect, flipped

from codesign.cost import Cost
from codesign.graph import Op
from hw.buffer import skid_cost
from hw.elastic import Chain, Datapath, Joining, Passage, passage_times
from hw.fitted import fitted
from hw.flow import course
from hw.halts import Course, Halts, Times
from hw.pipeline import counted
from hw.ports import stage_ports
from hw.stages.fused import Producer
from hw.stages.join import Join
from hw.stages.lanes import ElementStage
from hw.stream import StreamType
from hw.timing import accept_times, serve


@dataclass(frozen=True, eq=False)
class Joined:
    """`join` of what `producer` gives, at its input `port`, and of another stream, the last of the inputs.

    `before`: functions of every element of the other stream, one after the other, on its way to the join.
    """

    producer: Producer
    join: Join
    port: int
    before: tuple[ElementStage[Op], ...] = ()

    def __post_init__(self) -> None:
        _check(self.producer.outputs[0], self.join.inputs[self.port])
        if self.before:
            _check(self.before[-1].outputs[0], self.join.inputs[1 - self.port])

    @property
    def kind(self) -> str:
        """What a table of stages calls it."""
        first, last = (getattr(s, "kind", type(s).__name__) for s in (self.producer, self.join))
        return " + ".join([first, *(f"({type(s).__name__})" for s in self.before), last])

    @property
    def other(self) -> StreamType:
        """The stream that is waited for."""
        return self.join.inputs[1 - self.port] if not self.before else self.before[0].input

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (*self.producer.inputs, self.other)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return self.join.outputs

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        (made,), other = self.producer.golden(*frames[:-1]), frames[-1]
        for function in self.before:
            (other,) = function.golden(other)
        made = made.reshape(len(made), *self.join.inputs[self.port].shape)
        return self.join.golden(*((made, other) if self.port == 0 else (other, made)))

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """Exact where the producer's beats never wait for the other's: else the producer falls behind this."""
        return (self._pairs(arrive)[1] + self.join.latency,)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (*accept_times(self.producer, list(arrive[:-1])), self._pairs(arrive)[0])

    def _pairs(self, arrive: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
        """When the other stream's beats are taken, and when both are at the join."""
        made = self.producer.schedule(*arrive[:-1])[0]
        if self.before:
            taken, _, left = passage_times(arrive[-1], made, sum(s.latency for s in self.before))
            return taken, left
        together = serve(np.maximum(made, arrive[-1]))
        return together, together

    def course(self, arrive: Times, halts: Halts) -> Course:
        """All stops while a beat of the producer's is at the join and the other's is not."""
        made = course(self.producer, arrive[:-1], halts)
        taken, there = halts.cycle(made.offers), arrive[-1]
        if self.before:
            wanted = halts.without(len(made.stops)).cycle(made.offers)
            taken, there, _ = passage_times(arrive[-1], wanted, sum(s.latency for s in self.before))
        return Course((*made.taken, taken), made.offers + self.join.latency, (*made.stops, (made.offers, there)))

    def cost(self) -> Cost:
        return self.producer.cost() + self._own_cost

    def counted(self) -> Cost:
        return counted(self.producer) + self._own_cost

    @property
    def _own_cost(self) -> Cost:
        """What it adds: the registers between the two are the producer's own."""
        own = skid_cost(self.producer.outputs[0].beat_bits) * -1 + self.join.cost() + Cost(lut=fitted("joined.one"))
        return reduce(Cost.__add__, (s.datapath_cost() + Cost(ff=s.latency) for s in self.before), own)

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _JoinedCircuit(self, then)


def _check(made: StreamType, takes: StreamType) -> None:
    if (made.size, made.format, made.lanes) != (takes.size, takes.format, takes.lanes):
        raise ValueError(f"{made} is joined as {takes}")


class _JoinedCircuit(wiring.Component):
    def __init__(self, stage: Joined, then: Datapath | None) -> None:
        bits = stage.join.inputs[1 - stage.port].beat_bits
        self.before = stage.before
        self.joining = Joining(stage.join.datapath(), bits, behind=stage.port == 0)
        self.producer = stage.producer.rtl(self.joining if then is None else Chain(self.joining, then))
        ports = stage_ports(stage)
        super().__init__(ports if then is None else {**ports, "o": Out(stream.Signature(len(then.y)))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.producer = producer = self.producer
        *inputs, last = (name for name in self.signature.members if name.startswith("i"))
        for name in inputs:
            connect(m, flipped(getattr(self, name)), getattr(producer, name if len(inputs) > 1 else "i"))
        other: stream.Interface = flipped(getattr(self, last))
        if self.before:
            m.submodules.before = before = Passage(Chain(*(s.datapath() for s in self.before)))
            connect(m, other, before.i)
            other = before.o
        m.d.comb += [
            self.joining.other.payload.eq(other.payload),
            self.joining.other.valid.eq(other.valid),
            other.ready.eq(self.joining.other.ready),
        ]
        connect(m, producer.o, flipped(self.o))  # type: ignore[attr-defined]
        return m
