"""Folding and pipeline together: what converters and FIFOs add is counted, and the rate is that of the whole."""

from __future__ import annotations

from collections.abc import Collection

from codesign.cost import Budget, Cost
from codesign.errors import CheckFailed
from codesign.graph import Graph
from hw.estimate import estimate_cost, estimate_timing
from hw.fifo import with_fifos
from hw.fold import Plan, Space, fold
from hw.fuse import fuse
from hw.lower import lower
from hw.pipeline import Pipeline

MODEST = 0.25  # of a budget, where no rate is asked for


def pipeline_of(core: Graph, plan: Plan, off: Collection[str] = ()) -> Pipeline:
    """The pipeline of a plan, FIFOs included; `off`: the fusions that are switched off."""
    return with_fifos(fuse(lower(core, plan.folding, plan.input_lanes), off))


def plan_for_interval(
    core: Graph, budget: Budget, interval_cycles: int, off: Collection[str] = ()
) -> tuple[Plan, Pipeline]:
    """The cheapest plan of at most `interval_cycles` a frame; CheckFailed says what binds where there is none."""
    space, wanted = Space(core, budget), interval_cycles
    while True:
        plan = fold(space, wanted)
        pipeline = pipeline_of(core, plan, off)
        excess = estimate_timing(pipeline).interval_cycles - interval_cycles
        if excess <= 0:
            break
        wanted = min(wanted - excess, plan.interval_cycles - 1)  # a stage takes more a frame than its beats
    over = budget.exceeded_by(estimate_cost(pipeline))
    if over:
        used = getattr(estimate_cost(pipeline), over[0])
        raise CheckFailed(
            f"one frame in {interval_cycles} cycles needs {used:.0f} {over[0].upper()} of {getattr(budget, over[0])}, "
            f"width converters and FIFOs included: {over[0].upper()} binds, layer '{plan.bottleneck}' is the slowest"
        )
    return plan, pipeline


def plan_fastest(core: Graph, budget: Budget, off: Collection[str] = ()) -> tuple[Plan, Pipeline]:
    """The fastest plan within a budget; CheckFailed where even the slowest does not fit."""
    space = Space(core, budget)
    return _fastest(space, budget, off) or _slowest(space, budget, off)


def plan_modest(core: Graph, budget: Budget, off: Collection[str] = ()) -> tuple[Plan, Pipeline]:
    """The fastest plan within a share of a budget; where that is too little, within all of it."""
    space = Space(core, budget)
    modest = _fastest(space, budget.part(MODEST), off)
    return modest or _fastest(space, budget, off) or _slowest(space, budget, off)


def _fastest(space: Space, budget: Budget, off: Collection[str]) -> tuple[Plan, Pipeline] | None:
    """The fastest plan that leaves of the budget what converters and FIFOs were seen to take."""
    added = Cost()
    while True:
        plan = space.fastest(budget.less(added))
        if plan is None:
            return None
        pipeline = fuse(lower(space.core, plan.folding, plan.input_lanes), off)
        if not budget.exceeded_by(estimate_cost(pipeline)):  # FIFOs only add, and take long to compute
            pipeline = with_fifos(pipeline)
        cost = estimate_cost(pipeline)
        if not budget.exceeded_by(cost):
            return plan, pipeline
        before, added = added, added.most(cost + plan.cost * -1)
        if added == before:
            return None


def _slowest(space: Space, budget: Budget, off: Collection[str]) -> tuple[Plan, Pipeline]:
    """Everything folded as far as possible; CheckFailed where that does not fit either."""
    plan = space.slowest
    pipeline, cost, counted = None, plan.cost, ""
    if not budget.exceeded_by(cost):
        pipeline = pipeline_of(space.core, plan, off)
        cost, counted = estimate_cost(pipeline), ", width converters and FIFOs included"
    over = budget.exceeded_by(cost)
    if pipeline is not None and not over:
        return plan, pipeline
    raise CheckFailed(
        f"the network does not fit: folded as far as possible it needs {getattr(cost, over[0]):.0f} "
        f"{over[0].upper()} of {getattr(budget, over[0])}{counted}"
    )
