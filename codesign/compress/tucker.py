"""Convolutions by Tucker-2: 1 x 1 to fewer channels, k x k between few, 1 x 1 to all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.chain import Link
from codesign.compress.factor.least_squares import Arrays
from codesign.compress.factor.svd import spectrum
from codesign.compress.factor.tucker import tucker2
from codesign.compress.low_rank import LowRank, kernel_of, only_windows
from codesign.compress.method import Method, Shape
from codesign.compress.step import Product


@dataclass(frozen=True)
class Tucker(LowRank):
    """Two ranks, one for each side's channels."""

    name: ClassVar[str] = "tucker"
    paper: ClassVar[str] = "Kim et al., Compression of Deep Convolutional Neural Networks for Fast Applications, 2016"

    def method(self, product: Product) -> Method:
        only_windows(product)
        return Tucker2Form(kernel_of(product).shape)


def channel_spectra(kernel: np.ndarray) -> list[np.ndarray]:
    """The singular values of a kernel's unfoldings along its two axes of channels."""
    return [spectrum(np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)) for axis in (2, 3)]


class Tucker2Form(Method):
    expression = "ca,hwab,bo->hwco"

    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        return channel_spectra(kernel)

    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        rows, columns, inputs, outputs = self.shape
        inner, outer = ranks
        return [(inputs, inner), (rows, columns, inner, outer), (outer, outputs)]

    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        return tucker2(kernel, *ranks)

    def links(self, factors: Arrays) -> list[Link]:
        return [Link(factors[0][None, None]), Link(factors[1]), Link(factors[2][None, None])]
