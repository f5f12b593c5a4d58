"""Weights made zero in patterns: N of M in a row, and blocks that a folded product skips."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import ClassVar

import numpy as np

from codesign.compress.prune import zeros_told
from codesign.compress.step import Data, chosen, with_weights, within
from codesign.graph import Graph


@dataclass(frozen=True)
class NOfM:
    """Of every `m` weights in a row along the inputs of an output, the `n` largest stay; fewer at the end."""

    name: ClassVar[str] = "n-of-m"
    paper: ClassVar[str] = "Zhou et al., Learning N:M Fine-grained Structured Sparse Neural Networks, 2021"

    n: int = 2
    m: int = 4
    layers: str = "*"

    def __post_init__(self) -> None:
        within(self.name, "m", self.m, 2, 1024)
        within(self.name, "n", self.n, 1, self.m)

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        found = chosen(graph, self.layers)
        kept = {p.weights: n_of_m(p.columns, self.n, self.m).reshape(p.value.shape) for p in found}
        return with_weights(graph, kept), (zeros_told(found, kept.values()),)


def n_of_m(columns: np.ndarray, n: int, m: int) -> np.ndarray:
    """Weights (K, N) with the n largest magnitudes of every m rows in each column, the first of equal ones."""
    inputs, outputs = columns.shape
    whole = np.zeros((-(-inputs // m) * m, outputs))
    whole[:inputs] = columns
    groups = whole.reshape(-1, m, outputs)
    order = np.argsort(-np.abs(groups), axis=1, kind="stable")
    kept = groups.copy()
    np.put_along_axis(kept, order[:, n:], 0.0, axis=1)
    return kept.reshape(whole.shape)[:inputs]


@dataclass(frozen=True)
class Blocks:
    """The share `sparsity` of the blocks of least magnitude becomes zero, in each layer: blocks of `simd` inputs by
    `pe` outputs (or their largest divisors that fit the layer), which a folded product of that shape skips."""

    name: ClassVar[str] = "blocks"
    paper: ClassVar[str] = "Narang et al., Block-Sparse Recurrent Neural Networks, 2017"

    sparsity: float
    simd: int = 4
    pe: int = 4
    layers: str = "*"

    def __post_init__(self) -> None:
        within(self.name, "sparsity", self.sparsity, 0, 1)
        within(self.name, "simd", self.simd, 1, 1024)
        within(self.name, "pe", self.pe, 1, 1024)

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        found = chosen(graph, self.layers)
        sizes = [self._size(*p.columns.shape) for p in found]
        kept = {
            p.weights: blocks_kept(p.columns, size, self.sparsity).reshape(p.value.shape)
            for p, size in zip(found, sizes)
        }
        told = [f"{p.label}: blocks of {simd} inputs by {pe} outputs" for p, (simd, pe) in zip(found, sizes)]
        return with_weights(graph, kept), (zeros_told(found, kept.values()), *told)

    def _size(self, inputs: int, outputs: int) -> tuple[int, int]:
        return gcd(inputs, self.simd), gcd(outputs, self.pe)


def blocks_kept(columns: np.ndarray, size: tuple[int, int], sparsity: float) -> np.ndarray:
    """Weights (K, N) without the share of blocks (simd, pe) whose magnitudes sum to the least."""
    simd, pe = size
    blocks = columns.reshape(columns.shape[0] // simd, simd, columns.shape[1] // pe, pe)
    sums = np.abs(blocks).sum(axis=(1, 3))
    gone = np.argsort(sums, axis=None, kind="stable")[: round(sparsity * sums.size)]
    mask = np.ones(sums.size)
    mask[gone] = 0
    return (blocks * mask.reshape(sums.shape)[:, None, :, None]).reshape(columns.shape)
