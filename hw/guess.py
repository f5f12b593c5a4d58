"""A guess at a circuit's halts, beat by beat: what they become in many rounds where each stop moves those behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hw.halts import NEVER_HALTS, Course, Halts, Times

Goes = Callable[[Times, Halts], Course]
_LONG = 1 << 24  # clocks: more than any stage has to do with one beat
_EARLY, _NEVER = -(1 << 40), 1 << 60


@dataclass(frozen=True, eq=False)
class _Need:
    """For each result: whether it needs the input at all, the last beat that it needs, the clocks from there on."""

    some: np.ndarray
    last: np.ndarray
    clocks: np.ndarray

    @classmethod
    def of(cls, offers: np.ndarray) -> _Need:
        """By when results are offered where beat k comes at (k + 1) * _LONG, and all else early."""
        last, clocks = np.divmod(np.maximum(offers, 0), _LONG)
        return cls(last > 0, np.maximum(last - 1, 0), clocks)


@dataclass(frozen=True, eq=False)
class Habits:
    """Of a circuit that nothing holds up: clocks between results where all beats are there, and what results need."""

    gaps: np.ndarray
    needs: tuple[_Need, ...]

    @classmethod
    def of(cls, goes: Goes, arrive: Times) -> Habits:
        """From trials of the circuit's schedule."""
        early = tuple(np.arange(_EARLY, _EARLY + len(a)) for a in arrive)
        seldom = tuple(np.arange(1, len(a) + 1, dtype=np.int64) * _LONG for a in arrive)
        trials = [(*early[:k], seldom[k], *early[k + 1 :]) for k in range(len(arrive))]
        there = goes(tuple(np.arange(-len(a), 0) for a in arrive), NEVER_HALTS).offers
        needs = tuple(_Need.of(goes(trial, NEVER_HALTS).offers) for trial in trials)
        return cls(np.diff(there, prepend=there[0]), needs)

    def guess(self, arrive: Times, now: Course, halts: Halts, leave: np.ndarray) -> Halts:
        """The halts of the results that follow `now`, which was found with given halts.

        Where those are not as the habits say, a result keeps its distance from the one before.
        """
        offers, apart = now.offers, np.diff(now.offers, prepend=_EARLY)
        gaps, comes = np.minimum(self.gaps, apart), np.full(len(offers), _EARLY)
        for a, need in zip(arrive, self.needs, strict=True):
            comes = np.maximum(comes, np.where(need.some, halts.own(a)[need.last] + need.clocks, _EARLY))
        usual = offers == np.maximum(comes, np.append(_EARLY, offers[:-1]) + gaps)
        inputs = [(np.where(n.some & usual, a[n.last], _EARLY), n.clocks * usual) for a, n in zip(arrive, self.needs)]
        stops = [*((offers - own, until) for own, until in now.stops), (0 * offers, np.append(0, leave[:-1] + 1))]
        moved = _walk(_lists(inputs), np.where(usual, gaps, apart).tolist(), _lists(stops)) - offers
        return Halts.of((offers[1:] + moved[1:], leave[:-1] + 1), tuple((own + moved, u) for own, u in now.stops))


_Lists = list[tuple[list[int], list[int]]]


def _lists(pairs: list[tuple[np.ndarray, np.ndarray]]) -> _Lists:
    return [(a.tolist(), b.tolist()) for a, b in pairs]


def _walk(inputs: _Lists, gaps: list[int], stops: _Lists) -> np.ndarray:
    """Own clocks of the results: the next one's beat is taken or the next stop comes, whichever is first.

    inputs: cycles in which the beats arrive, clocks to the result; stops: clocks before the result, cycles.
    """
    offers, late, last, following = list[int](), 0, _EARLY, [0] * len(stops)
    while (k := len(offers)) < len(gaps):
        seen = [max(came[k] - late, last) for came, _ in inputs]
        stop, which = min(
            (offers[n] - stops[w][0][n] if n < k else _NEVER, w) for w, n in enumerate(following)
        )  # fmt: skip
        if stop <= max(seen):
            late, last = max(late, stops[which][1][following[which]] - stop), stop
            following[which] += 1
            continue
        comes = max(clock + clocks[k] for clock, (_, clocks) in zip(seen, inputs, strict=True))
        offers.append(max(comes, offers[-1] + gaps[k]) if offers else comes)
    return np.array(offers, np.int64)
