"""Channels that a sparse regression of the next layers' answers does without go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.channel_pruning import ChannelPruning, Given
from codesign.compress.channels import Family
from codesign.compress.contributions import readers, shared

PENALTIES = 60  # from the one that leaves no channel down to a thousandth of it
SWEEPS = 30


@dataclass(frozen=True)
class Lasso(ChannelPruning):
    """The importance of a channel is the largest penalty at which its factor is not 0 yet."""

    name: ClassVar[str] = "lasso"
    paper: ClassVar[str] = "He et al., Channel Pruning for Accelerating Very Deep Neural Networks, 2017"
    on_samples: ClassVar[bool] = True

    responses: bool = True

    def importance(self, given: Given, families: Sequence[Family]) -> list[np.ndarray]:
        found = readers(given, families, self.name)
        return [entered(shared(rs, len(f.labels))) for f, rs in zip(families, found)]


def entered(covariance: np.ndarray) -> np.ndarray:
    """covariance (n, n) of contributions, whose sum is the answer -> the largest penalty that keeps each.

    Minimises b' covariance b - 2 b' covariance 1 + 2 penalty |b|_1 by coordinate descent, from the
    largest penalty down.
    """
    answer, b, worth = covariance.sum(axis=1), np.zeros(len(covariance)), np.zeros(len(covariance))
    for penalty in np.abs(answer).max() * np.geomspace(1, 1e-3, PENALTIES):
        _descend(covariance, answer, b, penalty)
        worth = np.where((worth == 0) & (b != 0), penalty, worth)
    return worth + 1e-9 * np.abs(b)


def _descend(covariance: np.ndarray, answer: np.ndarray, b: np.ndarray, penalty: float) -> None:
    """Each factor at its best in turn, until none moves."""
    for _ in range(SWEEPS):
        before = b.copy()
        for k in range(len(b)):
            own = max(float(covariance[k, k]), 1e-300)
            wanted = answer[k] - covariance[k] @ b + own * b[k]
            b[k] = np.sign(wanted) * max(abs(wanted) - penalty, 0.0) / own
        if np.abs(b - before).max() <= 1e-6:
            return
