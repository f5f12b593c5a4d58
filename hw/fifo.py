"""How deep the FIFO of every edge between layers must be, from the stages' own schedules: computed, not searched.

Stages work in bursts: a pool answers row by row, the next product takes its beats evenly. With the input paced to
the slowest stage, each edge needs room for the most beats that ever wait; then no burst holds anybody up, and the
pipeline runs at the pace of its slowest stage.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hw.estimate import FRAMES, beat_times, stage_interval
from hw.pipeline import Edge, Pipeline
from hw.stages.lanes import ElementStage
from hw.stages.width import Width
from hw.timing import serve

BUFFERED = 2  # beats that every stage's output register already holds


def with_fifos(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the depth of every edge between layers; depths that are set already never shrink."""
    pace = max(stage_interval(p.stage) for p in pipeline.stages)
    paced = [np.arange(s.beats * FRAMES, dtype=np.int64) * pace // s.beats for _, s in pipeline.inputs]
    times = beat_times(pipeline, paced)
    edges = (_sized(pipeline, e, times[e.source, e.source_port], pace) for e in pipeline.edges)
    return replace(pipeline, edges=tuple(edges))


def _sized(pipeline: Pipeline, edge: Edge, arrive: np.ndarray, pace: int) -> Edge:
    if not _between_layers(pipeline, edge):
        return edge
    backlog = _backlog(arrive, pipeline.stream_from(edge).beats, pace)
    return replace(edge, depth=max(edge.depth, backlog if backlog > BUFFERED else 0))


def _between_layers(pipeline: Pipeline, edge: Edge) -> bool:
    """Whether a burst can pile up here: not at the border, within a layer, or before a stage that never waits."""
    if edge.source is None or edge.target is None:
        return False
    source, target = pipeline.by_name[edge.source], pipeline.by_name[edge.target]
    layers = {p.name: p.layers for p in pipeline.stages}
    apart = layers[edge.source] != layers[edge.target]
    return apart and not isinstance(source, Width) and not isinstance(target, ElementStage)


def _backlog(arrive: np.ndarray, beats: int, pace: int) -> int:
    """The most beats that wait when they arrive so and leave evenly, `beats` in `pace` cycles (times scaled)."""
    leave = serve(arrive * beats, pace)
    gone = np.searchsorted(leave, arrive * beats, side="right")
    return int((np.arange(len(arrive)) - gone).max()) + 1
