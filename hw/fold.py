"""How parallel each layer is: the cheapest folding that keeps up with a rate, within a board's budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import reduce

from codesign.cost import Budget, Cost
from codesign.errors import CheckFailed
from codesign.graph import Constant, Graph, Node
from codesign.ops.integer import Center
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from hw.layers import Folding, layer_of
from hw.lower import FREE
from hw.stages.unrolled import Unrolled
from hw.style import AUTO, Style

ACTIVATIONS = (Threshold, Table, Requant, Center)  # take over the lanes of what they follow


@dataclass(frozen=True)
class Choice:
    """One folding of one layer: cycles a frame, and the cost of it and of the activations that follow."""

    folding: Folding
    cycles: int
    cost: Cost


@dataclass(frozen=True)
class Plan:
    """The folding of every layer; `bottleneck`: the slowest one."""

    folding: Mapping[str, Folding]
    input_lanes: Mapping[str, int]
    cost: Cost
    interval_cycles: int
    bottleneck: str


def fold(space: Space, interval_cycles: int) -> Plan:
    """The cheapest plan of at most `interval_cycles` a frame; CheckFailed says what binds where there is none."""
    plan, budget = space.plan(interval_cycles), space.budget
    if plan.interval_cycles > interval_cycles:
        raise CheckFailed(
            f"no folding reaches one frame in {interval_cycles} cycles: layer '{plan.bottleneck}' needs "
            f"{plan.interval_cycles} even when it is fully parallel"
        )
    over = budget.exceeded_by(plan.cost)
    if over:
        raise CheckFailed(_over_budget(over[0], plan, budget, interval_cycles, space.fastest(budget)))
    return plan


def _over_budget(over: str, plan: Plan, budget: Budget, wanted: int, fastest: Plan | None) -> str:
    text = (
        f"one frame in {wanted} cycles needs {getattr(plan.cost, over):.0f} {over.upper()} of "
        f"{getattr(budget, over)}: {over.upper()} binds, layer '{plan.bottleneck}' is the slowest"
    )
    return f"{text}; the fastest that fits takes {fastest.interval_cycles} cycles a frame" if fastest else text


class Space:
    """Every folding of every layer of a graph, costed once."""

    def __init__(self, core: Graph, budget: Budget, style: Style = AUTO) -> None:
        self.core, self.budget, self.style = core, budget, style
        self._activations: dict[tuple[str, int], Cost] = {}
        given = {i.name for i in core.inputs}
        self.layers = [
            n
            for n in core.nodes
            if not isinstance(n.op, (Constant, *FREE))
            and (not isinstance(n.op, ACTIVATIONS) or (n.inputs[0] in given and not isinstance(n.op, Center)))
        ]
        self.choices = {n.name: self._pareto(n) for n in self.layers}
        cycles = {c.cycles for choices in self.choices.values() for c in choices}
        self.least = max((choices[0].cycles for choices in self.choices.values()), default=1)
        self.intervals = sorted(c for c in cycles if c >= self.least)

    def _pareto(self, node: Node) -> list[Choice]:
        """The foldings that no other beats in both cycles and cost, the fastest first."""
        layer = layer_of(self.core, node)
        foldings = self.style.offers(self.core, node, layer.foldings(self.core, node))
        every = [Choice(f, layer.cycles(self.core, node, f), self._cost(node, f)) for f in foldings]
        every.sort(key=lambda c: (c.cycles, self.weight(c.cost)))
        best: list[Choice] = []
        for choice in every:
            if not best or self.weight(choice.cost) < self.weight(best[-1].cost):
                best.append(choice)
        return best

    def _cost(self, node: Node, folding: Folding) -> Cost:
        """Of a layer and the activations behind it."""
        own = [stage for _, stage in layer_of(self.core, node).stages(self.core, node, folding)]
        if own and isinstance(own[-1], Unrolled):  # which takes the functions into its netlist
            formats = [self.core.types[n.name].format for n in self._followers(node)]
            behind = [own[-1].cost_behind(f) for f in formats if f is not None]
        else:
            behind = [self._activation_cost(n, folding.lanes_out) for n in self._followers(node)]
        return reduce(Cost.__add__, (*(stage.cost() for stage in own), *behind), Cost())

    def _activation_cost(self, node: Node, lanes: int) -> Cost:
        """Of one activation; many foldings of the layer before it share it."""
        if (node.name, lanes) not in self._activations:
            chain = layer_of(self.core, node).stages(self.core, node, Folding(lanes, lanes))
            self._activations[node.name, lanes] = reduce(Cost.__add__, (s.cost() for _, s in chain), Cost())
        return self._activations[node.name, lanes]

    def _followers(self, node: Node) -> list[Node]:
        readers = [r for r in self.core.readers[node.name] if isinstance(r.op, (Threshold, Table, Requant))]
        return [n for r in readers for n in (r, *self._followers(r))]

    def weight(self, cost: Cost) -> float:
        """One number for a cost: the sum of the shares of the budget."""
        return sum(getattr(cost, f.name) / max(getattr(self.budget, f.name), 1) for f in fields(Cost))

    def plan(self, interval: int) -> Plan:
        """For each layer the cheapest folding within the interval, or within the least that all of them reach."""
        interval = max(interval, self.least)
        picked = {n.name: [c for c in self.choices[n.name] if c.cycles <= interval][-1] for n in self.layers}
        folding = {k: c.folding for k, c in picked.items()}
        self._follow(folding)
        cost = reduce(Cost.__add__, (c.cost for c in picked.values()), Cost())
        slowest = max(self.layers, key=lambda n: picked[n.name].cycles)
        name = slowest.origin or slowest.name
        return Plan(folding, self._input_lanes(folding), cost, picked[slowest.name].cycles, name)

    def _follow(self, folding: dict[str, Folding]) -> None:
        """Activations run with the lanes that arrive."""
        lanes: dict[str, int] = {k: f.lanes_out for k, f in folding.items()}
        for node in self.core.nodes:
            if node.name in folding or isinstance(node.op, Constant):
                continue
            lanes[node.name] = lanes.get(node.inputs[0], 1)
            if isinstance(node.op, ACTIVATIONS):
                folding[node.name] = Folding(lanes[node.name], lanes[node.name])

    def _input_lanes(self, folding: Mapping[str, Folding]) -> dict[str, int]:
        """Each input arrives with the lanes of its first reader."""
        lanes = {}
        for i in self.core.inputs:
            name = i.name
            while name not in folding or name == i.name:
                reader = self.core.readers[name][0]
                name = reader.name
            lanes[i.name] = folding[name].lanes_in
        return lanes

    @property
    def slowest(self) -> Plan:
        """Everything folded as far as possible."""
        return self.plan(self.intervals[-1])

    def fastest(self, budget: Budget) -> Plan | None:
        """The fastest plan within a budget, by bisection: a longer interval never costs more."""
        low, high, best = 0, len(self.intervals) - 1, None
        while low <= high:
            middle = (low + high) // 2
            plan = self.plan(self.intervals[middle])
            if budget.exceeded_by(plan.cost):
                low = middle + 1
            else:
                best, high = plan, middle - 1
        return best
