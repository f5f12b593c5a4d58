"""What place and route found: the clock that the design reaches, and what it takes of the device."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Placed:
    """`wns_ns`: worst slack, setup or hold, negative where timing fails; `worst_path`: from, to and delay, as told.

    `clock_mhz` is the constraint, `fmax_mhz` what the slowest path allows. `lut` counts as the tool does.
    """

    source: str
    clock_mhz: float
    fmax_mhz: float
    wns_ns: float
    lut: int
    ff: int
    dsp: int
    bram36: float
    worst_path: str

    @property
    def failed(self) -> str:
        """What to tell where timing is not met; empty where it is."""
        if self.wns_ns >= 0:
            return ""
        return (
            f"timing: {-self.wns_ns:.3f} ns too slow for {self.clock_mhz:g} MHz, {self.fmax_mhz:.1f} MHz would do; "
            f"worst path: {self.worst_path}. Compile with a lower --clock-mhz; this bitstream may compute wrong"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def fmax_mhz(clock_mhz: float, setup_slack_ns: float) -> float:
    """The clock at which that slack would be zero."""
    return 1000.0 / (1000.0 / clock_mhz - setup_slack_ns)
