"""Compression without training: steps on the real graph, each by the name that a recipe calls it."""

from __future__ import annotations

from codesign.compress.prune import Prune
from codesign.compress.step import Step

STEPS: tuple[type[Step], ...] = (Prune,)
