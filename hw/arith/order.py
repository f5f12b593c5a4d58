"""Which beats of a kept vector are read: pass after pass all of them, or those whose weights are not all zero."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hw.timing import serve


@dataclass(frozen=True, eq=False)
class Order:
    """used (passes, beats): the beats that each pass reads, upwards; every pass reads one at least."""

    used: np.ndarray

    @classmethod
    def every(cls, passes: int, beats: int) -> Order:
        """All beats in every pass."""
        return cls(np.broadcast_to(True, (passes, beats)))

    @classmethod
    def skipping(cls, weights: np.ndarray, simd: int, pe: int) -> Order:
        """The beats with a weight (..., K, N) that is not zero; the first one in a pass that has none."""
        k, n = weights.shape[-2:]
        used = (weights != 0).reshape(-1, k // simd, simd, n // pe, pe).any(axis=(0, 2, 4)).T
        used[~used.any(axis=1), 0] = True
        return cls(used)

    @property
    def passes(self) -> int:
        return self.used.shape[0]

    @property
    def beats(self) -> int:
        """Of a vector."""
        return self.used.shape[1]

    @cached_property
    def complete(self) -> bool:
        """Whether every pass reads all beats."""
        return bool(self.used.all())

    @cached_property
    def runs(self) -> np.ndarray:
        """Beats read by each pass."""
        return self.used.sum(axis=1)

    @cached_property
    def steps(self) -> int:
        """Beats read of a vector in all passes."""
        return int(self.runs.sum())

    @property
    def interval(self) -> int:
        """Clocks from vector to vector: one is written while another is read."""
        return max(self.steps, self.beats)

    @property
    def saves(self) -> bool:
        """Whether that is less than reading every beat in every pass takes."""
        return self.interval < self.used.size

    @cached_property
    def patterns(self) -> tuple[np.ndarray, np.ndarray]:
        """What passes read, equal ones once: the beat, place by place; and each pass's first place."""
        places: dict[bytes, int] = {}
        rows, first = [], []
        for row in self.used:
            if row.tobytes() not in places:
                places[row.tobytes()] = sum(len(r) for r in rows)
                rows.append(np.flatnonzero(row))
            first.append(places[row.tobytes()])
        return np.concatenate(rows), np.array(first)

    # --- times ---

    def reads(self, arrive: np.ndarray) -> np.ndarray:
        """Arrival times (vectors * beats) -> when each pass over each vector reads its last beat (vectors, passes).

        Only arrivals and reading itself ever hold it up. A vector's writing may wait for its half: but where reading
        takes longer than writing the vector is there before the reader is, and else the half is free in time.
        A vector of one beat is held, and its first reading takes it.
        """
        if self.beats == 1:
            return serve(np.maximum(arrive, 0), self.passes)[:, None] + np.arange(self.passes)
        return self._reads(serve(np.maximum(arrive, 0)) + 1)

    def read(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When beats can be read -> when each pass over a vector reads its last beat, and when the last pass does."""
        ends = self._reads(seen)
        return ends.reshape(-1), ends[:, -1]

    def _reads(self, seen: np.ndarray) -> np.ndarray:
        waits, lags = self._lags(seen)
        starts = serve(lags[:, -1], self.steps)
        free = np.concatenate([[0], starts[:-1] + self.steps])
        ends = self.runs.cumsum() - 1
        until = np.searchsorted(waits, ends, side="right") - 1
        return np.maximum(free[:, None], lags[:, until]) + ends

    def _lags(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When a vector's reading would have to start so that it runs up to each of `_waits` without a gap.

        (waits,), (vectors, waits)
        """
        waits, needed = self._waits
        return waits, np.maximum.accumulate(seen.reshape(-1, self.beats)[:, needed] - waits, axis=1)

    @cached_property
    def _waits(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps that wait for a beat later than all before them, and that beat; the last step for the last beat."""
        waits, needed, before, begin = [], [], -1, 0
        for row, run in zip(self.used, self.runs):
            beats = np.flatnonzero(row)
            new = np.flatnonzero(beats > before)
            waits.append(begin + new)
            needed.append(beats[new])
            before, begin = max(before, int(beats[-1])), begin + run
            if before == self.beats - 1:
                break
        return np.concatenate([*waits, [self.steps - 1]]), np.concatenate([*needed, [self.beats - 1]])

    def writes(self, arrive: np.ndarray) -> np.ndarray:
        """Arrival times (vectors * beats) -> times of the writes; a vector waits until its half has been read."""
        if self.beats == 1:
            return self.reads(arrive)[:, 0]
        ready = np.maximum(arrive, 0).reshape(-1, self.beats)
        released = self.reads(arrive)[:, -1]
        ready[2:, 0] = np.maximum(ready[2:, 0], released[:-2] + 1)
        return serve(ready.reshape(-1))
