"""Channels whose filters the others can stand in for go: those next to the geometric median of a layer's filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.channel_pruning import ChannelPruning, Given, summed
from codesign.compress.channels import Family


@dataclass(frozen=True)
class GeometricMedian(ChannelPruning):
    """A filter's importance is the sum of its distances to all others of its layer."""

    name: ClassVar[str] = "geometric-median"
    paper: ClassVar[str] = "He et al., Filter Pruning via Geometric Median (FPGM), 2019"

    def importance(self, given: Given, families: Sequence[Family]) -> list[np.ndarray]:
        return [summed(f, [(p, distances(given.filters(p))) for p in f.layers]) for f in families]


def distances(filters: np.ndarray) -> np.ndarray:
    """(n, weights) -> (n,): the sum of the distances of each to all."""
    return np.array([np.linalg.norm(filters - one, axis=1).sum() for one in filters])
