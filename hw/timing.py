"""Arithmetic on beat times, shared by the stages' schedules."""

from __future__ import annotations

import numpy as np


def serve(ready: np.ndarray, period: int = 1) -> np.ndarray:
    """Start times of jobs taken in order by one server: start[k] = max(ready[k], start[k-1] + period)."""
    steps = np.arange(len(ready), dtype=np.int64) * period
    return np.maximum.accumulate(ready - steps) + steps


def accept_times(stage: object, arrive: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Cycle in which a stage takes each beat offered; most stages take one a cycle as it comes."""
    accepts = getattr(stage, "accepts", None)
    return accepts(*arrive) if accepts is not None else tuple(serve(a) for a in arrive)
