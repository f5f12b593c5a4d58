"""What a person may say of a compilation, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from codesign.calibration import Calibration


@dataclass(frozen=True)
class Options:
    """What the user may say of a compilation; `target_fps`: a rate, "max", or None for a quarter of the board.

    `budget`: less of some resources than the board has, and all of it to be used, as in `lut=20000,bram36=40`.
    `savings`: also lay the network out without each fusion, to say what it saves.
    `style`: how every product is made: auto, folded, unrolled or table.
    """

    board: str = "pynq-z2"
    clock_mhz: float = 100.0
    target_fps: float | str | None = None
    no_fuse: tuple[str, ...] = ()
    budget: str | None = None
    quantization: Calibration = field(default_factory=Calibration)
    savings: bool = False
    style: str = "auto"
