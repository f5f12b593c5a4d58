"""Mixed precision: the widest formats where they count most, as a budget allows.

Sensitivities are measured one knob at a time, and their sum predicts the error of a setting; the costs of the regions
add up to the network's. From the widest formats the search goes down by the step that wins most of what the budget
lacks for the least error, then up again where room is left (in the manner of HAWQ-V2, Dong et al., 2020). What is
chosen is then quantized and costed as a whole; where that does not fit, the search starts again with what it learned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from codesign.cost import Budget, Cost
from codesign.errors import CheckFailed, UserError
from codesign.graph import Graph
from codesign.quantize import Quantized, apply
from codesign.quantize.candidates import Candidates, Sensitivity, candidates, measure, output_error
from codesign.quantize.choose_ranges import MEASURED, OTHERWISE
from codesign.quantize.knobs import Knob, Setting, precision_for, precision_text
from codesign.quantize.prepare import canonical, prepare
from codesign.quantize.regions import Price, RegionCosts

ROUNDS = 8  # of choosing, each knowing what those before cost as a whole
LEAST_WIN = 1e-9  # of a budget
MARGIN = 0.02  # of a budget, by which candidates are costed apart from what they become


@dataclass(frozen=True)
class Mixed:
    """What was chosen (`text`: its precision file) within which budget, and what was expected of it and came true."""

    text: str
    budget: Budget
    cost: Cost
    predicted_error: float
    measured_error: float
    knobs: tuple[tuple[Knob, tuple[float, ...], int], ...]

    def to_dict(self) -> dict[str, Any]:
        knobs = [
            {"kind": k.kind, "layers": list(k.labels), "chosen": k.options[i], "added_error": dict(zip(k.options, e))}
            for k, e, i in self.knobs
        ]
        errors = {"predicted_error": self.predicted_error, "measured_error": self.measured_error}
        budget, cost = asdict(self.budget), {k: round(v, 1) for k, v in asdict(self.cost).items()}
        return {"file": self.text.splitlines(), "budget": budget, "estimated": cost, **errors, "knobs": knobs}


def quantize_mixed(
    graph: Graph, samples: Mapping[str, np.ndarray], price: Price, observer: str, steps: Collection[str],
    progress: Callable[[str], None],
) -> tuple[Quantized, Mixed]:  # fmt: skip
    """Quantize a real graph within the budget of the price's target; CheckFailed says what binds where nothing fits."""
    real, layers, kept = canonical(graph)
    if kept:
        raise UserError("some weights are quantized already; --precision mixed chooses the formats of all")
    found = prepare(real, layers, kept, samples, steps, progress)
    # what serves best depends on the formats, which are open here
    given = candidates(found, OTHERWISE if observer == MEASURED else observer, steps, progress)
    sensitivity = measure(given, progress)
    search = Search(RegionCosts(given, price, progress), sensitivity, price.target.budget)
    setting, cost = given.widest, price.of(given.graph(given.widest))

    def tried(setting: Setting) -> tuple[Quantized, Mixed]:
        """A setting quantized as a whole; its cost may be beyond the budget."""
        result = apply(found, precision_for(found, setting), observer, steps, progress)
        error = output_error(found.real, result.graph, found.samples)
        knobs = tuple((k, sensitivity.added[k], i) for k, i in setting.items())
        text, cost = precision_text(found, setting), price.of(result.graph)
        return result, Mixed(text, search.budget, cost, sensitivity.error(setting), error, knobs)

    for _ in range(ROUNDS):
        search.learn(setting, cost)
        setting = search.best(given.widest)
        best = tried(setting)
        cost = best[1].cost
        if not search.budget.exceeded_by(cost):
            alike = [tried(s) for s in _alike(given, price)]  # what is predicted is not always what comes true
            fit = [t for t in alike if not search.budget.exceeded_by(t[1].cost)]
            return min(best, *fit, key=lambda t: t[1].measured_error) if fit else best
    raise CheckFailed(search.unreachable(cost))


def _alike(given: Candidates, price: Price) -> list[Setting]:
    """The widest formats, the same for all layers, that just about fit; none where not even the narrowest do."""
    nearly = price.target.budget.part(1 + MARGIN)
    for level in range(max(len(k.options) for k in given.knobs)):
        setting = {k: min(level, len(k.options) - 1) for k in given.knobs}
        if not nearly.exceeded_by(price.of(given.graph(setting))):
            return [setting]
    return []


class Search:
    """Settings of little predicted error within a budget."""

    def __init__(self, regions: RegionCosts, sensitivity: Sensitivity, budget: Budget) -> None:
        self.regions, self.sensitivity, self.budget = regions, sensitivity, budget
        self.beside: Cost | None = None  # the most that the whole was seen to cost beside its regions

    def learn(self, setting: Setting, whole: Cost) -> None:
        """Take into account what a setting costs as a whole."""
        more = whole + self.regions.cost(setting) * -1
        known = self.beside or more
        self.beside = Cost(*(max(getattr(known, f.name), getattr(more, f.name)) for f in fields(Cost)))

    def best(self, start: Setting) -> Setting:
        """Down from `start` until it fits, then up where room is left; CheckFailed where nothing fits."""
        setting = dict(start)
        while (now := self._excess(setting)) > 0:
            knob, option = self._step_down(setting, now)
            setting[knob] = option
        while (step := self._step_up(setting)) is not None:
            setting[step[0]] = step[1]
        return setting

    def _cost(self, setting: Setting) -> Cost:
        return self.regions.cost(setting) + (self.beside or Cost())

    def _excess(self, setting: Setting) -> float:
        """How far the cost overruns the budget, in budgets, summed over the resources."""
        cost = self._cost(setting)
        return sum(max(getattr(cost, f.name) / max(getattr(self.budget, f.name), 1) - 1, 0) for f in fields(Budget))

    def _step_down(self, setting: Setting, now: float) -> tuple[Knob, int]:
        """The step that wins most for its error; to the next format, or where none wins anything further down."""
        for far in range(1, max(len(k.options) for k in setting)):
            steps = [(k, i + far) for k, i in setting.items() if i + far < len(k.options)]
            won = {step: now - self._excess({**setting, step[0]: step[1]}) for step in steps}
            winning = [step for step in steps if won[step] > LEAST_WIN]
            if winning:
                return min(winning, key=lambda step: self._added(setting, *step) / won[step])
        raise CheckFailed(self.unreachable(self._cost(setting)))

    def _step_up(self, setting: Setting) -> tuple[Knob, int] | None:
        """The step to a wider format that takes most error away and still fits."""
        steps = [(k, i) for k, now in setting.items() for i in range(now)]
        for step in sorted(steps, key=lambda s: self._added(setting, *s)):
            if self._added(setting, *step) < 0 and not self._excess({**setting, step[0]: step[1]}):
                return step
        return None

    def _added(self, setting: Setting, knob: Knob, option: int) -> float:
        errors = self.sensitivity.added[knob]
        return errors[option] - errors[setting[knob]]

    def unreachable(self, cost: Cost) -> str:
        """What binds where a cost cannot be made less."""
        over = self.budget.exceeded_by(cost)[0]
        return (
            f"no mixed precision fits the budget: {over.upper()} binds, {getattr(cost, over):.1f} of "
            f"{getattr(self.budget, over)} when no narrower format makes it less; give more {over.upper()}, or a lower "
            "--target-fps"
        )
