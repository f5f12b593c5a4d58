"""What a board offers to a design."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from codesign.cost import Budget, Target
from codesign.errors import UserError

XC7Z020 = Budget(lut=53_200, ff=106_400, dsp=220, bram36=140)

# The share of each resource that place and route still copes with, the system around the accelerator included.
LIMITS = {"lut": 0.70, "ff": 0.60, "bram36": 0.90, "dsp": 0.95}

MOST_FCLK_HZ = 250e6  # of a clock from the processing system into the logic (DS187, all speed grades)
_DIVISORS = range(1, 64)  # two of them, six bits each (UG585, FPGA0_CLK_CTRL)


@dataclass(frozen=True)
class Fclk:
    """A clock of the logic: PLL / (divisor0 * divisor1)."""

    divisor0: int
    divisor1: int
    hz: float


@dataclass(frozen=True)
class Board:
    """A Zynq board: its part, how much of it there is, and the clocks that its boot loader sets up.

    `ps_clock_hz`: the crystal at PS_CLK. `io_pll_hz`: what the clocks of the logic are divided from. `jtag`: how
    openFPGALoader is told of its cable. Pins, DDR and MIO are set by the board's boot loader before any design is
    loaded; a bitstream does not touch them.
    """

    name: str
    title: str
    part: str
    device: Budget
    ps_clock_hz: float
    jtag: tuple[str, ...]
    io_pll_hz: float = 1000e6

    @property
    def budget(self) -> Budget:
        """What a design may use: the device less the reserve that LIMITS keeps."""
        return Budget(**{k: int(getattr(self.device, k) * share) for k, share in LIMITS.items()})

    @property
    def speed_grade(self) -> str:
        """As in `-1`."""
        return self.part[self.part.rindex("-") :]

    @property
    def package(self) -> str:
        """As in `clg400`."""
        return self.part[self.part.index("clg") : self.part.rindex("-")]

    def fclk(self, clock_hz: float) -> Fclk:
        """The fastest clock that is not above `clock_hz`; UserError where the board has none."""
        asked = min(clock_hz, MOST_FCLK_HZ) * (1 + 1e-9)  # 100 MHz must not miss itself by rounding
        pairs = [(a, b) for a in _DIVISORS for b in _DIVISORS if b <= a and self.io_pll_hz / (a * b) <= asked]
        if not pairs:
            slowest = self.io_pll_hz / _DIVISORS[-1] ** 2 / 1e6
            raise UserError(f"{clock_hz / 1e6:g} MHz is below what {self.title} can give its logic, {slowest:.3g} MHz")
        first, second = min(pairs, key=lambda p: (p[0] * p[1], p[0]))
        return Fclk(first, second, self.io_pll_hz / (first * second))

    def target(self, clock_hz: float, frames_per_second: float | None = None) -> Target:
        return Target(self.name, self.part, self.budget, clock_hz, frames_per_second)

    def describe(self) -> dict[str, Any]:
        """For the manifest."""
        device = {"device": asdict(self.device), "limits": LIMITS, "budget": asdict(self.budget)}
        clocks = {"ps_clock_hz": self.ps_clock_hz, "io_pll_hz": self.io_pll_hz}
        return {"name": self.name, "title": self.title, "part": self.part, **device, **clocks}
