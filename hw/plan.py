"""Folding and pipeline together: what converters and FIFOs add is counted, and the rate is that of the whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from codesign.cost import Budget, Cost
from codesign.errors import CheckFailed
from codesign.graph import Graph
from codesign.passes.check import check_equal
from hw.channels import widened, widening
from hw.estimate import estimate_cost, estimate_interval
from hw.fifo import with_fifos
from hw.fold import OverBudget, Plan, Space, fold
from hw.fuse import fuse
from hw.lower import lower
from hw.pipeline import Pipeline, counted
from hw.stages.fifo import Fifo
from hw.style import AUTO, Style

_EXCESS = 1.5  # of a budget, as formulas have it, up to which gates are counted
MODEST = 0.25  # of a budget, where no rate is asked for
_SHARES = (0.75, 0.5, 0.25)  # of what converters and FIFOs of one mix of foldings take, tried for others


def pipeline_of(core: Graph, plan: Plan, off: Collection[str] = ()) -> Pipeline:
    """The pipeline of a plan, FIFOs included; `off`: the fusions that are switched off."""
    return with_fifos(_without_fifos(widened(core, plan.channels), plan, off))


def _without_fifos(wide: Graph, plan: Plan, off: Collection[str]) -> Pipeline:
    return fuse(lower(wide, plan.folding, plan.input_lanes), off)


def plan_for_interval(
    core: Graph, budget: Budget, interval_cycles: int, off: Collection[str] = (), style: Style = AUTO
) -> tuple[Plan, Pipeline]:
    """The cheapest plan of at most `interval_cycles` a frame; CheckFailed says what binds where there is none.

    With more channels only where it does not fit without.
    """
    failed: list[OverBudget] = []
    for space in _spaces(core, budget, style):
        try:
            return _in_budget(space, interval_cycles, off)
        except OverBudget as e:
            failed.append(e)
        except CheckFailed:  # no folding is so fast, whatever it takes
            if not failed:
                raise
    fastest = plan_fastest(core, budget, off, style)
    if (cycles := _cycles(fastest)) <= interval_cycles:
        return fastest
    raise OverBudget(f"{failed[0]}; the fastest that fits takes {cycles} cycles a frame")


def _spaces(core: Graph, budget: Budget, style: Style) -> Iterator[Space]:
    """The network as it is, then with more channels, each checked to be the same function."""
    yield Space(core, budget, style)
    if channels := widening(core):
        wide = Space(core, budget, style, channels)
        check_equal("channels", core, wide.core)
        yield wide


def _in_budget(space: Space, interval_cycles: int, off: Collection[str]) -> tuple[Plan, Pipeline]:
    """As formulas find it; what they find too large may fit where its gates are counted."""
    try:
        return _for_interval(space, interval_cycles, off)
    except OverBudget:
        if (found := _counted(space, interval_cycles, off)) is None:
            raise
        return found


def _counted(space: Space, interval_cycles: int, off: Collection[str]) -> tuple[Plan, Pipeline] | None:
    """What is a little too large by formulas, where its counted gates and the whole pipeline fit and keep up."""
    plan = space.plan(interval_cycles)
    if plan.interval_cycles > interval_cycles or space.budget.part(_EXCESS).exceeded_by(plan.cost):
        return None
    pipeline = with_fifos(_without_fifos(space.core, plan, off))
    late = estimate_interval(pipeline) > interval_cycles
    return None if late or space.budget.exceeded_by(estimate_cost(pipeline)) else (plan, pipeline)


def _for_interval(space: Space, interval_cycles: int, off: Collection[str]) -> tuple[Plan, Pipeline]:
    budget, added = space.budget, Cost()
    while True:
        plan, pipeline = _in_time(space, interval_cycles, budget.less(added), off)
        cost = estimate_cost(pipeline)
        over = budget.exceeded_by(cost)
        if not over:
            return plan, pipeline
        before, added = added, added.most(cost + plan.cost * -1)
        if added == before:  # no other mix of foldings leaves what converters and FIFOs take
            raise OverBudget(
                f"one frame in {interval_cycles} cycles needs {getattr(cost, over[0]):.0f} {over[0].upper()} of "
                f"{getattr(budget, over[0])}, width converters and FIFOs included: {over[0].upper()} binds, layer "
                f"'{plan.bottleneck}' is the slowest"
            )


def _in_time(
    space: Space, interval_cycles: int, budget: Budget, off: Collection[str]
) -> tuple[Plan, Pipeline]:  # fmt: skip
    """The cheapest plan whose whole pipeline keeps up, within the budget if there is one."""
    wanted = interval_cycles
    while True:
        plan = fold(space, wanted, budget)
        pipeline = with_fifos(_without_fifos(space.core, plan, off))
        excess = estimate_interval(pipeline) - interval_cycles
        if excess <= 0:
            return plan, pipeline
        wanted = min(wanted - excess, plan.interval_cycles - 1)  # a stage takes more a frame than its beats


def plan_fastest(
    core: Graph, budget: Budget, off: Collection[str] = (), style: Style = AUTO
) -> tuple[Plan, Pipeline]:  # fmt: skip
    """The fastest plan within a budget; CheckFailed where even the slowest does not fit."""
    spaces = _spaces(core, budget, style)
    plain = next(spaces)
    best = _fastest(plain, budget, off, _SHARES)
    if best is None:
        return _slowest(plain, budget, off)
    if best[0].bound is None:
        return best
    return min(filter(None, (best, *(_fastest(space, budget, off, _SHARES) for space in spaces))), key=_cycles)


def _cycles(planned: tuple[Plan, Pipeline]) -> int:
    return estimate_interval(planned[1])


def plan_modest(
    core: Graph, budget: Budget, off: Collection[str] = (), style: Style = AUTO
) -> tuple[Plan, Pipeline]:  # fmt: skip
    """The fastest plan within a share of a budget; where that is too little, within all of it."""
    space = Space(core, budget, style)
    modest = _fastest(space, budget.part(MODEST), off)
    return modest or _fastest(space, budget, off) or _slowest(space, budget, off)


def _fastest(
    space: Space, budget: Budget, off: Collection[str], shares: Sequence[float] = ()
) -> tuple[Plan, Pipeline] | None:
    """The fastest plan that leaves of the budget what converters and FIFOs were seen to take; or a faster one that
    leaves one of these `shares` of it, where that does: every mix of foldings has others."""
    added, best = Cost(), None
    while plan := space.fastest(budget.less(added)):
        best, cost = _designed(space, plan, budget, added, off)
        following = added.most(cost + plan.cost * -1)
        if best or following == added:
            break
        added = following
    for share in shares if added != Cost() else ():
        plan = space.fastest(budget.less(added * share))
        if plan is not None and (best is None or plan.interval_cycles < best[0].interval_cycles):
            best = _designed(space, plan, budget, added * share, off)[0] or best
    return best


def _designed(
    space: Space, plan: Plan, budget: Budget, left: Cost, off: Collection[str]
) -> tuple[tuple[Plan, Pipeline] | None, Cost]:
    """A plan that leaves so much of the budget, with its pipeline where that fits; and what it takes."""
    pipeline = _without_fifos(space.core, plan, off)
    if not budget.exceeded_by(estimate_cost(pipeline)):  # FIFOs only add, and take long to compute
        pipeline = with_fifos(pipeline)
    cost = estimate_cost(pipeline)
    if budget.exceeded_by(cost):
        return None, cost
    return (replace(plan, bound=plan.bound and plan.bound.beside(left)), pipeline), cost


def _slowest(space: Space, budget: Budget, off: Collection[str]) -> tuple[Plan, Pipeline]:
    """Everything folded as far as possible; CheckFailed where that does not fit either."""
    plan = space.slowest
    pipeline, counted_in = _without_fifos(space.core, plan, off), ""
    if not budget.exceeded_by(estimate_cost(pipeline)):
        pipeline, counted_in = with_fifos(pipeline), ", FIFOs included"
    cost = estimate_cost(pipeline)
    over = budget.exceeded_by(cost)
    if not over:
        return plan, pipeline
    raise CheckFailed(
        f"the network does not fit: folded as far as possible it needs {getattr(cost, over[0]):.0f} {over[0].upper()} "
        f"of {getattr(budget, over[0])}{counted_in}; the most take {_largest(pipeline, over[0])}"
    )


def _largest(pipeline: Pipeline, resource: str, count: int = 3) -> str:
    """The stages and FIFOs that take the most of a resource, by the layers that people know."""
    layer = {p.name: p.layers[-1] if p.layers else p.name for p in pipeline.stages}
    users = [(counted(p.stage), f"'{layer[p.name]}'") for p in pipeline.stages]
    users += [
        (Fifo(pipeline.stream_from(e), e.depth).cost(), f"the {e.depth} beats that wait for '{layer[e.target]}'")
        for e in pipeline.edges
        if e.depth and e.target is not None
    ]
    users.sort(key=lambda user: -getattr(user[0], resource))
    return ", ".join(f"{who} ({getattr(cost, resource):.0f})" for cost, who in users[:count])
