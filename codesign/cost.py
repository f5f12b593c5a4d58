"""What hardware costs, in the words that every layer of the tool shares; `hw` fills them in."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

from codesign.graph import Graph


@dataclass(frozen=True)
class Cost:
    """Estimated use of the programmable logic; `bram36` counts a RAMB18 as one half."""

    lut: float = 0.0
    ff: float = 0.0
    dsp: float = 0.0
    bram36: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Cost)))

    def __mul__(self, times: float) -> Cost:
        return Cost(*(getattr(self, f.name) * times for f in fields(Cost)))


@dataclass(frozen=True)
class Budget:
    """How much of a device a design may use: absolute counts."""

    lut: int
    ff: int
    dsp: int
    bram36: int

    def exceeded_by(self, cost: Cost) -> list[str]:
        """The names of the resources that `cost` overruns, the worst first."""
        use = {f.name: getattr(cost, f.name) / getattr(self, f.name) for f in fields(Budget)}
        return sorted((k for k, v in use.items() if v > 1), key=lambda k: -use[k])


@dataclass(frozen=True)
class Target:
    """What a design is made for: the part's budget, its clock, and the rate asked for (None: not asked)."""

    name: str
    part: str
    budget: Budget
    clock_hz: float
    frames_per_second: float | None = None

    @property
    def interval_cycles(self) -> int | None:
        """Cycles that a frame may take at the rate asked for."""
        return None if self.frames_per_second is None else int(self.clock_hz / self.frames_per_second)


class CostModel(Protocol):
    """Estimates what an integer graph costs on a target at its rate, also beyond the budget."""

    def __call__(self, graph: Graph, target: Target) -> Cost: ...


class Comparison(Protocol):
    """Weighs two networks that do the same: what `after` costs at equal rates, as a multiple of what `before` does."""

    def __call__(self, before: Graph, after: Graph) -> float: ...
