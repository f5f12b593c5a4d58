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
from hw.stages.concat import Concat
from hw.stages.fork import Fork, Forked
from hw.stages.fused import Fused
from hw.stages.width import Width
from hw.stages.window import Window
from hw.timing import accept_times

BUFFERED = 2  # beats that the registers at most stages' outputs hold
BESIDE = 2  # frames that are followed beside those on their way: one that follows the last, one that ends as all do
TURN = 8  # beats of a turn that wait for it: as many clocks as a stage takes until it gives the next ones
OFFERED = 1  # the one beat that others offer: forks, whose branches share a register, and windows that are whole


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
    """How beats wait on every edge into a stage, with as many frames on their way as there ever are."""
    frames = frames_of(pipeline)
    while True:
        found, on_their_way = _waits(pipeline, frames)
        if frames >= on_their_way + BESIDE:
            return found
        frames = on_their_way + BESIDE


def _waits(pipeline: Pipeline, frames: int) -> tuple[dict[Edge, Wait], int]:
    """Of so many frames; and how many of them have begun when the first one has ended."""
    pace = max(stage_interval(p.stage) for p in pipeline.stages)
    paced = [np.arange(s.beats * frames, dtype=np.int64) * pace // s.beats for _, s in pipeline.inputs]
    times: dict[tuple[str | None, int], np.ndarray] = {(None, k): a for k, a in enumerate(paced)}
    found: dict[Edge, Wait] = {}
    for placed in pipeline.stages:
        edges = pipeline.into(placed.name)
        arrive = [times.pop((e.source, e.source_port)) for e in edges]
        depths, offered = _depths(pipeline, placed.stage, edges, arrive)
        taken = accept_times(placed.stage, arrive)
        ever = [bool((left > came).any()) for came, left in zip(arrive, taken, strict=True)]
        found.update(zip(edges, map(Wait, depths, ever), strict=True))
        times.update({(placed.name, k): made for k, made in enumerate(placed.stage.schedule(*offered))})
    return found, max(int(left[len(left) // frames - 1]) for left in times.values()) // pace + 1


def _depths(
    pipeline: Pipeline, stage: Stage, edges: list[Edge], arrive: list[np.ndarray]
) -> tuple[list[int], list[np.ndarray]]:
    """Of the FIFOs into a stage, and when they offer it the beats: they take a clock or two, for which more wait."""
    depths = _turns(stage, edges)
    while True:
        deep = [replace(e, depth=d) for e, d in zip(edges, depths, strict=True)]
        offered = [through_fifo(pipeline, e, a) for e, a in zip(deep, arrive, strict=True)]
        taken = accept_times(stage, offered)
        wanted = [_depth(pipeline, e, came, left) for e, came, left in zip(deep, arrive, taken, strict=True)]
        if wanted == depths:
            return depths, offered
        depths = [max(d, w) for d, w in zip(depths, wanted, strict=True)]


def _turns(stage: Stage, edges: list[Edge]) -> list[int]:
    """The least depths where a stage takes its inputs in turns.

    The stage before stops as a whole while it is not its turn, with beats anywhere in it: these would come late then.
    """
    while isinstance(stage, (Fused, Forked)):
        stage = stage.producer if isinstance(stage, Fused) else stage.source
    turns = stage.turns if isinstance(stage, Concat) else (0,) * len(edges)
    return [0 if e.source is None else min(turn, TURN) for e, turn in zip(edges, turns, strict=True)]


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


def _depth(pipeline: Pipeline, edge: Edge, came: np.ndarray, left: np.ndarray) -> int:
    """Of the FIFO for the beats that wait; none where registers hold them, and `edge` has none yet."""
    most = _most_waiting(came, left)
    if edge.source is None or (not edge.depth and _kept(pipeline.by_name[edge.source], most, came, left)):
        return 0
    return max(edge.depth, most)


def _kept(source: Stage, most: int, came: np.ndarray, left: np.ndarray) -> bool:
    """Whether the registers at a stage's output hold what waits, and do not stop the stage."""
    if isinstance(source, (Fork, Forked)) or (isinstance(source, Window) and source.parallel):
        return most <= OFFERED
    if isinstance(source, Width) and not source.buffered:  # must be free a clock before the next beat is whole
        return bool((left == came).all() or (left[:-1] + 1 < came[1:]).all())
    return most <= BUFFERED and not (most == BUFFERED and _stops(came, left))


def _stops(came: np.ndarray, left: np.ndarray) -> bool:
    """Whether a stage with two registers at its output must stop: it learns a clock late that one of them is free."""
    first, waited = left[:-2], came[:-2] < left[:-2]
    return bool((waited & (came[1:-1] <= first) & (came[2:] <= first + 1)).any())
