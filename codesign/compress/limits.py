"""A budget for the search, as in `lut=40000,bram36=120,fps=2000,accuracy-drop=1.0`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from codesign.cost import Figures
from codesign.errors import UserError

RESOURCES = ("lut", "ff", "dsp", "bram36")
NAMES = (*RESOURCES, "fps", "accuracy-drop")


@dataclass(frozen=True)
class Limits:
    """What a design may use of some resources, the rate it must reach (None: that of the model as given), and how many
    points of accuracy may be lost."""

    resources: Mapping[str, float]
    fps: float | None
    accuracy_drop: float

    def use(self, figures: Figures) -> float:
        """The share of the scarcest resource that a design takes; above 1 it does not fit."""
        return max(getattr(figures, name) / most for name, most in self.resources.items())

    def binding(self, figures: Figures) -> str:
        """That resource."""
        return max(self.resources, key=lambda name: getattr(figures, name) / self.resources[name])


def read_limits(text: str, board: Mapping[str, float]) -> Limits:
    """The limits that a text names; `board`: what there is of each resource, used where none of them is named."""
    given: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (p.strip() for p in part.partition("="))
        if name not in NAMES or name in given or not re.fullmatch(r"\d{1,9}(\.\d+)?", value):
            raise UserError(
                f"budget '{text}': '{part.strip()}' is not of the form lut=40000; names are {', '.join(NAMES)}"
            )
        given[name] = float(value)
    resources = {k: v for k, v in given.items() if k in RESOURCES} or dict(board)
    for name, value in resources.items():
        if not 0 < value <= board[name]:
            raise UserError(f"budget '{text}': {name} must be above 0; the board leaves {board[name]:g} to a design")
    if "accuracy-drop" not in given:
        raise UserError(f"budget '{text}' says nothing of accuracy; add the points that may be lost: accuracy-drop=1.0")
    if given.get("fps") == 0:
        raise UserError(f"budget '{text}': fps must be above 0")
    return Limits(resources, given.get("fps"), given["accuracy-drop"])
