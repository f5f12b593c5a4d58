"""Idle gaps and back-pressure, from a seed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stalls:
    """Pseudo-random stalls, independent on every port, the same for the same seed.

    `idle` is the mean fraction of cycles in which an input that could send does not, `pressure` the fraction in
    which an output is not ready. Phases of 1 to 64 cycles (one in eight: to 1024) alternate at random: a quarter
    without stalls, half with evenly spread ones, a quarter with dense bursts. The harness and the cocotb bench each
    realise this scheme.
    """

    seed: int
    idle: float = 0.25
    pressure: float = 0.25

    def __post_init__(self) -> None:
        for name in ("idle", "pressure"):
            if not 0 <= getattr(self, name) < 0.5:
                raise ValueError(f"{name}={getattr(self, name)} is outside 0 .. 0.5")


NO_STALLS = Stalls(seed=0, idle=0.0, pressure=0.0)
