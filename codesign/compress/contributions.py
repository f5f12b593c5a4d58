"""What channels contribute to the layers that read them, on samples: the ground on which channels are selected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.compress.channel_pruning import Given
from codesign.compress.channels import Family
from codesign.compress.fit import ROWS
from codesign.graph import Node
from codesign.ops.conv import Conv
from codesign.quantize.reconstruct import Walk
from codesign.quantize.statistics import by_group, columns

DAMPING = 1e-3  # of the mean variance


@dataclass(frozen=True, eq=False)
class Reader:
    """A layer that reads a family's channels: the moments (K, K) of its inputs without their means, its weights
    (K, N), and whose label (index in the family, -1: none of it) each of its inputs is."""

    moments: np.ndarray
    weights: np.ndarray
    owner: np.ndarray

    @property
    def power(self) -> float:
        """The variance of what it answers, over all outputs."""
        return max(float((self.weights * (self.moments @ self.weights)).sum()), 1e-300)

    def shared(self, labels: int) -> np.ndarray:
        """(labels, labels): the covariance of what the channels contribute, over all outputs, of the answer's power."""
        one_hot = (self.owner[:, None] == np.arange(labels)).astype(np.float64)
        return one_hot.T @ (self.moments * (self.weights @ self.weights.T)) @ one_hot / self.power


def shared(found: Sequence[Reader], labels: int) -> np.ndarray:
    """(labels, labels): the covariance of what channels contribute to all the layers that read them."""
    return sum((r.shared(labels) for r in found), np.zeros((labels, labels)))


def readers(given: Given, families: Sequence[Family], step: str) -> list[list[Reader]]:
    """The layers that read each family, with their moments on the samples."""
    found: list[list[Reader]] = [[] for _ in families]
    walk = Walk(given.real, given.needs_samples(step))
    place = [{int(label): k for k, label in enumerate(f.labels)} for f in families]
    for node in given.real.nodes:
        read = set(given.channels.reads.get(node.name, np.empty(0)).tolist())
        mine = [k for k, p in enumerate(place) if p.keys() & read]
        weights = given.real.constants.get(node.inputs[1]) if mine else None
        if weights is not None and not (isinstance(node.op, Conv) and node.op.is_depthwise(weights.shape)):
            x = walk.values[node.inputs[0]]
            total = len(x) * int(np.prod(given.real.types[node.name].shape[:-1]))
            rows = np.sort(np.random.default_rng(0).permutation(total)[:ROWS])
            for k in mine:
                found[k] += _readers(node, weights, x, rows, given.channels.reads[node.name], place[k])
        walk.to(node.name)
    return found


def _readers(
    node: Node, weights: np.ndarray, x: np.ndarray, rows: np.ndarray, reads: np.ndarray, place: dict[int, int]
) -> Iterator[Reader]:
    """One for each group of a convolution."""
    groups = node.op.groups if isinstance(node.op, Conv) else 1
    w, taps = by_group(weights, groups), int(np.prod(weights.shape[:-2]))
    for group, part in enumerate(columns(node, weights.shape, x, rows)):
        centred = part - part.mean(axis=0)
        moments = centred.T @ centred / len(part)
        hold = DAMPING * np.trace(moments) / len(moments) + 1e-12
        owner = np.tile([place.get(int(i), -1) for i in np.split(reads, groups)[group]], taps)
        yield Reader(moments + hold * np.eye(len(moments)), w[group], owner)
