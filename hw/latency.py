"""The latency of a first frame that arrives without a pause: what FIFOs that are full hold up is held up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw.flow import flow
from hw.halts import NEVER_HALTS, Flow, Halts, Start
from hw.pipeline import Edge, Pipeline, Stage
from hw.stages.fifo import Fifo

_A_TURN = 20_000  # what working a part out once takes, in beats
_MOST = 1 << 27  # beats: a few seconds


def first_latency(pipeline: Pipeline, most: float = _MOST) -> int:
    """Cycles from a first frame's first input beat to its last output beat, both counted.

    Part by part, forth and back, until that changes nothing: times follow from earlier ones only, so that there is
    one solution. Later frames hold up nothing of the first. After `most` beats, those of a network in which a few beats
    go around thousands of times, what is found by then is left as it is, near the latency.
    """
    links = {e: _links(pipeline, e) for e in pipeline.edges}
    parts, work = _parts(pipeline, links), 0
    while work < most:
        done = sum(part.work() for part in (*parts, *reversed(parts)))
        if not done:
            break
        work += done
    first = min(int(links[e][0].taken[0]) for e in pipeline.edges if e.source is None)
    last = max(int(links[e][-1].offered[-1]) for e in pipeline.into(None))
    return last - first + 1


@dataclass(eq=False)
class _Link:
    """When the beats between two parts are offered and taken, as far as is known; at first nothing waits."""

    offered: np.ndarray
    taken: np.ndarray


@dataclass(eq=False)
class _Part:
    """A stage or a FIFO between its links."""

    stage: Stage
    inputs: list[_Link]
    outputs: list[_Link]
    seen: tuple[np.ndarray, ...] = ()
    halts: Halts = NEVER_HALTS

    def work(self) -> int:
        """Work its times out again where its neighbours' have changed; what that took, in beats."""
        arrive, leave = tuple(i.offered for i in self.inputs), tuple(o.taken for o in self.outputs)
        if self.seen and all(a is b for a, b in zip(self.seen, arrive + leave, strict=True)):
            return 0
        self.seen = arrive + leave
        found = flow(self.stage, arrive, leave, Start(self.halts))
        self.halts = found.halts
        self._put(found)
        return _A_TURN + sum(map(len, self.seen))

    def _put(self, found: Flow) -> None:
        """Times that are as before stay the same arrays."""
        for link, times in zip(self.inputs, found.taken, strict=True):
            link.taken = link.taken if np.array_equal(link.taken, times) else times
        for link, times in zip(self.outputs, found.offered, strict=True):
            link.offered = link.offered if np.array_equal(link.offered, times) else times


def _links(pipeline: Pipeline, edge: Edge) -> list[_Link]:
    """Of an edge, in the direction of the beats: two with a FIFO between."""
    beats = pipeline.stream_from(edge).beats
    return [_Link(np.arange(beats, dtype=np.int64), np.zeros(beats, np.int64)) for _ in range(1 + bool(edge.depth))]


def _parts(pipeline: Pipeline, links: dict[Edge, list[_Link]]) -> list[_Part]:
    """In the direction of the beats."""
    parts = []
    for name in (*pipeline.by_name, None):
        edges = pipeline.into(name)
        parts += [_Part(Fifo(pipeline.stream_from(e), e.depth), links[e][:1], links[e][1:]) for e in edges if e.depth]
        if name is not None:
            behind = sorted((e for e in pipeline.edges if e.source == name), key=lambda e: e.source_port)
            inputs, outputs = [links[e][-1] for e in edges], [links[e][0] for e in behind]
            parts.append(_Part(pipeline.by_name[name], inputs, outputs))
    return parts
