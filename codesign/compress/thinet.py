"""Channels without which the next layers answer nearly the same go, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.channel_pruning import ChannelPruning, Given
from codesign.compress.channels import Family
from codesign.compress.contributions import readers, shared


@dataclass(frozen=True)
class ThiNet(ChannelPruning):
    """Greedy: the next channel to go is the one with which the sum of all that went has the least power."""

    name: ClassVar[str] = "thinet"
    paper: ClassVar[str] = "Luo et al., ThiNet: A Filter Level Pruning Method, 2017"
    on_samples: ClassVar[bool] = True

    responses: bool = True

    def importance(self, given: Given, families: Sequence[Family]) -> list[np.ndarray]:
        found = readers(given, families, self.name)
        return [greedy(shared(rs, len(f.labels))) for f, rs in zip(families, found)]


def greedy(covariance: np.ndarray) -> np.ndarray:
    """covariance (n, n) of contributions -> the power that is lost when each is left out in its turn."""
    size, lost = len(covariance), 0.0
    left, worth, with_gone = np.ones(size, dtype=bool), np.zeros(size), np.zeros(size)
    for _ in range(size):
        powers = np.where(left, lost + 2 * with_gone + np.diag(covariance), np.inf)
        k = int(np.argmin(powers))
        lost = max(lost, float(powers[k]))  # so that what goes later is never worth less
        left[k], worth[k] = False, lost
        with_gone = with_gone + covariance[k]
    return worth
