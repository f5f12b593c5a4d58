"""Stages whose memory takes several banks of block RAM: the choice among those, under stalls."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.stage_timing import reflected, transposed
from codesign.formats import Int
from hw.memory import banks_of, choices_of, in_blocks
from hw.pipeline import Stage
from hw.stages.fifo import Fifo
from hw.stages.matvec import MatVec
from hw.stages.window import Window
from hw.stream import StreamType
from tests.stage_harness import check_schedule, check_stage, random_frames

U4, U8, I4 = Int(0, 15), Int(0, 255), Int(-8, 7)


def product(k: int, n: int, simd: int) -> MatVec:
    weights = np.random.default_rng(0).integers(I4.lo, I4.hi + 1, (k, n))
    return MatVec(StreamType((2, k), U8, simd), weights, I4, 1, simd)


LONG = "vector read again"
STAGES: dict[str, tuple[Stage, int, int]] = {
    "reorder": (transposed(StreamType((14, 50, 26), U4, 26)), 1400, 2),
    "fifo": (Fifo(StreamType((1500, 26), U4, 26), 1400), 1400, 2),
    "gather": (reflected(StreamType((4, 500, 26), U4, 26), rows=1), 1500, 2),
    "serial window": (Window(StreamType((4, 40, 416), U4, 26), (2, 2)), 1344, 2),
    "parallel window": (Window(StreamType((4, 1400, 13), U4, 13), (3, 3), parallel=True), 1400, 2),
    LONG: (product(2050 * 9, 2, 9), 8192, 2),
}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name == LONG else name for name in STAGES]


@pytest.mark.parametrize("name", NAMES)
def test_stages_of_several_banks(name: str) -> None:
    stage, depth, banks = STAGES[name]
    bits = {"parallel window": 2}.get(name, 1) * stage.inputs[0].beat_bits
    assert in_blocks(depth, bits) and len(banks_of(depth, bits)) == banks and choices_of(depth, bits)
    frames = random_frames(stage, 1, seed=7)
    check_stage(stage, frames, seeds=(8,), reset=False)
    check_schedule(stage, frames, seeds=(9,))
