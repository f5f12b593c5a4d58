"""Layers as tensor rings: like trains, with a rank between the last core and the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.chain import Link
from codesign.compress.factor.least_squares import Arrays
from codesign.compress.factor.tensor_ring import ring_spectra, tr_svd
from codesign.compress.low_rank import LowRank, kernel_of, only_windows
from codesign.compress.method import Method, Shape
from codesign.compress.ring_matrix import RingMatrix
from codesign.compress.step import Product, within


@dataclass(frozen=True)
class TensorRing(LowRank):
    """`closing`: the rank between the last core and the first. A convolution: 1 x 1, k x k in `closing` groups of the
    same weights, 1 x 1. A matrix product: as a tensor train, in `parts`."""

    name: ClassVar[str] = "tensor-ring"
    on_vectors: ClassVar[bool] = True
    paper: ClassVar[str] = (
        "Zhao et al., Tensor Ring Decomposition, 2016; Wang et al., Wide Compression: Tensor Ring Nets, 2018"
    )

    closing: int = 2
    parts: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self.name, "closing", self.closing, 1, 64)
        within(self.name, "parts", self.parts, 2, 8)

    def method(self, product: Product) -> Method:
        if product.kind == "@fc":
            return RingMatrix(kernel_of(product).shape, self.parts, self.closing)
        only_windows(product)
        return Ring(kernel_of(product).shape, self.closing)


class Ring(Method):
    expression = "zca,ahwb,boz->hwco"

    def __init__(self, shape: Shape, closing: int) -> None:
        super().__init__(shape)
        self.closing = closing

    def _tensor(self, kernel: np.ndarray) -> np.ndarray:
        rows, columns, inputs, outputs = self.shape
        return kernel.transpose(2, 0, 1, 3).reshape(inputs, rows * columns, outputs)

    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        return ring_spectra(self._tensor(kernel), self.closing)

    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        rows, columns, inputs, outputs = self.shape
        a, b = ranks
        b = min(b, a * rows * columns)
        return [(self.closing, inputs, a), (a, rows, columns, b), (b, outputs, self.closing)]

    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        first, core, last = tr_svd(self._tensor(kernel), self.closing, ranks)
        return first, core.reshape(len(core), *self.shape[:2], -1), last

    def links(self, factors: Arrays) -> list[Link]:
        first, core, last = factors
        inputs, outputs = first.shape[1], last.shape[1]
        same = np.concatenate([core.transpose(1, 2, 0, 3)] * self.closing, axis=3)
        return [
            Link(first.transpose(1, 0, 2).reshape(1, 1, inputs, -1)),
            Link(same, self.closing),
            Link(last.transpose(2, 0, 1).reshape(1, 1, -1, outputs)),
        ]
