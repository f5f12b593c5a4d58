"""What hardware costs, in the words that every layer of the tool shares; `hw` fills them in."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Protocol

from codesign.errors import UserError
from codesign.graph import Graph


@dataclass(frozen=True)
class Cost:
    """Estimated use of the programmable logic; `bram36` counts a RAMB18 as one half."""

    lut: float = 0.0
    ff: float = 0.0
    dsp: float = 0.0
    bram36: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp, self.bram36 + other.bram36)

    def most(self, other: Cost) -> Cost:
        """The larger of each."""
        return Cost(*(max(getattr(self, f.name), getattr(other, f.name)) for f in fields(Cost)))

    def __mul__(self, times: float) -> Cost:
        return Cost(*(getattr(self, f.name) * times for f in fields(Cost)))


@dataclass(frozen=True)
class Budget:
    """How much of a device a design may use: absolute counts."""

    lut: int
    ff: int
    dsp: int
    bram36: int

    def part(self, share: float) -> Budget:
        """That share of every resource, rounded down."""
        return Budget(*(int(getattr(self, f.name) * share) for f in fields(Budget)))

    def less(self, taken: Cost) -> Budget:
        """What is left of it."""
        return Budget(*(max(0, int(getattr(self, f.name) - getattr(taken, f.name))) for f in fields(Budget)))

    def exceeded_by(self, cost: Cost) -> list[str]:
        """The names of the resources that `cost` overruns, the worst first."""
        over = {f.name: (getattr(cost, f.name), getattr(self, f.name)) for f in fields(Budget)}
        return sorted((k for k, (n, most) in over.items() if n > most), key=lambda k: -over[k][0] / max(over[k][1], 1))


def limited(budget: Budget, text: str) -> Budget:
    """A budget with some resources cut down, as in `lut=20000,bram36=40`; UserError otherwise."""
    given: dict[str, int] = {}
    for part in text.split(","):
        name, _, count = (p.strip() for p in part.partition("="))
        most = vars(budget).get(name)
        if most is None or name in given or not re.fullmatch(r"\d{1,9}", count):
            raise UserError(
                f"budget '{text}' is not of the form lut=20000,bram36=40; names are {', '.join(vars(budget))}"
            )
        if int(count) > most:
            raise UserError(f"budget '{text}': the board leaves {most} {name.upper()} to a design")
        given[name] = int(count)
    return replace(budget, **given)


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


@dataclass(frozen=True)
class Figures:
    """What a design of a network takes, estimated; as a difference: what another one takes more."""

    stages: int
    latency_cycles: int
    interval_cycles: int
    fifo_bits: int
    lut: float
    ff: float
    dsp: float
    bram36: float

    def __sub__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(Figures)))


class Designer(Protocol):
    """Lays an integer network out at a rate that it knows, without the stage fusions in `off`."""

    def __call__(self, core: Graph, off: Collection[str]) -> Figures: ...
