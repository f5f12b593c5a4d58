"""What a network takes as hardware at a given rate, whatever the size of the device: to compare designs of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass

from codesign.cost import Budget, Figures
from codesign.graph import Graph
from hw.cost import BOUNDLESS
from hw.estimate import estimate_cost, estimate_interval, estimate_timing
from hw.fold import Plan
from hw.pipeline import Pipeline
from hw.plan import plan_for_interval


@dataclass(frozen=True)
class Design:
    """See codesign/cost.py; one frame in `interval_cycles` at most."""

    budget: Budget
    interval_cycles: int

    @classmethod
    def beside(cls, budget: Budget, plan: Plan, pipeline: Pipeline) -> Design:
        """At the rate of a plan as folding counts it, which knows no fused stages, or as its pipeline keeps it."""
        return cls(budget, max(plan.interval_cycles, estimate_interval(pipeline)))

    def __call__(self, core: Graph, off: Collection[str]) -> Figures:
        return figures(plan_for_interval(core, self.budget.part(BOUNDLESS), self.interval_cycles, off)[1])


def figures(pipeline: Pipeline) -> Figures:
    """Of a pipeline, by its stages' cost formulas and schedules."""
    timing = estimate_timing(pipeline)
    fifo_bits = sum(e.depth * pipeline.stream_from(e).beat_bits for e in pipeline.edges)
    counts = (len(pipeline.stages), timing.latency_cycles, timing.interval_cycles, fifo_bits)
    return Figures(*counts, **asdict(estimate_cost(pipeline)))
