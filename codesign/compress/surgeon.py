"""Channels that the others can replace go: the loss is what is left when the next layers' weights are fitted anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.channel_pruning import ChannelPruning, Given
from codesign.compress.channels import Family
from codesign.compress.contributions import Reader, readers


@dataclass(frozen=True)
class Surgeon(ChannelPruning):
    """Optimal Brain Surgeon with channels for weights: one after the other goes whose loss is least after the least
    squares that follow; the moments' inverse is kept up to date by block elimination."""

    name: ClassVar[str] = "surgeon"
    paper: ClassVar[str] = (
        "Hassibi & Stork, Second Order Derivatives for Network Pruning: Optimal Brain Surgeon, 1993; "
        "Frantar & Alistarh, Optimal Brain Compression, 2022"
    )
    on_samples: ClassVar[bool] = True

    responses: bool = True

    def importance(self, given: Given, families: Sequence[Family]) -> list[np.ndarray]:
        found = readers(given, families, self.name)
        return [losses(rs, len(f.labels)) for f, rs in zip(families, found)]


def losses(found: Sequence[Reader], labels: int) -> np.ndarray:
    """The power of the answers (as a share of all) that is lost up to each channel's going, after refitting."""
    states = [_State(r, labels) for r in found]
    left, worth, lost = list(range(labels)), np.zeros(labels), 0.0
    while left:
        costs = np.sum([s.costs(left) for s in states], axis=0) if states else np.zeros(len(left))
        k = left.pop(int(np.argmin(costs)))
        lost += max(float(np.min(costs)), 0.0)
        worth[k] = lost
        for s in states:
            s.eliminate(k)
    return worth


class _State:
    """A reader in the course of an elimination."""

    def __init__(self, reader: Reader, labels: int) -> None:
        self.inverse, self.w, self.power = np.linalg.inv(reader.moments), reader.weights.copy(), reader.power
        self.own = [np.flatnonzero(reader.owner == k) for k in range(labels)]
        self.even = len({len(o) for o in self.own}) == 1

    def costs(self, left: Sequence[int]) -> np.ndarray:
        """What the going of each channel would lose."""
        if not self.even:
            return np.array([self._cost(self.own[k]) if len(self.own[k]) else 0.0 for k in left])
        own = np.array([self.own[k] for k in left])
        blocks, w = self.inverse[own[:, :, None], own[:, None, :]], self.w[own]
        return (w * np.linalg.solve(blocks, w)).sum(axis=(1, 2)) / self.power

    def _cost(self, own: np.ndarray) -> float:
        w = self.w[own]
        return float((w * np.linalg.solve(self.inverse[np.ix_(own, own)], w)).sum()) / self.power

    def eliminate(self, k: int) -> None:
        """The weights of the others take over what they can."""
        own = self.own[k]
        if not len(own):
            return
        across = self.inverse[:, own]
        share = np.linalg.solve(self.inverse[np.ix_(own, own)], np.concatenate([self.w[own], across.T], axis=1))
        outputs = self.w.shape[1]
        self.w -= across @ share[:, :outputs]
        self.inverse -= across @ share[:, outputs:]
        self.inverse[own, own] += 1.0  # gone for good: never singular again
