"""The cost model: what an integer graph needs on a target, its cheapest folding that reaches the rate."""

from __future__ import annotations

from collections.abc import Collection

from codesign.cost import Cost, Target
from codesign.graph import Graph
from hw.estimate import estimate_cost
from hw.fold import Space
from hw.plan import pipeline_of, plan_for_interval

BOUNDLESS = 1_000_000  # times the budget: resources weigh against each other as within it, and none runs out


def cost_of(graph: Graph, target: Target, off: Collection[str] = ()) -> Cost:
    """As `compile` estimates it, FIFOs included, also beyond the budget; the least of all where no rate is asked for.

    `off`: the fusions that are switched off. CheckFailed where no folding reaches the rate.
    """
    boundless = target.budget.part(BOUNDLESS)
    if target.interval_cycles is None:
        space = Space(graph, boundless)
        return estimate_cost(pipeline_of(graph, space.plan(space.intervals[-1]), off))
    return estimate_cost(plan_for_interval(graph, boundless, target.interval_cycles, off)[1])
