"""How deep the FIFO of every edge must be, from the stages' own schedules: computed, not searched.

Stages give and take in bursts: a pool answers row by row, padding takes nothing while it writes the border. With
the input paced to the slowest stage, each edge needs room for the most beats that ever wait for their taker; then
nobody is held up, and the pipeline runs at the pace of its slowest stage.

Nor can it deadlock where branches meet again: the frames' way through the pipeline that was followed here keeps
within these depths, and what streams can do within given depths, they do in whatever order they are held up
(Kahn, "The semantics of a simple language for parallel programming", 1974: no stage chooses by time).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hw.estimate import frames_of, stage_interval, through_fifo
from hw.pipeline import Edge, Pipeline
from hw.stages.fork import Fork, Forked
from hw.timing import accept_times

BUFFERED = 2  # beats that every stage's output register already holds
OFFERED = 1  # the one beat that a fork, whose branches share a register, offers to each of them


def with_fifos(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the depth of every edge."""
    depths = {e: w.depth for e, w in waits(pipeline).items()}
    return pipeline.with_depths([depths.get(e, 0) for e in pipeline.edges])


@dataclass(frozen=True)
class Wait:
    """The FIFO that the waiting beats of an edge need; `ever`: whether any beat waits at all."""

    depth: int
    ever: bool


def waits(pipeline: Pipeline) -> dict[Edge, Wait]:
    """How beats wait on every edge into a stage."""
    pace, frames = max(stage_interval(p.stage) for p in pipeline.stages), frames_of(pipeline)
    paced = [np.arange(s.beats * frames, dtype=np.int64) * pace // s.beats for _, s in pipeline.inputs]
    times: dict[tuple[str | None, int], np.ndarray] = {(None, k): a for k, a in enumerate(paced)}
    found: dict[Edge, Wait] = {}
    for placed in pipeline.stages:
        edges = pipeline.into(placed.name)
        arrive = [times.pop((e.source, e.source_port)) for e in edges]
        for edge, came, left in zip(edges, arrive, accept_times(placed.stage, arrive), strict=True):
            found[edge] = Wait(_depth(pipeline, edge, _most_waiting(came, left)), bool((left > came).any()))
        deep = [replace(e, depth=found[e].depth) for e in edges]
        offered = [through_fifo(pipeline, e, a) for e, a in zip(deep, arrive, strict=True)]
        times.update({(placed.name, k): made for k, made in enumerate(placed.stage.schedule(*offered))})
    return found


def _most_waiting(arrive: np.ndarray, leave: np.ndarray) -> int:
    """The most beats that have arrived and not left: the least n so that beat k + n comes after beat k has left."""
    low, high = 1, 1
    while not _suffices(high, arrive, leave):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _suffices(middle, arrive, leave) else (middle + 1, high)
    return high


def _suffices(places: int, arrive: np.ndarray, leave: np.ndarray) -> bool:
    return bool((leave[:-places] < arrive[places:]).all())


def _depth(pipeline: Pipeline, edge: Edge, most: int) -> int:
    """Of the FIFO for so many waiting beats; none where registers hold them."""
    if edge.source is None:
        return 0
    buffered = OFFERED if isinstance(pipeline.by_name[edge.source], (Fork, Forked)) else BUFFERED
    return most if most > buffered else 0
