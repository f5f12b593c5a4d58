"""A spatial accelerator as a value: stages joined by ready/valid streams.

A stage is a frozen dataclass in `hw/stages`, one file a kind, with its golden model, cost, schedule and RTL side
by side. It has no name and no place in the network: those are the pipeline's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
from amaranth.lib import wiring

from codesign.cost import Cost
from codesign.fusion import Note
from hw.stream import StreamType


class Stage(Protocol):
    """What every stage offers. Ports of the component: `i`, `o`; with several: `i0`, `i1`.. and `o0`, `o1`..

    A port is `stream.Signature(unsigned(StreamType.beat_bits))`. Once `valid` is up it stays, with its payload,
    until `ready`; `valid` never waits for `ready` of the same port.
    """

    @property
    def inputs(self) -> tuple[StreamType, ...]: ...

    @property
    def outputs(self) -> tuple[StreamType, ...]: ...

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        """Exact integer result: arrays (frames, *shape) of int64 in, the same out."""
        ...

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """Cycle in which each input beat is offered -> cycle in which each output beat is offered.

        The beats of whole frames, back to back; outputs are taken at once. This is the stage's timing model.
        """
        ...

    def cost(self) -> Cost:
        """Estimated resources."""
        ...

    def rtl(self) -> wiring.Component:
        """The circuit, in the `sync` domain, with synchronous reset."""
        ...


def counted(stage: Stage) -> Cost:
    """Resources of a stage: those of its netlist, where it has one that can be counted, else estimated."""
    return stage.counted() if hasattr(stage, "counted") else stage.cost()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Edge:
    """A stream from output `source_port` of a stage to input `target_port` of another, through `depth` beats of FIFO.

    A source or target of None is the outside: then the port number counts the pipeline's inputs or outputs.
    """

    source: str | None
    source_port: int
    target: str | None
    target_port: int
    depth: int = 0


@dataclass(frozen=True)
class Placed:
    """A stage in its place: unique name, and the network's own layers that it computes.

    `tensor`: of the integer graph, which it sends; "" where that is on the way to one, as from a window or a fork.
    `parts`: the names of the stages fused into it.
    """

    name: str
    stage: Stage
    layers: tuple[str, ...] = ()
    tensor: str = ""
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fused:
    """What a fusion of stages did and left undone, layer by layer; `saved`: how many stages fewer there are."""

    name: str
    saved: int
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Pipeline:
    """Stages in topological order, edges in the order of their sources; inputs and outputs by tensor name."""

    stages: tuple[Placed, ...]
    edges: tuple[Edge, ...]
    inputs: tuple[tuple[str, StreamType], ...]
    outputs: tuple[tuple[str, StreamType], ...]
    fused: tuple[Fused, ...] = ()

    def __post_init__(self) -> None:
        position = {name: k for k, name in enumerate((None, *self.by_name))}
        if any(position[a.source] > position[b.source] for a, b in pairwise(self.edges)):
            raise ValueError("edges come in the order of their sources")
        for edge in self.edges:
            wrote, reads = self.stream_from(edge), self.stream_to(edge)
            if (wrote.size, wrote.format, wrote.lanes) != (reads.size, reads.format, reads.lanes):
                raise ValueError(f"{edge.source or 'input'} sends {wrote}, {edge.target or 'output'} reads {reads}")

    @cached_property
    def by_name(self) -> Mapping[str, Stage]:
        return {p.name: p.stage for p in self.stages}

    def stream_from(self, edge: Edge) -> StreamType:
        if edge.source is None:
            return self.inputs[edge.source_port][1]
        return self.by_name[edge.source].outputs[edge.source_port]

    def stream_to(self, edge: Edge) -> StreamType:
        if edge.target is None:
            return self.outputs[edge.target_port][1]
        return self.by_name[edge.target].inputs[edge.target_port]

    def tensor_on(self, edge: Edge) -> str:
        """The tensor of the integer graph that an edge carries, or the next on the way to which it lies."""
        if edge.source is None:
            return self.inputs[edge.source_port][0]
        tensor = next(p.tensor for p in self.stages if p.name == edge.source)
        if tensor or edge.target is None:
            return tensor or self.outputs[edge.target_port][0]
        return self.tensor_on(next(e for e in self.edges if e.source == edge.target))

    def into(self, name: str | None) -> list[Edge]:
        """The edges into a stage (None: into the outputs), by port."""
        return sorted((e for e in self.edges if e.target == name), key=lambda e: e.target_port)

    def with_depths(self, depths: Sequence[int]) -> Pipeline:
        """The same with the FIFOs of the edges, in their order."""
        return replace(self, edges=tuple(replace(e, depth=d) for e, d in zip(self.edges, depths, strict=True)))

    def golden(self, *frames: np.ndarray) -> Iterator[np.ndarray]:
        """Exact integer values (frames, *shape), edge after edge, for values of the inputs; kept until read."""
        unread: dict[tuple[str, int], np.ndarray] = {}
        made: Sequence[np.ndarray] = frames
        for name in (None, *self.by_name):
            if name is not None:
                made = self.by_name[name].golden(*(unread.pop((name, e.target_port)) for e in self.into(name)))
            for edge in self.edges:
                if edge.source == name:
                    value = self._shaped(made[edge.source_port], edge)
                    if edge.target is not None:
                        unread[edge.target, edge.target_port] = value
                    yield value

    def _shaped(self, value: np.ndarray, edge: Edge) -> np.ndarray:
        return value.reshape(len(value), *self.stream_to(edge).shape)


def alone(stage: Stage) -> Pipeline:
    """A stage of one output as a pipeline of its own."""
    many = len(stage.inputs) > 1
    inputs = tuple((f"x{k}" if many else "x", stream) for k, stream in enumerate(stage.inputs))
    edges = (*(Edge(None, k, "stage", k) for k in range(len(inputs))), Edge("stage", 0, None, 0))
    (y,) = stage.outputs
    return Pipeline((Placed("stage", stage),), edges, inputs, (("y", y),))
