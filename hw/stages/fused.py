"""A function of every element behind another stage, inside its last registers: no handshake between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from amaranth.lib import wiring

from codesign.cost import Cost
from codesign.graph import Op
from hw.buffer import skid_cost
from hw.elastic import Chain, Datapath
from hw.flow import course, flow
from hw.halts import Course, Flow, Halts, Start, Times
from hw.pipeline import Stage, counted
from hw.stages.lanes import ElementStage
from hw.stream import StreamType
from hw.timing import accept_times


class Producer(Stage, Protocol):
    """A stage of one output that ends in a register and a Skid, and lets a datapath stand between the two."""

    def rtl(self, then: Datapath | None = None) -> wiring.Component: ...


@dataclass(frozen=True, eq=False)
class Fused:
    """`then` of what `producer` gives."""

    producer: Producer
    then: ElementStage[Op]

    def __post_init__(self) -> None:
        (made,), takes = self.producer.outputs, self.then.input
        if (made.size, made.format, made.lanes) != (takes.size, takes.format, takes.lanes):
            raise ValueError(f"{made} and then {takes}")

    @property
    def kind(self) -> str:
        """What a table of stages calls it."""
        return " + ".join(getattr(s, "kind", type(s).__name__) for s in (self.producer, self.then))

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return self.producer.inputs

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return self.then.outputs

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        (made,) = self.producer.golden(*frames)
        return self.then.golden(made.reshape(len(made), *self.then.input.shape))

    @property
    def latency(self) -> int:
        """Clocks that `then` adds."""
        return self.then.latency - self.then.holds_x

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self.producer.schedule(*arrive)[0] + self.latency,)

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return accept_times(self.producer, list(arrive))

    def course(self, arrive: Times, halts: Halts) -> Course:
        made = course(self.producer, arrive, halts)
        return replace(made, offers=made.offers + self.latency)

    def flow(self, arrive: Times, leave: Times, start: Start) -> Flow:
        return flow(self.producer, arrive, leave, replace(start, behind=start.behind + self.latency))

    def cost(self) -> Cost:
        return self.producer.cost() + self._own_cost

    def counted(self) -> Cost:
        return counted(self.producer) + self._own_cost

    @property
    def _own_cost(self) -> Cost:
        """What it adds: the last registers hold its results now."""
        made, gives = self.then.input.beat_bits, self.outputs[0].beat_bits
        own = self.then.datapath_cost() + Cost(ff=self.latency - made * self.then.holds_x)
        return own + self.end_cost(gives) + self.end_cost(made) * -1

    def end_cost(self, bits: int) -> Cost:
        """Of what ends the stage, for results of so many bits."""
        producer = self.producer
        return producer.end_cost(bits) if hasattr(producer, "end_cost") else skid_cost(bits)  # type: ignore[attr-defined]

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        own = self.then.datapath(ahead=self.then.holds_x)
        return self.producer.rtl(own if then is None else Chain(own, then, ahead=own.ahead))
