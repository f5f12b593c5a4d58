"""Layers as two by the singular value decomposition: matrix products, and convolutions cut at three places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.chain import Link
from codesign.compress.factor.least_squares import Arrays, reduced_rank
from codesign.compress.factor.svd import spectrum, truncated
from codesign.compress.low_rank import LowRank
from codesign.compress.method import Method, Shape
from codesign.compress.step import Product, one_of


@dataclass(frozen=True)
class Svd(LowRank):
    """`form` of a convolution: `output` (k x k to fewer channels, then 1 x 1), `input` (1 x 1, then k x k), `separable`
    (k x 1, then 1 x k). A matrix product or a 1 x 1 convolution has one form only."""

    name: ClassVar[str] = "svd"
    paper: ClassVar[str] = (
        "Denton et al., Exploiting Linear Structure Within Convolutional Networks, 2014; Jaderberg et al., Speeding up "
        "Convolutional Neural Networks with Low Rank Expansions, 2014; Zhang et al., Accelerating Very Deep "
        "Convolutional Networks, 2015 (responses)"
    )

    form: str = "output"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.name, "form", self.form, tuple(FORMS))

    def method(self, product: Product) -> Method:
        kind = FORMS[self.form] if product.kind == "@conv" else OutputForm
        shape = product.value.shape
        return kind(shape if len(shape) == 4 else (1, 1, *shape))


class Cut(Method):
    """A kernel as a matrix: some axes against the others, in the order of ORDER."""

    order: ClassVar[tuple[int, int, int, int]]
    left: ClassVar[int]  # how many of them are rows

    def _matrix(self, kernel: np.ndarray) -> np.ndarray:
        axes = kernel.transpose(self.order)
        return axes.reshape(int(np.prod(axes.shape[: self.left])), -1)

    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        return [spectrum(self._matrix(kernel))]

    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        sizes = [self.shape[axis] for axis in self.order]
        return [(*sizes[: self.left], ranks[0]), (ranks[0], *sizes[self.left :])]

    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        found = truncated(self._matrix(kernel), ranks[0])
        return tuple(f.reshape(s) for f, s in zip(found, self.shapes(ranks)))


class OutputForm(Cut):
    expression, order, left = "hwcr,ro->hwco", (0, 1, 2, 3), 3

    def links(self, factors: Arrays) -> list[Link]:
        return [Link(factors[0]), Link(factors[1][None, None])]

    def nearer(self, kernel: np.ndarray, moments: np.ndarray, ranks: Sequence[int], last: Arrays | None) -> Arrays:
        """The best there is, in closed form."""
        found = reduced_rank(self._matrix(kernel), moments, ranks[0])
        return tuple(f.reshape(s) for f, s in zip(found, self.shapes(ranks)))


class InputForm(Cut):
    expression, order, left = "cr,rhwo->hwco", (2, 0, 1, 3), 1

    def links(self, factors: Arrays) -> list[Link]:
        return [Link(factors[0][None, None]), Link(factors[1].transpose(1, 2, 0, 3))]


class SeparableForm(Cut):
    expression, order, left = "hcr,rwo->hwco", (0, 2, 1, 3), 2

    def links(self, factors: Arrays) -> list[Link]:
        return [Link(factors[0][:, None]), Link(factors[1].transpose(1, 0, 2)[None])]


FORMS: dict[str, type[Cut]] = {"output": OutputForm, "input": InputForm, "separable": SeparableForm}
