"""What a pipeline is estimated to cost and how fast it runs, before anything is built."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from codesign.cost import Cost
from hw.pipeline import Edge, Pipeline, Stage
from hw.stages.fifo import Fifo
from hw.timing import accept_times

FRAMES = 4


@dataclass(frozen=True)
class Timing:
    """Clock cycles from a frame's first input beat to its last output beat, and between frames back to back."""

    latency_cycles: int
    interval_cycles: int


def estimate_cost(pipeline: Pipeline) -> Cost:
    """The sum over stages and FIFOs."""
    fifos = [Fifo(pipeline.stream_from(e), e.depth).cost() for e in pipeline.edges if e.depth]
    return reduce(Cost.__add__, [*(p.stage.cost() for p in pipeline.stages), *fifos], Cost())


def estimate_timing(pipeline: Pipeline) -> Timing:
    """From the stages' own schedules: inputs offered without a gap, outputs taken at once."""
    steady = [np.arange(s.beats * FRAMES, dtype=np.int64) for _, s in pipeline.inputs]
    times = beat_times(pipeline, steady)
    ends = [_frame_ends(times[e.source, e.source_port]) for e in pipeline.into(None)]
    last = np.max(ends, axis=0)
    return Timing(int(last[0]) - _first_taken(pipeline, times) + 1, int(last[-1] - last[-2]))


def _first_taken(pipeline: Pipeline, times: dict[tuple[str | None, int], np.ndarray]) -> int:
    """Cycle of the first input beat that is taken; padding writes its border before."""
    first = []
    for placed in pipeline.stages:
        taken = accept_times(placed.stage, offered_times(pipeline, placed.name, times))
        edges = pipeline.into(placed.name)
        first += [int(t[0]) for e, t in zip(edges, taken, strict=True) if e.source is None]
    return min(first)


def beat_times(pipeline: Pipeline, arrive: list[np.ndarray]) -> dict[tuple[str | None, int], np.ndarray]:
    """Cycle of every beat at every port (stage, port; the inputs as None), when nothing is ever held up."""
    times: dict[tuple[str | None, int], np.ndarray] = {(None, k): a for k, a in enumerate(arrive)}
    for placed in pipeline.stages:
        for k, made in enumerate(placed.stage.schedule(*offered_times(pipeline, placed.name, times))):
            times[placed.name, k] = made
    return times


def offered_times(
    pipeline: Pipeline, stage: str | None, times: dict[tuple[str | None, int], np.ndarray]
) -> list[np.ndarray]:
    """Cycle in which each beat is offered to a stage (None: to the outputs), by port, behind the FIFOs."""
    return [_through_fifo(pipeline, e, times[e.source, e.source_port]) for e in pipeline.into(stage)]


def _through_fifo(pipeline: Pipeline, edge: Edge, arrive: np.ndarray) -> np.ndarray:
    if not edge.depth:
        return arrive
    (leave,) = Fifo(pipeline.stream_from(edge), edge.depth).schedule(arrive)
    return leave


def stage_interval(stage: Stage) -> int:
    """Cycles between frames of a stage by itself, its inputs offered without a gap."""
    times = stage.schedule(*(np.arange(s.beats * FRAMES, dtype=np.int64) for s in stage.inputs))
    ends = np.max([_frame_ends(t) for t in times], axis=0)
    return int(ends[-1] - ends[-2])


def _frame_ends(times: np.ndarray) -> np.ndarray:
    return times.reshape(FRAMES, -1)[:, -1]


def estimates(pipeline: Pipeline, clock_mhz: float) -> dict[str, Any]:
    """Cost and rates for the manifest, saying where they come from."""
    cost, timing = estimate_cost(pipeline), estimate_timing(pipeline)
    return {
        "source": "estimated by the stages' cost formulas and schedules",
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
