"""A pipeline while its stages are being fused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from codesign.fusion import Note
from hw.pipeline import Edge, Pipeline, Placed, Stage


@dataclass
class Rewriting:
    """The stages by name and the edges between them, and notes of what was done and left undone."""

    before: Pipeline
    stages: dict[str, Placed]
    edges: list[Edge]
    notes: list[Note] = field(default_factory=list)

    @classmethod
    def of(cls, pipeline: Pipeline) -> Rewriting:
        return cls(pipeline, {p.name: p for p in pipeline.stages}, list(pipeline.edges))

    @property
    def pipeline(self) -> Pipeline:
        """As it stands."""
        order: dict[str | None, int] = {None: -1, **{name: k for k, name in enumerate(self.stages)}}
        edges = sorted(self.edges, key=lambda e: order[e.source])
        return replace(self.before, stages=tuple(self.stages.values()), edges=tuple(edges))

    def neighbours(self) -> list[tuple[Placed, Placed]]:
        """Stages of one output and their readers, where no FIFO stands between, from the inputs to the outputs."""
        linked = [e for e in self.edges if e.source in self.stages and e.target in self.stages and not e.depth]
        pairs = ((self.stages[str(e.source)], self.stages[str(e.target)]) for e in linked)
        order = list(self.stages)
        alone = [(a, b) for a, b in pairs if len(a.stage.outputs) == 1]
        return sorted(alone, key=lambda pair: order.index(pair[1].name))

    def reader(self, name: str) -> Placed | None:
        """The stage behind one of one output, if there is one and no FIFO between."""
        (edge,) = (e for e in self.edges if e.source == name)
        return None if edge.target is None or edge.depth else self.stages[edge.target]

    def producer(self, reader: Placed) -> Placed:
        """The stage before one of one input."""
        (edge,) = (e for e in self.edges if e.target == reader.name)
        return self.stages[str(edge.source)]

    def exchange(self, first: Placed, second: Placed, before: Stage, behind: Stage) -> Placed:
        """`second` comes before `first` now, and they are `before` and `behind`; the latter at its place."""
        a, b = replace(first, stage=behind), replace(second, stage=before)
        turned = {(first.name, second.name): (b.name, a.name)}
        self.edges = [
            replace(e, source=turned[link][0], target=turned[link][1])
            if (link := (str(e.source), str(e.target))) in turned
            else replace(
                e,
                source=a.name if e.source == second.name else e.source,
                target=b.name if e.target == first.name else e.target,
            )
            for e in self.edges
        ]
        kept = {k: p for k, p in self.stages.items() if k != second.name}
        self.stages = {}
        for name, placed in kept.items():
            self.stages.update({b.name: b, a.name: a} if name == first.name else {name: placed})
        return a

    def remove(self, first: Placed, second: Placed, text: str) -> None:
        """Two neighbours vanish that together change nothing."""
        (into,) = (e for e in self.edges if e.target == first.name)
        (out,) = (e for e in self.edges if e.source == second.name)
        gone = {first.name, second.name}
        self.edges = [e for e in self.edges if e.source not in gone and e.target not in gone]
        bypass = replace(out, source=into.source, source_port=into.source_port, depth=max(into.depth, out.depth))
        self.edges.append(bypass)
        self.stages = {k: p for k, p in self.stages.items() if k not in gone}
        self.notes.append(Note(self._layers((first, second)), True, text))

    @staticmethod
    def _layers(chain: tuple[Placed, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(layer for p in chain for layer in p.layers))

    def merge(self, chain: tuple[Placed, ...], stage: Stage, text: str) -> Placed:
        """One stage in the place of a chain of them; it takes the last one's name, because that is what it gives."""
        first, last, layers = chain[0], chain[-1], self._layers(chain)
        parts = tuple(part for p in chain for part in p.parts or (p.name,))
        tensor = next((p.tensor for p in reversed(chain) if p.tensor), "")
        new = Placed(last.name, stage, layers, tensor, parts)
        inner = {p.name for p in chain}
        self.edges = [e for e in self.edges if not (e.source in inner and e.target in inner)]
        self.edges = [replace(e, target=new.name) if e.target == first.name else e for e in self.edges]
        kept = {k: p for k, p in self.stages.items() if k not in inner or k == last.name}
        self.stages = {**kept, last.name: new}
        self.notes.append(Note(layers, True, text))
        return new

    def join(self, source: Placed, then: Placed, port: int, stage: Stage, text: str) -> Placed:
        """As `merge`, where `then` reads two streams: the one that is not `source`'s comes to input `port`."""
        self.edges = [
            replace(e, target_port=port) if e.target == then.name and e.source != source.name else e for e in self.edges
        ]
        return self.merge((source, then), stage, text)

    def join_before(self, source: Placed, then: Placed, stage: Stage, text: str) -> Placed:
        """As `merge`, where `source` stands before one of several inputs of `then`."""
        (port,) = (e.target_port for e in self.edges if (e.source, e.target) == (source.name, then.name))
        self.edges = [replace(e, target_port=port) if e.target == source.name else e for e in self.edges]
        return self.merge((source, then), stage, text)

    def refuse(self, chain: tuple[Placed, ...], text: str) -> None:
        """Say why a chain stays as it is."""
        self.notes.append(Note(self._layers(chain), False, text))
