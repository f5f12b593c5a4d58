"""The estimated latency of a first frame: how it is found changes nothing. `test_branching` compares it with RTL."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw import flow
from hw.estimate import estimate_interval
from hw.latency import first_latency
from tests.branching import random_pipeline

HELD_UP = (3, 4, 8, 12, 22, 44)  # networks whose first frame waits for full FIFOs, one with a crop


@pytest.mark.parametrize("network", HELD_UP)
def test_guesses_only_save_rounds(network: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = random_pipeline(network, tmp_path)
    guessed = first_latency(pipeline)
    monkeypatch.setattr(flow, "_GUESSES", 0)
    assert guessed == first_latency(pipeline)


@pytest.mark.parametrize("network", HELD_UP)
def test_a_limit_finds_too_little(network: int, tmp_path: Path) -> None:
    pipeline = random_pipeline(network, tmp_path)
    early = [first_latency(pipeline, most) for most in (1, 1e6, 1e9)]
    assert early == sorted(early) and early[0] < early[-1] == first_latency(pipeline)


def test_what_waits_in_fifos_costs_the_first_frame_nothing_where_they_are_deep(tmp_path: Path) -> None:
    """The same network with room for whole frames is quicker; its interval stays."""
    pipeline = random_pipeline(4, tmp_path)
    beats = [pipeline.stream_from(e).beats for e in pipeline.edges]
    deep = pipeline.with_depths([max(e.depth, 3, n) if e.depth else 0 for e, n in zip(pipeline.edges, beats)])
    assert first_latency(deep) < first_latency(pipeline)
    assert estimate_interval(deep) == estimate_interval(pipeline)
