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
from hw.pipeline import Edge, Pipeline, Stage
from hw.stages.fork import Fork, Forked
from hw.stages.width import Width
from hw.stages.window import Window
from hw.timing import accept_times

BUFFERED = 2  # beats that the registers at most stages' outputs hold
OFFERED = 1  # the one beat that others offer: forks, whose branches share a register, windows and queues


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
            found[edge] = Wait(_depth(pipeline, edge, came, left), bool((left > came).any()))
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


def _depth(pipeline: Pipeline, edge: Edge, arrive: np.ndarray, leave: np.ndarray) -> int:
    """Of the FIFO for the beats that wait; none where registers hold them."""
    if edge.source is None:
        return 0
    most, buffered = _most_waiting(arrive, leave), _buffered(pipeline.by_name[edge.source])
    return most if most > buffered or (most == BUFFERED and _stops(arrive, leave)) else 0


def _buffered(source: Stage) -> int:
    """Beats that the registers at a stage's output hold."""
    one = isinstance(source, (Fork, Forked)) or (isinstance(source, Window) and source.parallel)
    return OFFERED if one or (isinstance(source, Width) and source.queues) else BUFFERED


def _stops(arrive: np.ndarray, leave: np.ndarray) -> bool:
    """Whether a stage with two registers at its output must stop: it learns a clock late that one of them is free."""
    first, waited = leave[:-2], arrive[:-2] < leave[:-2]
    return bool((waited & (arrive[1:-1] <= first) & (arrive[2:] <= first + 1)).any())
