"""Integer graph + folding -> Pipeline: each layer's stages, width converters and forks between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from codesign.graph import Constant, Graph, Node
from codesign.ops.integer import Center, Reinterpret
from codesign.ops.layout import Reshape
from codesign.ops.pad import Pad
from codesign.ops.requant import Requant
from hw.layer import Folding, stream_of
from hw.layers import borders, layer_of
from hw.pipeline import Edge, Pipeline, Placed
from hw.products import goes_into_biases
from hw.rtl import identifier
from hw.stages.fork import Fork
from hw.stages.width import Width
from hw.stream import StreamType

FREE = (Reshape, Reinterpret)  # the stream is the same before and after


@dataclass(frozen=True)
class Source:
    """Where a stream comes from: a stage's port, or (stage None) an input of the pipeline."""

    stage: str | None
    port: int
    stream: StreamType


def lower(core: Graph, folding: Mapping[str, Folding], input_lanes: Mapping[str, int]) -> Pipeline:
    """The pipeline of an integer graph; every node but layout and constants needs a folding."""
    building = Building(core, folding)
    inputs = tuple((i.name, stream_of(i.type, input_lanes[i.name])) for i in core.inputs)
    for k, (name, stream) in enumerate(inputs):
        building.made[name] = Source(None, k, stream)
    for node in core.nodes:
        building.place(node)
    outputs = tuple(building.output(k, name) for k, name in enumerate(core.outputs))
    stages, edges = _with_forks(building.stages, building.edges, inputs)
    return Pipeline(tuple(stages), tuple(edges), inputs, outputs)


@dataclass
class Building:
    """Stages and edges so far, and where each tensor's stream comes from."""

    core: Graph
    folding: Mapping[str, Folding]
    made: dict[str, Source] = field(default_factory=dict)
    stages: list[Placed] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def place(self, node: Node) -> None:
        """Append a node's stages; layout needs none, and a Center that only products read goes into their bias."""
        if isinstance(node.op, Constant):
            return
        if isinstance(node.op, FREE):
            below = self.made[node.inputs[0]]
            shape = self.core.types[node.name].shape
            self.made[node.name] = replace(below, stream=replace(below.stream, shape=shape))
        elif isinstance(node.op, Center):
            self._center(node)
        elif isinstance(node.op, Pad) and self._goes_into_windows(node):
            self.made[node.name] = self.made[node.inputs[0]]
        else:
            self._layer(node)

    def _goes_into_windows(self, pad: Node) -> bool:
        """Whether windows of several pixels make the border: they always do."""
        reader = borders(self.core).get(pad.name)
        return reader is not None and self.folding[reader].pixels > 1

    def _center(self, node: Node) -> None:
        if goes_into_biases(self.core, node):
            self.made[node.name] = self.made[node.inputs[0]]
            return
        one, zero, fmt = np.array([1]), np.array([-node.op.zero_point]), self.core.types[node.name].format  # type: ignore[attr-defined]
        assert fmt is not None
        shift = Requant(one, zero, 0, "floor", fmt)
        self._layer(replace(node, op=shift))

    def _layer(self, node: Node) -> None:
        folding = self.folding[node.name]
        chain = layer_of(self.core, node).stages(self.core, node, folding)
        sources = [self.made[i] for i in node.inputs if i in self.made]
        for suffix, stage in chain:
            name = self._unique(f"{identifier(node.name)}_{suffix}")
            for port, (source, wanted) in enumerate(zip(sources, stage.inputs, strict=True)):
                self._connect(source, name, port, wanted)
            tensor = node.name if stage is chain[-1][1] else ""
            self.stages.append(Placed(name, stage, (node.label,), tensor))
            sources = [Source(name, k, s) for k, s in enumerate(stage.outputs)]
        self.made[node.name] = sources[0]

    def _unique(self, name: str) -> str:
        taken = {p.name for p in self.stages}
        return name if name not in taken else f"{name}_{len(self.stages)}"

    def _connect(self, source: Source, target: str | None, port: int, wanted: StreamType) -> None:
        """An edge, through a width converter where the lanes differ."""
        if source.stream.lanes != wanted.lanes:
            stem = identifier(f"{target or 'output'}_{port}" if port else target or "output")
            name = self._unique(f"{stem}_width")
            self.edges.append(Edge(source.stage, source.port, name, 0))
            self.stages.append(Placed(name, Width(source.stream, wanted.lanes)))
            source = Source(name, 0, wanted)
        self.edges.append(Edge(source.stage, source.port, target, port))

    def output(self, index: int, name: str) -> tuple[str, StreamType]:
        source = self.made[name]
        stream = replace(source.stream, shape=self.core.types[name].shape)
        self.edges.append(Edge(source.stage, source.port, None, index))
        return name, stream


def _with_forks(
    stages: list[Placed], edges: list[Edge], inputs: tuple[tuple[str, StreamType], ...]
) -> tuple[list[Placed], list[Edge]]:
    """A Fork behind every port that several read."""
    by_source: dict[tuple[str | None, int], list[Edge]] = {}
    for edge in edges:
        by_source.setdefault((edge.source, edge.source_port), []).append(edge)
    streams: dict[tuple[str | None, int], StreamType] = {(None, k): s for k, (_, s) in enumerate(inputs)}
    streams.update({(p.name, k): s for p in stages for k, s in enumerate(p.stage.outputs)})
    placed, wired = list(stages), []
    for (source, port), readers in by_source.items():
        if len(readers) == 1:
            wired.append(readers[0])
            continue
        name = f"{source or f'input{port}'}_fork"
        placed.append(Placed(name, Fork(streams[source, port], len(readers))))
        wired.append(Edge(source, port, name, 0))
        wired += [replace(e, source=name, source_port=k) for k, e in enumerate(readers)]
    ordered = _sorted(placed, wired)
    position: dict[str | None, int] = {None: -1, **{p.name: k for k, p in enumerate(ordered)}}
    return ordered, sorted(wired, key=lambda e: position[e.source])


def _sorted(stages: list[Placed], edges: list[Edge]) -> list[Placed]:
    """Stages in topological order, stable."""
    order: list[Placed] = []
    done: set[str | None] = {None}
    waiting = list(stages)
    while waiting:
        ready = next(p for p in waiting if all(e.source in done for e in edges if e.target == p.name))
        waiting.remove(ready)
        order.append(ready)
        done.add(ready.name)
    return order
