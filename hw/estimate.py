"""What a pipeline is estimated to cost and how fast it runs, before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from codesign.cost import Cost
from hw.content import by_content
from hw.fitted import fitted
from hw.latency import first_latency
from hw.loops import counters_cost
from hw.pipeline import Edge, Pipeline, Stage, counted
from hw.stages.fifo import Fifo

FRAMES, FEWER = 4, 2
MANY_BEATS = 1 << 19  # a frame: beyond, fewer frames are followed; the second one is already as all that come


@dataclass(frozen=True)
class Timing:
    """Clock cycles from a frame's first input beat to its last output beat, and between frames back to back."""

    latency_cycles: int
    interval_cycles: int


def estimate_cost(pipeline: Pipeline) -> Cost:
    """Sites and the rest: stages (counted where a stage's circuit is there already), FIFOs, and the ends of frames."""
    fifos = [Fifo(pipeline.stream_from(e), e.depth).cost() for e in pipeline.edges if e.depth]
    ends = counters_cost([stream.beats for _, stream in pipeline.outputs]) + Cost(ff=1)  # and the reset
    inner = sum(e.source is not None and e.target is not None for e in pipeline.edges)
    ends += Cost(lut=-fitted("edge.one")) * inner  # small LUTs of neighbours share sites, too
    return reduce(Cost.__add__, [*(counted(p.stage) for p in pipeline.stages), *fifos], ends)


def estimate_timing(pipeline: Pipeline) -> Timing:
    """From the stages' own schedules: inputs offered without a gap, outputs taken at once."""
    return Timing(first_latency(pipeline), estimate_interval(pipeline))


def estimate_interval(pipeline: Pipeline) -> int:
    """Cycles from frame to frame; FIFOs are deep enough for frames at that pace, so that nothing is held up."""
    frames, last = frames_of(pipeline), np.zeros(0)
    steady = [np.arange(s.beats * frames, dtype=np.int64) for _, s in pipeline.inputs]
    for name, offered in offered_times(pipeline, steady):
        if name is None:
            last = np.max([_frame_ends(t, frames) for t in offered], axis=0)
    return int(last[-1] - last[-2])


def frames_of(pipeline: Pipeline) -> int:
    """How many frames to follow through a pipeline."""
    return min(_frames(p.stage) for p in pipeline.stages)


def _frames(stage: Stage) -> int:
    return FRAMES if max(s.beats for s in (*stage.inputs, *stage.outputs)) <= MANY_BEATS else FEWER


def offered_times(pipeline: Pipeline, arrive: list[np.ndarray]) -> Iterator[tuple[str | None, list[np.ndarray]]]:
    """Stage after stage, the outputs (None) last: cycle in which each beat is offered to it, by port, behind the FIFOs.

    Nothing is ever held up. Cycles are forgotten once they have been read: those of large images fill memories.
    """
    times: dict[tuple[str | None, int], np.ndarray] = {(None, k): a for k, a in enumerate(arrive)}
    for name in (*(p.name for p in pipeline.stages), None):
        offered = [through_fifo(pipeline, e, times.pop((e.source, e.source_port))) for e in pipeline.into(name)]
        yield name, offered
        if name is not None:
            times.update({(name, k): made for k, made in enumerate(pipeline.by_name[name].schedule(*offered))})


def through_fifo(pipeline: Pipeline, edge: Edge, arrive: np.ndarray) -> np.ndarray:
    """Cycles in which beats leave an edge's FIFO, where it has one."""
    if not edge.depth:
        return arrive
    (leave,) = Fifo(pipeline.stream_from(edge), edge.depth).schedule(arrive)
    return leave


@by_content(most=4096)
def stage_interval(stage: Stage) -> int:
    """Cycles between frames of a stage by itself, its inputs offered without a gap."""
    frames = _frames(stage)
    times = stage.schedule(*(np.arange(s.beats * frames, dtype=np.int64) for s in stage.inputs))
    ends = np.max([_frame_ends(t, frames) for t in times], axis=0)
    return int(ends[-1] - ends[-2])


def _frame_ends(times: np.ndarray, frames: int) -> np.ndarray:
    return times.reshape(frames, -1)[:, -1]


def estimates(pipeline: Pipeline, clock_mhz: float) -> dict[str, Any]:
    """Cost and rates for the manifest, saying where they come from."""
    cost, timing = estimate_cost(pipeline), estimate_timing(pipeline)
    return {
        "source": "estimated by the stages' cost formulas and schedules, products' gates counted; LUT paired",
        **{k: round(v, 1) for k, v in asdict(cost).items()},
        **rates(timing, clock_mhz),
    }


def rates(timing: Timing, clock_mhz: float) -> dict[str, Any]:
    """Cycles, and what they mean at a clock; the rate is that of the fabric alone."""
    return {
        "latency_cycles": timing.latency_cycles,
        "interval_cycles": timing.interval_cycles,
        "clock_mhz": clock_mhz,
        "latency_us": round(timing.latency_cycles / clock_mhz, 3),
        "fabric_fps": round(clock_mhz * 1e6 / timing.interval_cycles, 1),
    }
