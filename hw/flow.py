"""When beats move where readers may hold them up: a stage's timing model with its outputs taken late.

`flow(arrive, leave) -> (taken, offered)`: the cycles in which beats are offered at a stage's inputs and taken from
its outputs -> those in which it takes and offers them. Most stages end in a Skid and stop as a whole; what a stage
does else it says itself: by `course` with given halts, or by its own `flow`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np

from hw.guess import Habits
from hw.halts import START, Course, Flow, Halts, Start, Times
from hw.pipeline import Stage
from hw.timing import accept_times, serve

_ROUNDS, _GUESSES = 3, 12
Read = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def flow(stage: Stage, arrive: Times, leave: Times, start: Start = START) -> Flow:
    """Of any stage."""
    own = getattr(stage, "flow", None)
    return skid_flow(stage, arrive, leave[0], start) if own is None else own(arrive, leave, start)


def course(stage: Stage, arrive: Times, halts: Halts) -> Course:
    """Of a stage that ends in a Skid."""
    own = getattr(stage, "course", None)
    return whole_course(stage, arrive, halts) if own is None else own(arrive, halts)


def whole_course(stage: Stage, arrive: Times, halts: Halts) -> Course:
    """Of one that stops as a whole, inputs and all."""
    seen = [halts.own(a) for a in arrive]
    (offers,) = stage.schedule(*seen)
    return Course(tuple(halts.cycle(t) for t in accept_times(stage, seen)), offers)


def skid_flow(stage: Stage, arrive: Times, leave: np.ndarray, start: Start = START) -> Flow:
    """Of a stage that ends in a Skid: halts are those of the results, found round by round.

    What comes first is right first, and there is one solution. A few rounds do where stops hardly move each other;
    where they do, guesses save most of them.
    """

    def goes(arrive: Times, halts: Halts) -> Course:
        now = course(stage, arrive, halts)
        return replace(now, offers=now.offers + start.behind)

    halts, habits = start.halts, None
    for guesses in count(-_ROUNDS):
        now = goes(arrive, halts)
        found = Halts.of((now.offers[1:], leave[:-1] + 1), now.stops)
        if found.same(halts):
            return Flow(now.taken, (np.maximum(halts.begins(now.offers), later(leave + 1, 1)),), halts)
        if 0 <= guesses < _GUESSES:
            habits = habits or Habits.of(goes, arrive)
            found = habits.guess(arrive, now, halts, leave)
        halts = found
    raise AssertionError("rounds do not end")


def buffer_flow(arrive: np.ndarray, leave: np.ndarray) -> Flow:
    """Of a Buffer: there are two beats in it at most."""
    taken = serve(np.maximum(arrive, later(leave + 1, 2)))
    return Flow((taken,), (np.maximum(taken, later(leave, 1)) + 1,))


def later(times: np.ndarray, places: int) -> np.ndarray:
    """Those of the beats so many places before; 0, before everything, where there are none."""
    return np.concatenate([np.zeros(places, np.int64), times])[: len(times)]


def sifted(arrive: np.ndarray, kept: np.ndarray, halts: Halts) -> Course:
    """Of beats some go on, a clock later; others are taken though the circuit stands still."""
    taken = serve(arrive)
    while True:
        goes, ready = serve(halts.own(taken[kept])), arrive.copy()
        ready[kept] = halts.cycle(goes)
        found = serve(np.maximum(arrive, ready))
        if np.array_equal(found, taken):
            return Course((taken,), goes + 1)
        taken = found


def passes(last: np.ndarray, reads: int, clocks: int = 1) -> Read:
    """Of a memory: each pass reads so many beats, which are offered so many clocks later, from its `last` one on."""

    def read(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starts = serve(seen[last], reads)
        return (starts[:, None] + np.arange(reads) + clocks).reshape(-1), starts + reads - 1

    return read


def stored(arrive: np.ndarray, halts: Halts, read: Read, place: np.ndarray) -> Course:
    """Of a memory before the circuit: it is filled while that stands still.

    read: the clocks in which beats can be read -> when results are offered, and when each pass ends; beat `place[k]`
    (rising) enters when pass k has ended.
    """
    inside, taken = place < len(arrive), serve(arrive)
    while True:
        offers, ends = read(halts.own(taken + 1))
        free = arrive.copy()
        free[place[inside]] = np.maximum(free[place[inside]], halts.cycle(ends[inside]) + 1)
        found = serve(free)
        if np.array_equal(found, taken):
            return Course((taken,), offers)
        taken = found
