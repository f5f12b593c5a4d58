"""How foldings are chosen: within the rate, at least cost, around the resource that runs out."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost import Budget, Cost
from codesign.errors import CheckFailed
from codesign.formats import Int
from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.matmul import MatMul
from codesign.words import limits_of
from hw.choice import Choice, Menu, cheapest
from hw.describe import describe_limits
from hw.estimate import estimate_cost
from hw.fold import Plan, Space, fold
from hw.plan import pipeline_of, plan_fastest, plan_for_interval
from tests.branching import Bench, built
from tests.test_stage_matvec import weights_of

U8, I8 = Int.of(8, signed=False), Int.of(8, signed=True)
BOARD = Budget(lut=37_240, ff=63_840, dsp=209, bram36=126)


def two_layers() -> Graph:
    """uint8 (16,) -> int8 weights, twice."""
    first, second = weights_of(I8, (16, 16), seed=1), weights_of(I8, (16, 8), seed=2)
    nodes = [
        Node("w", Constant(TensorType(first.shape, I8, (1.0,)), first)),
        Node("y", MatMul(), ("x", "w")),
        Node("v", Constant(TensorType(second.shape, I8, (1.0,)), second)),
        Node("z", MatMul(), ("y", "v")),
    ]
    return Graph((Input("x", TensorType((16,), U8)),), (), ()).replace(nodes, ["z"])


def multipliers(plan: Plan) -> int:
    return sum(f.dsp > 0 for f in plan.folding.values())


def test_multipliers_are_taken_where_luts_run_out_and_only_then() -> None:
    core = two_layers()
    plenty, _ = plan_for_interval(core, BOARD, 32)
    assert multipliers(plenty) == 0
    few = replace(BOARD, lut=int(plenty.cost.lut * 0.8))
    plan, _ = plan_for_interval(core, few, 32)
    assert multipliers(plan) > 0
    assert plan.cost.dsp > 0
    with pytest.raises(CheckFailed, match="LUT binds"):
        plan_for_interval(core, replace(few, dsp=1), 32)


def test_a_resource_that_the_budget_lacks_is_not_taken() -> None:
    none = replace(BOARD, dsp=0, bram36=0)
    assert none.exceeded_by(Cost(dsp=1, bram36=0.5)) == ["dsp", "bram36"]
    scarce = replace(none, lut=1500)
    plan, pipeline = plan_fastest(two_layers(), scarce)
    assert plan.bound is not None and not scarce.exceeded_by(estimate_cost(pipeline))
    with pytest.raises(CheckFailed, match="LUT binds"):
        plan_for_interval(two_layers(), scarce, 1)


def test_another_mix_leaves_what_converters_and_fifos_take() -> None:
    """A budget that the layers' foldings keep and the whole pipeline does not."""
    core = two_layers()
    plan, pipeline = plan_for_interval(core, replace(BOARD, dsp=8), 32)
    between = replace(BOARD, dsp=8, lut=int(plan.cost.lut + estimate_cost(pipeline).lut) // 2)
    first = fold(Space(core, between), 32)
    assert between.exceeded_by(estimate_cost(pipeline_of(core, first))) == ["lut"]
    other, whole = plan_for_interval(core, between, 32)
    assert multipliers(other) > multipliers(first) and not between.exceeded_by(estimate_cost(whole))


def test_gates_that_formulas_find_too_large_are_counted() -> None:
    """Neurons that are equal are built once, which the formulas do not see."""
    weights = np.tile(weights_of(I8, (16, 4), seed=3), 4)
    nodes = [Node("w", Constant(TensorType((16, 16), I8, (1.0,)), weights)), Node("y", MatMul(), ("x", "w"))]
    core = Graph((Input("x", TensorType((16,), U8)),), (), ()).replace(nodes, ["y"])
    plan, pipeline = plan_for_interval(core, replace(BOARD, dsp=0, bram36=0), 1)
    counted = estimate_cost(pipeline)
    between = Budget(lut=int(plan.cost.lut + counted.lut) // 2, ff=BOARD.ff, dsp=0, bram36=0)
    assert plan.cost.lut < 1.5 * between.lut and counted.lut < between.lut < plan.cost.lut
    with pytest.raises(CheckFailed, match="LUT binds"):
        fold(Space(core, between), 1)
    assert estimate_cost(plan_for_interval(core, between, 1)[1]) == counted
    with pytest.raises(CheckFailed, match="LUT binds"):
        plan_for_interval(core, replace(between, lut=int(counted.lut) - 1), 1)


def test_the_fastest_plan_says_what_keeps_it_from_being_faster() -> None:
    core, small = two_layers(), Budget(lut=1500, ff=5000, dsp=8, bram36=4)
    plan, _ = plan_fastest(core, small)
    assert plan.bound is not None
    assert plan.bound.interval_cycles < plan.interval_cycles
    assert plan.bound.needs > plan.bound.budget
    with pytest.raises(CheckFailed, match=f"{plan.bound.resource.upper()} binds"):
        fold(Space(core, small), plan.bound.interval_cycles)
    assert f"{plan.bound.resource.upper()} binds" in limits_of(describe_limits(plan))


def test_where_nothing_is_faster_nothing_binds() -> None:
    plan, _ = plan_fastest(two_layers(), replace(BOARD, lut=10**6, ff=10**6))
    assert plan.interval_cycles == 1
    assert limits_of(describe_limits(plan)) == f"slowest layer: {plan.bottleneck}"


@pytest.mark.slow
def test_a_design_with_multipliers_computes_the_same_words(tmp_path: Path) -> None:
    plan, pipeline = plan_fastest(two_layers(), Budget(lut=1500, ff=5000, dsp=40, bram36=4))
    assert multipliers(plan) > 0
    Bench.of(pipeline, built(pipeline, tmp_path)).run()


@st.composite
def menus(draw: st.DrawFn) -> dict[str, Menu]:
    """Up to three layers of up to four foldings, whole costs."""

    def choice() -> Choice:
        cost = Cost(*(float(draw(st.integers(0, 9))) for _ in range(4)))
        return Choice(None, draw(st.integers(1, 5)), cost, 1)  # type: ignore[arg-type]

    layers = draw(st.integers(1, 3))
    return {f"layer{k}": Menu([choice() for _ in range(draw(st.integers(1, 4)))]) for k in range(layers)}


@settings(max_examples=200, deadline=None)
@given(menus(), st.integers(1, 5), st.integers(5, 20))
def test_the_cheapest_of_all_is_taken_where_it_fits(layers: dict[str, Menu], interval: int, size: int) -> None:
    budget = Budget(size, size, size, size)
    picked = cheapest(layers, interval, budget)
    least = {name: max(interval, int(menu.cycles[0])) for name, menu in layers.items()}
    assert all(picked[name].cycles <= least[name] for name in layers)
    within = [[c for c in menu.choices if c.cycles <= least[name]] for name, menu in layers.items()]
    every = [sum((c.cost for c in picks), Cost()) for picks in product(*within)]
    best = min(every, key=_weight)
    if not budget.exceeded_by(best):
        assert _weight(sum((c.cost for c in picked.values()), Cost())) == _weight(best)


def test_plans_that_fit_are_found_nearly_always() -> None:
    rng, found, there = np.random.default_rng(0), 0, 0
    budget = Budget(12, 12, 12, 12)
    for _ in range(200):
        costs = rng.integers(0, 9, (3, 5, 4)).astype(float)
        layers = {str(k): Menu([Choice(None, 1, Cost(*c), 1) for c in rows]) for k, rows in enumerate(costs)}  # type: ignore[arg-type]
        used = np.array([np.sum(picks, axis=0) for picks in product(*costs)])
        there += bool((used <= 12).all(axis=1).any())
        found += not budget.exceeded_by(sum((c.cost for c in cheapest(layers, 1, budget).values()), Cost()))
    assert there > 50
    assert found >= 0.95 * there


def _weight(cost: Cost) -> float:
    return cost.lut + cost.ff + cost.dsp + cost.bram36
