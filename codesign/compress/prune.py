"""Weights of small magnitude become zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.step import Data, Product, chosen, one_of, with_weights, within
from codesign.graph import Graph


@dataclass(frozen=True)
class Prune:
    """The share `sparsity` of the smallest weights becomes zero: of each layer, or of all together (`global`)."""

    name: ClassVar[str] = "prune"
    paper: ClassVar[str] = "Han et al., Learning both Weights and Connections, 2015"

    sparsity: float
    layers: str = "*"
    scope: str = "layer"

    def __post_init__(self) -> None:
        within(self.name, "sparsity", self.sparsity, 0, 1)
        one_of(self.name, "scope", self.scope, ("layer", "global"))

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        found = chosen(graph, self.layers)
        together = np.concatenate([np.abs(p.value).ravel() for p in found]) if self.scope == "global" else None
        kept = {p.weights: self._kept(p, together) for p in found}
        return with_weights(graph, kept), (zeros_told(found, kept.values()),)

    def _kept(self, product: Product, together: np.ndarray | None) -> np.ndarray:
        """A layer's weights without the smallest ones."""
        if together is None:
            order = np.argsort(np.abs(product.value), axis=None, kind="stable")
            value = product.value.ravel().copy()
            value[order[: round(self.sparsity * value.size)]] = 0
            return value.reshape(product.value.shape)
        count = round(self.sparsity * together.size)
        bar = np.partition(together, count - 1)[count - 1] if count else -1.0
        return np.where(np.abs(product.value) <= bar, 0.0, product.value)


def zeros_told(found: Iterable[Product], kept: Iterable[np.ndarray]) -> str:
    """How many weights of some layers are left, in words."""
    pairs = [(p.label, k) for p, k in zip(found, kept)]
    left, size = sum(np.count_nonzero(k) for _, k in pairs), sum(k.size for _, k in pairs)
    return f"{left:,} of {size:,} weights of {len(pairs)} layers are not zero"
