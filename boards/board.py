"""What a board offers to a design."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from codesign.cost import Budget, Target

XC7Z020 = Budget(lut=53_200, ff=106_400, dsp=220, bram36=140)

# The share of each resource that place and route still copes with, the system around the accelerator included.
LIMITS = {"lut": 0.70, "ff": 0.60, "bram36": 0.90, "dsp": 0.95}


@dataclass(frozen=True)
class Board:
    """A Zynq board: its part, and how much of it there is."""

    name: str
    title: str
    part: str
    device: Budget

    @property
    def budget(self) -> Budget:
        """What a design may use: the device less the reserve that LIMITS keeps."""
        return Budget(**{k: int(getattr(self.device, k) * share) for k, share in LIMITS.items()})

    def target(self, clock_hz: float, frames_per_second: float | None = None) -> Target:
        return Target(self.name, self.part, self.budget, clock_hz, frames_per_second)

    def describe(self) -> dict[str, Any]:
        """For the manifest."""
        device = {"device": asdict(self.device), "limits": LIMITS, "budget": asdict(self.budget)}
        return {"name": self.name, "title": self.title, "part": self.part, **device}
