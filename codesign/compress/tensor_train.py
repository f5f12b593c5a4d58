"""Layers as tensor trains and rings: a matrix product along its split axes, a convolution along its four."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.chain import Link
from codesign.compress.factor.least_squares import Arrays
from codesign.compress.factor.tensor_train import cut_spectra, tt_svd
from codesign.compress.low_rank import LowRank, kernel_of, only_windows
from codesign.compress.method import Method, Shape
from codesign.compress.ring_matrix import RingMatrix
from codesign.compress.step import Product, within


@dataclass(frozen=True)
class TensorTrain(LowRank):
    """A convolution: 1 x 1, k x 1, 1 x k, 1 x 1. A matrix product: its axes are split in `parts`, and each of as many
    small products takes one part of the inputs to one of the outputs, with transpositions between."""

    name: ClassVar[str] = "tensor-train"
    on_vectors: ClassVar[bool] = True
    paper: ClassVar[str] = (
        "Novikov et al., Tensorizing Neural Networks, 2015; Oseledets, Tensor-Train Decomposition, 2011"
    )

    parts: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self.name, "parts", self.parts, 2, 8)

    def method(self, product: Product) -> Method:
        if product.kind == "@fc":
            return RingMatrix(kernel_of(product).shape, self.parts, 1)
        only_windows(product)
        return Train(kernel_of(product).shape)


class Train(Method):
    expression = "ca,ahb,bwd,do->hwco"

    def _axes(self, kernel: np.ndarray) -> np.ndarray:
        return kernel.transpose(2, 0, 1, 3)

    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        return cut_spectra(self._axes(kernel))

    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        rows, columns, inputs, outputs = self.shape
        a, b, d = _reachable(ranks, (inputs, rows, columns, outputs))
        return [(inputs, a), (a, rows, b), (b, columns, d), (d, outputs)]

    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        first, *between, last = tt_svd(self._axes(kernel), ranks=ranks)
        return (first[0], *between, last[:, :, 0])

    def links(self, factors: Arrays) -> list[Link]:
        first, down, across, last = factors
        return [
            Link(first[None, None]),
            Link(down.transpose(1, 0, 2)[:, None]),
            Link(across.transpose(1, 0, 2)[None]),
            Link(last[None, None]),
        ]


def _reachable(ranks: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Ranks of a train as its successive decompositions leave them: none above what the ranks before allow."""
    found, before = [], 1
    for rank, size in zip(ranks, sizes):
        before = min(rank, before * size)
        found.append(before)
    return found
