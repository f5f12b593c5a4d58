"""How parallel each layer is: the cheapest folding that keeps up with a rate, within a board's budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import reduce

from codesign.cost import Budget, Cost
from codesign.errors import CheckFailed
from codesign.graph import Constant, Graph, Node
from codesign.ops.integer import Center
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from hw.channels import NO_MORE, Channels, widened
from hw.choice import Choice, Menu, cheapest
from hw.content import by_content
from hw.divisors import divisors
from hw.layer import stream_of
from hw.layers import Folding, borders, layer_of
from hw.lower import FREE
from hw.pipeline import Stage
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.matvec import MatVec
from hw.stages.unrolled import Unrolled
from hw.stages.width import Width
from hw.style import AUTO, Style

ACTIVATIONS = (Threshold, Table, Requant, Center)  # take over the lanes of what they follow


@dataclass(frozen=True)
class Bound:
    """What keeps a plan from being faster: one frame in `interval_cycles` would need so much of a resource."""

    resource: str
    interval_cycles: int
    needs: float
    budget: float

    def beside(self, added: Cost) -> Bound:
        """With what converters and FIFOs take counted on both sides."""
        more = getattr(added, self.resource)
        return replace(self, needs=self.needs + more, budget=self.budget + more)


@dataclass(frozen=True)
class Plan:
    """The folding of every layer; `bottleneck`: the slowest one; `bound`: None where no folding at all is faster.

    `channels`: of the tensors that have more in hardware (hw/channels.py).
    """

    folding: Mapping[str, Folding]
    input_lanes: Mapping[str, int]
    cost: Cost
    interval_cycles: int
    bottleneck: str
    bound: Bound | None = None
    channels: Channels = field(default_factory=dict)


class OverBudget(CheckFailed):
    """A rate that needs more than there is."""


def fold(space: Space, interval_cycles: int, within: Budget | None = None) -> Plan:
    """The cheapest plan of at most `interval_cycles` a frame; CheckFailed says what binds where there is none.

    `within`: less than the budget, which the plan keeps if any does.
    """
    plan, budget = space.plan(interval_cycles, within), space.budget
    if plan.interval_cycles > interval_cycles:
        raise CheckFailed(
            f"no folding reaches one frame in {interval_cycles} cycles: layer '{plan.bottleneck}' needs "
            f"{plan.interval_cycles} even when it is fully parallel"
        )
    over = budget.exceeded_by(plan.cost)
    if over:
        raise OverBudget(
            f"one frame in {interval_cycles} cycles needs {getattr(plan.cost, over[0]):.0f} {over[0].upper()} of "
            f"{getattr(budget, over[0])}: {over[0].upper()} binds, layer '{plan.bottleneck}' is the slowest"
        )
    return plan


@by_content(most=1 << 16)
def stage_cost(stage: Stage) -> Cost:
    """Estimated; fusions weigh networks that have most of their stages in common."""
    return stage.cost()


class Space:
    """Every folding of every layer of a graph, with more `channels` or not, costed once."""

    def __init__(self, core: Graph, budget: Budget, style: Style = AUTO, channels: Channels = NO_MORE) -> None:
        self.core = core = widened(core, channels)
        self.budget, self.style, self.channels = budget, style, channels
        self._activations: dict[tuple[str, int], Cost] = {}
        given = {i.name for i in core.inputs}
        self._borders = borders(core)
        self.layers = [
            n
            for n in core.nodes
            if not isinstance(n.op, (Constant, *FREE))
            and n.name not in self._borders
            and (not isinstance(n.op, ACTIVATIONS) or (n.inputs[0] in given and not isinstance(n.op, Center)))
        ]
        self.menus = {n.name: self._menu(n) for n in self.layers}
        self.least = max((int(menu.cycles[0]) for menu in self.menus.values()), default=1)
        cycles = {int(c) for menu in self.menus.values() for c in menu.cycles}
        self.intervals = sorted(c for c in cycles if c >= self.least)

    def _menu(self, node: Node) -> Menu:
        foldings = layer_of(self.core, node).foldings(self.core, node)
        return Menu([self._choice(node, f) for f in self.style.offers(self.core, node, foldings)])

    def _choice(self, node: Node, folding: Folding) -> Choice:
        """A folding, and the lanes that are cheapest for the activations behind it."""
        layer = layer_of(self.core, node)
        own = [stage for _, stage in layer.stages(self.core, node, folding)]
        behind = [
            (lanes, self._cost_behind(node, own, folding.lanes_out, lanes))
            for lanes in self._lanes_behind(node, own, folding)
        ]
        lanes, cost = min(behind, key=lambda b: self.weight(b[1]))
        cost = reduce(Cost.__add__, map(stage_cost, own), cost)
        return Choice(folding, layer.cycles(self.core, node, folding), cost, lanes)

    def _lanes_behind(self, node: Node, own: list[Stage], folding: Folding) -> list[int]:
        """A sum of many clocks need not be followed by an activation of all its neurons at once."""
        clocks = int(own[-1].folded.runs.min()) if own and isinstance(own[-1], (MatVec, ChannelwiseMac)) else 1
        if clocks == 1 or not self._followers(node):
            return [folding.lanes_out]
        return [d for d in reversed(divisors(folding.lanes_out)) if d * clocks >= folding.lanes_out]

    def _cost_behind(self, node: Node, own: list[Stage], arriving: int, lanes: int) -> Cost:
        """Of the activations behind a layer."""
        followers = self._followers(node)
        if own and isinstance(own[-1], Unrolled):  # which takes the functions into its netlist
            formats = [self.core.types[n.name].format for n in followers]
            behind = [own[-1].cost_behind(f) for f in formats if f is not None]
        else:
            behind = [self._activation_cost(n, lanes) for n in followers]
        if lanes < arriving:
            behind.append(Width(stream_of(self.core.types[node.name], arriving), lanes).cost())
        return reduce(Cost.__add__, behind, Cost())

    def _activation_cost(self, node: Node, lanes: int) -> Cost:
        """Of one activation; many foldings of the layer before it share it."""
        if (node.name, lanes) not in self._activations:
            chain = layer_of(self.core, node).stages(self.core, node, Folding(lanes, lanes))
            self._activations[node.name, lanes] = reduce(Cost.__add__, (stage_cost(s) for _, s in chain), Cost())
        return self._activations[node.name, lanes]

    def _followers(self, node: Node) -> list[Node]:
        readers = [r for r in self.core.readers[node.name] if isinstance(r.op, (Threshold, Table, Requant))]
        return [n for r in readers for n in (r, *self._followers(r))]

    def weight(self, cost: Cost) -> float:
        """One number for a cost: the sum of the shares of the budget."""
        return sum(getattr(cost, f.name) / max(getattr(self.budget, f.name), 1) for f in fields(Cost))

    def plan(self, interval: int, budget: Budget | None = None) -> Plan:
        """For each layer the cheapest folding within the interval, or within the least that all reach: hw/choice.py."""
        picked = cheapest(self.menus, max(interval, self.least), budget or self.budget)
        folding = {k: c.folding for k, c in picked.items()}
        self._follow(folding, {k: c.behind for k, c in picked.items()})
        cost = reduce(Cost.__add__, (c.cost for c in picked.values()), Cost())
        slowest = max(self.layers, key=lambda n: picked[n.name].cycles)
        cycles, lanes = picked[slowest.name].cycles, self._input_lanes(folding)
        return Plan(folding, lanes, cost, cycles, slowest.label, channels=self.channels)

    def _follow(self, folding: dict[str, Folding], lanes: dict[str, int]) -> None:
        """Activations run with the lanes chosen for what they follow."""
        for name, reader in self._borders.items():
            folding[name] = Folding(folding[reader].lanes_in, folding[reader].lanes_in)
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
        low, high, best, bound = 0, len(self.intervals) - 1, None, None
        while low <= high:
            middle = (low + high) // 2
            plan = self.plan(self.intervals[middle], budget)
            over = budget.exceeded_by(plan.cost)
            if over:
                bound = Bound(over[0], plan.interval_cycles, *(getattr(c, over[0]) for c in (plan.cost, budget)))
                low = middle + 1
            else:
                best, high = plan, middle - 1
        return replace(best, bound=bound) if best else None
