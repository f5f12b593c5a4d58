"""A matrix product as a ring (or a train) of cores along its split axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.compress.chain import Chain, Link, matrices, ringed
from codesign.compress.factor.least_squares import Arrays
from codesign.compress.factor.tensor_ring import ring_spectra, tr_svd
from codesign.compress.factor.tensor_train import matrix_axes
from codesign.compress.method import Method, Shape
from codesign.graph import Graph, Node

LETTERS = "abcdefgh", "ijklmnop", "ABCDEFGH"  # of input axes, output axes, ranks


def split_size(size: int, parts: int) -> Shape:
    """A size as a product of `parts` numbers, as equal as its prime factors allow, the largest first."""
    found = [1] * parts
    for prime in sorted(_primes(size), reverse=True):
        found[int(np.argmin(found))] *= prime
    return tuple(sorted(found, reverse=True))


def _primes(n: int) -> list[int]:
    found, p = [], 2
    while p * p <= n:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return found + [n] * (n > 1)


class RingMatrix(Method):
    """Cores (r, m, n, r') of a matrix (1, 1, K, N); `closing`: the rank between the last and the first, 1 for a train.

    The largest parts of the inputs meet the smallest of the outputs, so that the cores are of like size.
    """

    def __init__(self, shape: Shape, parts: int, closing: int) -> None:
        super().__init__(shape)
        self.rows, self.columns, self.closing = split_size(shape[2], parts), split_size(shape[3], parts)[::-1], closing
        a, b, r = (letters[:parts] for letters in LETTERS)
        cores = [f"{r[k]}{a[k]}{b[k]}{r[(k + 1) % parts]}" for k in range(parts)]
        self.expression = f"{','.join(cores)}->{a}{b}"

    @property
    def axes(self) -> Shape:
        return (*self.rows, *self.columns)

    def _tensor(self, kernel: np.ndarray) -> np.ndarray:
        return matrix_axes(kernel[0, 0], self.rows, self.columns)

    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        return ring_spectra(self._tensor(kernel), self.closing)

    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        edges = [self.closing, *ranks, self.closing]
        sizes = zip(self.rows, self.columns)
        return [(edges[k], m, n, edges[k + 1]) for k, (m, n) in enumerate(sizes)]

    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        cores = tr_svd(self._tensor(kernel), self.closing, ranks)
        return tuple(c.reshape(c.shape[0], m, n, -1) for c, m, n in zip(cores, self.rows, self.columns))

    def weights(self, factors: Arrays) -> list[np.ndarray]:
        return matrices(factors)

    def links(self, factors: Arrays) -> list[Link]:
        raise NotImplementedError("a ring of cores is no chain of convolutions")

    def chain(self, graph: Graph, node: Node, factors: Arrays) -> Chain:
        return ringed(graph, node, factors)
