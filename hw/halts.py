"""Circuits that stop as a whole while nobody takes what they give: their own clock, and the cycles of it.

Such a circuit does in its own clocks what it does where nothing holds it up, so its schedule there says when: what
comes from outside is seen in the first clock that ticks at its cycle or later.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

Times = tuple[np.ndarray, ...]
Stop = tuple[np.ndarray, np.ndarray]  # own clocks, and the cycles before which they do not tick
_NEVER = np.iinfo(np.int64).max // 2


@dataclass(frozen=True, eq=False)
class Halts:
    """Own clock `at[k]` (rising) ticks at cycle `at[k] + late[k]` (rising), and so late are those up to the next."""

    at: np.ndarray
    late: np.ndarray
    full: Stop
    stops: tuple[Stop, ...]

    @classmethod
    def of(cls, full: Stop, stops: tuple[Stop, ...]) -> Halts:
        """The earliest ticks, one a cycle at most: `full` for a reader, `stops` for beats of other streams."""
        at, until = (np.concatenate(parts) for parts in zip(full, *stops, strict=True))
        order = np.argsort(at, kind="stable")
        late = np.maximum.accumulate(np.maximum((until - at)[order], 0))
        later = np.flatnonzero(np.diff(late, prepend=0))
        return cls(at[order][later], late[later], full, stops)

    def without(self, k: int) -> Halts:
        """The same where a stop (the k-th) lets its own clocks tick, and only holds those that follow."""
        if not self.stops:
            return self
        own, until = self.stops[k]
        return Halts.of(self.full, (*self.stops[:k], (own + 1, until + 1), *self.stops[k + 1 :]))

    def same(self, other: Halts) -> bool:
        """Whether all own clocks tick at the same cycles, and stops are the same."""
        mine, others = ((h.at, h.late, *(x for stop in h.stops for x in stop)) for h in (self, other))
        return len(self.stops) == len(other.stops) and all(map(np.array_equal, mine, others))

    def cycle(self, own: np.ndarray) -> np.ndarray:
        """In which own clocks tick."""
        if not len(self.at):
            return own
        return own + self._lates[np.searchsorted(self.at, own, side="right")]

    def begins(self, own: np.ndarray) -> np.ndarray:
        """From which cycle on own clocks are the ones to tick next."""
        return self.cycle(own - 1) + 1

    def own(self, cycle: np.ndarray) -> np.ndarray:
        """The first own clock that ticks in a cycle or later."""
        if not len(self.at):
            return cycle
        passed = np.searchsorted(self.at + self.late, cycle, side="right")
        return np.minimum(cycle - self._lates[passed], np.append(self.at, _NEVER)[passed])

    @cached_property
    def _lates(self) -> np.ndarray:
        return np.append(0, self.late)


_NOTHING = np.zeros(0, np.int64)
NEVER_HALTS = Halts(_NOTHING, _NOTHING, (_NOTHING, _NOTHING), ())


@dataclass(frozen=True, eq=False)
class Course:
    """What happens in a circuit with given halts: cycles in which it takes its input beats, by port; own clocks in
    which it offers its results; the stops for which what it waits for is the cause."""

    taken: Times
    offers: np.ndarray
    stops: tuple[Stop, ...] = ()


@dataclass(frozen=True, eq=False)
class Flow:
    """Cycles in which a stage takes its input beats and offers its output beats, by port; the halts found on the way,
    from which a search for others that are about the same may start."""

    taken: Times
    offered: Times
    halts: Halts = NEVER_HALTS


@dataclass(frozen=True, eq=False)
class Start:
    """Of such a search: where from, and with how many clocks of what is fused behind the stage."""

    halts: Halts = NEVER_HALTS
    behind: int = 0


START = Start()
