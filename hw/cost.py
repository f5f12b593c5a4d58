"""The cost model: what an integer graph needs on a target, its cheapest folding that reaches the rate."""

from __future__ import annotations

from dataclasses import asdict

from codesign.cost import Budget, Cost, Target
from codesign.graph import Graph
from hw.estimate import estimate_cost
from hw.fold import Space
from hw.plan import pipeline_of, plan_for_interval

BOUNDLESS = 1_000_000  # times the budget: resources weigh against each other as within it, and none runs out


def cost_of(graph: Graph, target: Target) -> Cost:
    """As `compile` estimates it, FIFOs included, also beyond the budget; the least of all where no rate is asked for.

    CheckFailed where no folding reaches the rate.
    """
    boundless = Budget(**{k: v * BOUNDLESS for k, v in asdict(target.budget).items()})
    if target.interval_cycles is None:
        space = Space(graph, boundless)
        return estimate_cost(pipeline_of(graph, space.plan(space.intervals[-1])))
    return estimate_cost(plan_for_interval(graph, boundless, target.interval_cycles)[1])
