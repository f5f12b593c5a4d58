"""How deep the FIFO of every edge must be, from the stages' own schedules: computed, not searched.

Stages give and take in bursts: a pool answers row by row, padding takes nothing while it writes the border. With
the input paced to the slowest stage, each edge needs room for the most beats that ever wait for their taker; then
nobody is held up, and the pipeline runs at the pace of its slowest stage.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hw.estimate import frames_of, offered_times, stage_interval
from hw.pipeline import Edge, Pipeline
from hw.timing import accept_times

BUFFERED = 2  # beats that every stage's output register already holds


def with_fifos(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the depth of every edge; depths that are set already never shrink."""
    pace, frames = max(stage_interval(p.stage) for p in pipeline.stages), frames_of(pipeline)
    paced = [np.arange(s.beats * frames, dtype=np.int64) * pace // s.beats for _, s in pipeline.inputs]
    waiting: dict[Edge, int] = {}
    for name, offered in offered_times(pipeline, paced):
        if name is not None:
            taken = accept_times(pipeline.by_name[name], offered)
            for edge, arrive, leave in zip(pipeline.into(name), offered, taken, strict=True):
                waiting[edge] = _most_waiting(arrive, leave)
    return replace(pipeline, edges=tuple(_sized(e, waiting) for e in pipeline.edges))


def _most_waiting(arrive: np.ndarray, leave: np.ndarray) -> int:
    """The most beats that have arrived and not left."""
    gone = np.searchsorted(leave, arrive, side="left")
    return int((np.arange(len(arrive)) + 1 - gone).max())


def _sized(edge: Edge, waiting: dict[Edge, int]) -> Edge:
    most = waiting.get(edge, 0)
    inside = edge.source is not None and edge.target is not None
    return replace(edge, depth=max(edge.depth, most)) if inside and most > BUFFERED else edge
