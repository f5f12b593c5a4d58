"""The generated RTL against golden integers, on many frames, by either engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import CheckFailed
from hw.estimate import Timing, rates
from hw.pipeline import Pipeline
from hw.stream import pack, unpack
from sim.cocotb_run import run_cocotb
from sim.compare import first_difference
from sim.design import Design
from sim.simulator import SimResult, Stalled
from sim.stalls import Stalls
from sim.verilator import build as build_simulator

TIMING_FRAMES = 4
TRACED_FRAMES = 2


@dataclass(frozen=True)
class Shown:
    """Outputs by tensor name, all equal to the golden ones; timing measured in a run without stalls."""

    outputs: dict[str, np.ndarray]
    frames: int
    words: int
    cycles: int
    latency_cycles: int
    interval_cycles: int | None

    def described(self, clock_mhz: float) -> dict[str, Any]:
        """As the report has it."""
        counts = {"samples": self.frames, "words": self.words, "mismatches": 0, "cycles": self.cycles}
        if self.interval_cycles is None:
            return {**counts, "latency_cycles": self.latency_cycles}
        return {**counts, **rates(Timing(self.latency_cycles, self.interval_cycles), clock_mhz)}


def simulate(
    build: Path, pipeline: Pipeline, inputs: Mapping[str, np.ndarray], golden: Mapping[str, np.ndarray], engine: str,
    stall_seed: int | None, waves: Path | None, progress: Callable[[int, int], None],
) -> Shown:  # fmt: skip
    """Run every frame; CheckFailed names the first stage, index and values that differ."""
    design = Design.from_build(build)
    words = [pack(inputs[name], stream) for name, stream in pipeline.inputs]
    expected = [pack(golden[name], stream) for name, stream in pipeline.outputs]
    stalls = None if stall_seed is None else Stalls(stall_seed)
    if engine == "cocotb":
        result = run_cocotb(build, words, stalls, waves)
    else:
        result = _run_fast(design, words, stalls, waves, progress)
    _compare(design, pipeline, inputs, words, expected, result, stalls)
    timing = result if stalls is None else _run_fast(design, [w[:TIMING_FRAMES] for w in words], None, None, progress)
    return Shown(
        {name: unpack(w, s) for w, (name, s) in zip(result.outputs, pipeline.outputs, strict=True)},
        len(words[0]),
        sum(e.shape[0] * e.shape[1] for e in expected),
        result.cycles,
        timing.latency_cycles,
        timing.interval_cycles,
    )


def _run_fast(
    design: Design, words: list[np.ndarray], stalls: Stalls | None, waves: Path | None,
    progress: Callable[[int, int], None],
) -> SimResult:  # fmt: skip
    try:
        return build_simulator(design, waves=waves).run(words, len(words[0]), stalls, progress=progress)
    except Stalled:
        # once more with the edges in sight: that run's message names the one that blocks
        build_simulator(design, taps=True).run(words, len(words[0]), stalls, progress=progress)
        raise


def _compare(
    design: Design, pipeline: Pipeline, inputs: Mapping[str, np.ndarray], words: list[np.ndarray],
    expected: list[np.ndarray], result: SimResult, stalls: Stalls | None,
) -> None:  # fmt: skip
    """CheckFailed at the first wrong frame, traced through every edge."""
    wrong = [
        (got != want).reshape(len(want), -1).any(axis=1) for got, want in zip(result.outputs, expected, strict=True)
    ]
    frames = np.flatnonzero(np.any(wrong, axis=0))
    if not len(frames):
        return
    # frames before the wrong one run with it, for state that leaks from one to the next
    span = slice(max(0, int(frames[0]) - TRACED_FRAMES), int(frames[0]) + 1)
    traced = build_simulator(design, taps=True).run([w[span] for w in words], span.stop - span.start, stalls)
    values = pipeline.golden(*(inputs[name][span] for name, _ in pipeline.inputs))
    edges = {k: pack(v, pipeline.stream_from(pipeline.edges[k])) for k, v in enumerate(values)}
    difference = first_difference(design, traced, [e[span] for e in expected], edges)
    where = difference or "the difference does not show when these frames run alone: state leaks between frames"
    raise CheckFailed(f"{len(frames)} of {len(words[0])} frames differ from the integer emulator; {where}")
