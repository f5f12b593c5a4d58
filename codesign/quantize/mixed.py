"""Mixed precision: the widest formats that a budget lets every layer have, where they count most.

Sensitivities are measured one knob at a time, and their sum predicts the error of a setting; the costs of the regions
add up to the network's. From the widest formats the search goes down by the step that wins most of what the budget
lacks for the least error, then up again where room is left (in the manner of HAWQ-V2, Dong et al., 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from codesign.cost import Budget, Cost, CostModel, Target
from codesign.errors import CheckFailed
from codesign.graph import Graph
from codesign.quantize.knobs import Knob, Setting, precision_for, precision_text
from codesign.quantize.prepare import Prepared
from codesign.quantize.regions import RegionCosts, core_cost
from codesign.quantize.candidates import Candidates, Sensitivity, candidates, measure, output_error

ROUNDS = 6  # of choosing, each with what the cost of the one before said of the whole beside its regions

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Choice:
    """A precision chosen by sensitivity: its file, its graph's cost, and how far off the predictions were."""

    text: str
    graph: Graph
    cost: Cost
    predicted_error: float
    measured_error: float
    sensitivity: tuple[tuple[Knob, tuple[float, ...]], ...]


def choose(found: Prepared, observer: str, apply: Callable[[], Graph]) -> None: ...


class Search:
    """Settings of least predicted error within a budget."""

    def __init__(self, regions: RegionCosts, sensitivity: Sensitivity, budget: Budget) -> None:
        self.regions, self.sensitivity, self.budget = regions, sensitivity, budget
        self.beside = Cost()  # what the whole costs beside its regions

    def excess(self, setting: Setting) -> float:
        """How far the cost overruns the budget, in budgets, summed over the resources."""
        return excess(self.regions.cost(setting) + self.beside, self.budget)

    def best(self, start: Setting) -> Setting:
        """Down from `start` until it fits, then up where room is left; CheckFailed where nothing fits."""
        setting = dict(start)
        while self.excess(setting) > 0:
            knob, option = self._step_down(setting)
            setting[knob] = option
        while (step := self._step_up(setting)) is not None:
            setting[step[0]] = step[1]
        return setting

    def _step_down(self, setting: Setting) -> tuple[Knob, int]:
        """The step that wins most for its error; of steps of one format, or where none wins, of more."""
        now = self.excess(setting)
        for far in range(1, max(len(k.options) for k in setting)):
            steps = [(k, i + far) for k, i in setting.items() if i + far < len(k.options)]
            won = {s: now - self.excess({**setting, s[0]: s[1]}) for s in steps}
            if any(v > 1e-12 for v in won.values()):
                return min((s for s in steps if won[s] > 1e-12), key=lambda s: self._added(setting, *s) / won[s])
        raise CheckFailed(self._unreachable(setting))

    def _step_up(self, setting: Setting) -> tuple[Knob, int] | None:
        """The step to a wider format that takes most error away and still fits."""
        steps = [(k, i) for k, now in setting.items() for i in range(now)]
        for step in sorted(steps, key=lambda s: self._added(setting, *s)):
            if self._added(setting, *step) < 0 and self.excess({**setting, step[0]: step[1]}) <= 0:
                return step
        return None

    def _added(self, setting: Setting, knob: Knob, option: int) -> float:
        errors = self.sensitivity.added[knob]
        return errors[option] - errors[setting[knob]]

    def _unreachable(self, setting: Setting) -> str:
        cost = self.regions.cost(setting) + self.beside
        over = self.budget.exceeded_by(cost)[0]
        return (
            f"no mixed precision fits the budget: {over.upper()} binds, {getattr(cost, over):.0f} of "
            f"{getattr(self.budget, over)} even with weights and activations as narrow as they get"
        )


def excess(cost: Cost, budget: Budget) -> float:
    """How far a cost overruns a budget, in budgets, summed over the resources."""
    return sum(max(getattr(cost, f.name) / max(getattr(budget, f.name), 1) - 1, 0.0) for f in fields(Budget))
