"""Networks whose branches meet again: the depths computed once hold under every stall, and time is as estimated.

The latency of the first frame, which arrives without a pause, is exact: FIFOs that are full hold up what it needs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hw.estimate import estimate_timing
from tests.branching import Bench, built, random_pipeline

FEW_NETWORKS, FEW_SEEDS = 3, 40
NETWORKS, SEEDS = 20, 50  # a thousand stall seeds in all


def check(network: int, seeds: int, folder: Path) -> None:
    """One build of a network: its latency and interval without stalls, its words under `seeds` seeds of stalls."""
    pipeline = random_pipeline(network, folder)
    bench = Bench.of(pipeline, built(pipeline, folder / "build"))
    result, timing = bench.run(), estimate_timing(pipeline)
    assert (result.latency_cycles, result.interval_cycles) == (timing.latency_cycles, timing.interval_cycles)
    for seed in range(seeds):
        bench.stalled(network * SEEDS + seed)


@pytest.mark.parametrize("network", range(FEW_NETWORKS))
def test_random_branches_under_stalls(network: int, tmp_path: Path) -> None:
    check(network, FEW_SEEDS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("network", range(100, 100 + NETWORKS))
def test_random_branches_under_a_thousand_seeds_of_stalls(network: int, tmp_path: Path) -> None:
    check(network, SEEDS, tmp_path)
