"""Which of two networks that do the same costs less: what fusions ask that may make a network dearer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from codesign.cost import Budget
from codesign.errors import UserError
from codesign.graph import Graph
from hw.estimate import estimate_cost
from hw.fold import Space
from hw.plan import pipeline_of

STEP = 4  # between the intervals at which networks are compared where no rate is asked for


@dataclass(frozen=True)
class Compare:
    """See codesign/cost.py. The rate is one frame in `interval_cycles`; None: the mean over the rates that fit.

    `off`: the fusions of stages that are switched off.
    """

    budget: Budget
    interval_cycles: int | None = None
    off: frozenset[str] = frozenset()

    def __call__(self, before: Graph, after: Graph) -> float:
        try:
            spaces = [Space(core, self.budget) for core in (before, after)]
        except UserError:  # some layer of `after` has no hardware
            return inf
        return float(np.mean([self._weight(spaces[1], n) / self._weight(spaces[0], n) for n in self._rates(*spaces)]))

    def _rates(self, before: Space, after: Space) -> Iterator[int]:
        """Cycles a frame: what is asked for or the least that `before` reaches, else all that both have room for."""
        if self.interval_cycles is not None:
            yield max(self.interval_cycles, before.least)
            return
        cycles = max((space.fastest(self.budget) or space.slowest).interval_cycles for space in (before, after))
        while cycles < STEP * max(before.intervals[-1], after.intervals[-1]):
            yield cycles
            cycles *= STEP

    def _weight(self, space: Space, cycles: int) -> float:
        """Share of the budget at a rate, converters and FIFOs included; infinite where the rate is not reached."""
        plan = space.plan(cycles)
        if plan.interval_cycles > cycles:
            return inf
        return space.weight(estimate_cost(pipeline_of(space.core, plan, self.off)))
