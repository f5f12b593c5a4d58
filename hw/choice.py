"""One folding for each layer: the cheapest ones together, prices raised on what runs out.

A resource's price is its share of the budget; where the cheapest foldings overrun one, its price goes up until the
foldings that need less of it are taken (a Lagrangian relaxation of the choice, which is a knapsack of many sizes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from codesign.cost import Budget, Cost
from hw.layer import Folding

_ROUNDS = 40
_ALL = 1 + 1e-9  # of a budget: shares are rounded
_NONE = 0.25  # of a resource that the budget lacks: less than anything takes


@dataclass(frozen=True)
class Choice:
    """One folding of one layer: cycles a frame, and the cost of it and of the activations that follow.

    `behind`: the lanes of these.
    """

    folding: Folding
    cycles: int
    cost: Cost
    behind: int


class Menu:
    """All foldings of a layer, the fastest first."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.choices = sorted(choices, key=lambda c: c.cycles)
        self.cycles = np.array([c.cycles for c in self.choices])
        self.costs = np.array([astuple(c.cost) for c in self.choices])

    def within(self, interval: int) -> int:
        """How many keep up: where none does, only the fastest are left."""
        return int(np.searchsorted(self.cycles, max(interval, int(self.cycles[0])), side="right"))


def cheapest(menus: Mapping[str, Menu], interval: int, budget: Budget) -> dict[str, Choice]:
    """Within the interval and, where any is found, within the budget; else what overruns it least."""
    limits = np.maximum(np.array(astuple(budget), float), _NONE)
    offers = [menu.costs[: menu.within(interval)] / limits for menu in menus.values()]
    picks = _priced(offers)
    return {name: menu.choices[k] for (name, menu), k in zip(menus.items(), picks, strict=True)}


def _priced(offers: Sequence[np.ndarray]) -> list[int]:
    """Of each layer's offers (foldings, shares of each resource) one."""
    prices, best, least = np.ones(offers[0].shape[1]), [], np.inf
    for turn in range(_ROUNDS):
        picks = [int(np.argmin(shares @ prices)) for shares in offers]
        used = _used(offers, picks)
        if used.max() < least:
            best, least = picks, used.max()
        if least <= _ALL:
            return best
        prices = prices * np.maximum(used, 0.2) ** (1 / (1 + turn / 8))
        prices /= prices.max()
    return _mended(offers, best)


def _mended(offers: Sequence[np.ndarray], picks: list[int]) -> list[int]:
    """One layer after the other changes its folding while that overruns less."""
    excess = _excess(_used(offers, picks))
    while excess > 0:
        tried = []
        for layer, shares in enumerate(offers):
            rest = _used(offers, picks) - shares[picks[layer]]
            over = np.maximum(rest + shares - _ALL, 0).sum(axis=1)
            tried.append((float(over.min()), layer, int(over.argmin())))
        following, layer, k = min(tried)
        if following >= excess:
            break
        picks = [*picks[:layer], k, *picks[layer + 1 :]]
        excess = following
    return picks


def _used(offers: Sequence[np.ndarray], picks: Sequence[int]) -> np.ndarray:
    return np.sum([shares[k] for shares, k in zip(offers, picks, strict=True)], axis=0)


def _excess(used: np.ndarray) -> float:
    return float(np.maximum(used - _ALL, 0).sum())
