"""Few different weights: codebooks by k-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.step import Data, chosen, one_of, single, with_weights, within
from codesign.compress.storing import kept, literal
from codesign.graph import Graph

STARTS = ("linear", "density", "random")
ROUNDS = 100


@dataclass(frozen=True)
class Share:
    """Each layer's weights become 2**bits values, chosen by k-means from a `start`; zeros stay zero where pruned.

    `linear`: from least to largest in equal steps, `density`: in equal shares of the weights, `random`: some weights.
    """

    name: ClassVar[str] = "share"
    paper: ClassVar[str] = "Han et al., Deep Compression, 2016"

    bits: int = 4
    start: str = "linear"
    layers: str = "*"
    seed: int = 0

    def __post_init__(self) -> None:
        within(self.name, "bits", self.bits, 1, 12)
        one_of(self.name, "start", self.start, STARTS)

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        found = chosen(graph, self.layers)
        values = {p.weights: self.shared(p.value) for p in found}
        stored, told = kept(with_weights(graph, values), ",".join(literal(p.label) for p in found), "codebook")
        return stored, told

    def shared(self, value: np.ndarray) -> np.ndarray:
        """Weights of at most 2**bits different values, 0 one of them where more than half are pruned."""
        pruned = value == 0
        is_sparse = bool(pruned.mean() > 0.5)
        free = value[~pruned] if is_sparse else value.ravel()
        if not free.size:
            return value
        count = (1 << self.bits) - is_sparse
        table = k_means(free, codebook_start(free, count, self.start, self.seed))
        shared = single(nearest(free, table))
        if not is_sparse:
            return shared.reshape(value.shape)
        whole = np.zeros(value.shape)
        whole[~pruned] = shared
        return whole


def codebook_start(values: np.ndarray, count: int, start: str, seed: int) -> np.ndarray:
    """The entries from which k-means sets out, ascending."""
    count = min(count, len(np.unique(values)))
    if start == "linear":
        return np.linspace(values.min(), values.max(), count)
    if start == "density":
        return np.quantile(values, (np.arange(count) + 0.5) / count)
    return np.sort(np.random.default_rng(seed).choice(np.unique(values), count, replace=False))


def k_means(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Entries of locally least squared error (Lloyd, 1982), in one dimension: sorted values fall into runs."""
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(ROUNDS):
        table = np.sort(table)
        ends = np.searchsorted(ordered, (table[1:] + table[:-1]) / 2, side="right")
        edges = np.concatenate([[0], ends, [len(ordered)]])
        counts = np.diff(edges)
        means = np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), table)
        if np.array_equal(means, table):
            break
        table = means
    return table


def nearest(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The nearest entry of an ascending table."""
    table = np.sort(table)
    return table[np.searchsorted((table[1:] + table[:-1]) / 2, values, side="right")]
