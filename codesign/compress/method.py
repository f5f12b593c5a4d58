"""A decomposition of one layer, as the low-rank steps use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from codesign.compress.chain import Chain, Link, chained
from codesign.compress.factor.least_squares import Arrays, composed, refined
from codesign.graph import Graph, Node

Shape = tuple[int, ...]
SWEEPS = 6  # over the factors, for each of the targets that a fit goes through


class Method(ABC):
    """Of a kernel (rows, columns, C, O); that of a matrix product is (1, 1, K, N). `expression`: the einsum that makes
    of the factors the kernel, of whose elements some axes may be split: the inputs' first, then the outputs'."""

    expression: str

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    @property
    def axes(self) -> Shape:
        """The shape that `expression` gives."""
        return self.shape

    @abstractmethod
    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        """The singular values that each of the ranks cuts; as many as the full rank."""

    @abstractmethod
    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        """Of the factors."""

    @abstractmethod
    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        """The nearest that the method finds, in the metric of the weights."""

    @abstractmethod
    def links(self, factors: Arrays) -> list[Link]:
        """The layers of the chain."""

    def weights(self, factors: Arrays) -> list[np.ndarray]:
        """The constants of the chain's layers, in their order, as convolutions have them."""
        return [link.weights for link in self.links(factors)]

    def chain(self, graph: Graph, node: Node, factors: Arrays) -> Chain:
        return chained(graph, node, self.links(factors))

    def kernel(self, factors: Arrays) -> np.ndarray:
        return composed(self.expression, factors).reshape(self.shape)

    def count(self, ranks: Sequence[int]) -> int:
        """Weights of the chain."""
        return sum(w.size for w in self.weights(tuple(np.zeros(s) for s in self.shapes(ranks))))

    def nearer(self, kernel: np.ndarray, moments: np.ndarray, ranks: Sequence[int], last: Arrays | None) -> Arrays:
        """Factors in the metric of the answers: `moments` (K, K) of the inputs; `last`: those found before."""
        start = self.factors(kernel, ranks) if last is None else last
        return refined(self.expression, start, kernel.reshape(self.axes), moments, SWEEPS)
