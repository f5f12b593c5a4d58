"""The cost model's constants: they come out of the fit, all are in use, and they say what Yosys makes of stages."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks.batches import synthesized
from benchmarks.cost_designs import Design
from benchmarks.cost_fit import Point, errors, fit
from benchmarks.cost_model import FF_BAR, LUT_BAR, gates
from benchmarks.cost_stages import samples
from codesign.cost import Cost
from hw import fitted
from hw.fitted import FILE, replaced
from hw.pipeline import counted
from tests.models import cnn, mlp

TINY = {"matvec": 0, "serial window": 1, "parallel window": 0, "width": 0, "fifo": 1, "pad": 1, "fused": 1, "pool": 1}


def test_the_fit_finds_the_constants_that_made_the_points() -> None:
    true, counts = {"a bit": 0.5, "one": 7.0}, (10, 40, 90, 200)

    def made(bits: int, by: Mapping[str, float] | None = None) -> Cost:
        a, b = (by or {n: fitted.fitted(n) for n in true}).values()
        return Cost(lut=a * bits + b, ff=bits)

    points = [Point(f"{n}", lambda n=n: made(n), made(n, true)) for n in counts]
    found = fit(points, {"a bit": 1.0, "one": 4.0})
    assert found == pytest.approx(true, rel=0.05)
    with replaced(found):
        assert np.abs(errors(points)).max() < 0.02


class Noting(dict[str, float]):
    """Constants that note which are read."""

    def __init__(self, values: Mapping[str, float]) -> None:
        super().__init__(values)
        self.read = set[str]()

    def __getitem__(self, name: str) -> float:
        self.read.add(name)
        return super().__getitem__(name)


def test_every_constant_is_fitted_to_some_stage() -> None:
    noting = Noting(json.loads(FILE.read_text()))
    assert min(noting.values()) >= 0
    with replaced(noting):
        for s in samples():
            counted(s.stage)
            for point in gates(s.stage):
                point.estimate()
    # Staircases in netlists are counted; edges are fitted to networks.
    assert set(noting) - noting.read == {"unrolled.stair bit", "edge.one"}


def test_estimates_are_near_what_yosys_finds() -> None:
    stages = [s.stage for s in samples() if TINY.get(s.family) == s.seed]
    assert len(stages) == len(TINY)
    for stage, used in zip(stages, synthesized(stages), strict=True):
        cost = counted(stage)
        assert cost.lut == pytest.approx(used.lut_paired, rel=0.15, abs=4), stage
        assert cost.ff == pytest.approx(used.ff, rel=FF_BAR, abs=4), stage
        assert (cost.dsp, cost.bram36) == (used.dsp, used.bram36), stage


@pytest.mark.slow
@pytest.mark.parametrize("model", [mlp, cnn])
def test_designs_that_nothing_was_fitted_to(model) -> None:
    design = Design("small", model)
    estimated, used = design.estimated, design.synthesized
    assert estimated.lut == pytest.approx(used.lut_paired, rel=LUT_BAR)
    assert estimated.ff == pytest.approx(used.ff, rel=FF_BAR)
    assert (estimated.dsp, estimated.bram36) == (used.dsp, used.bram36)
    assert design.timing == design.simulated
