"""Compression without training: steps on the real graph, each by the name that a recipe calls it."""

from __future__ import annotations

from codesign.compress.prune import Prune
from codesign.compress.step import Step
from codesign.compress.storing import Bcsr, Csr, HuffmanCode

STEPS: tuple[type[Step], ...] = (Prune, Csr, Bcsr, HuffmanCode)
