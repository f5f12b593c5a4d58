"""Convolutions as sums of outer products: 1 x 1, depthwise k x 1 and 1 x k, 1 x 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.chain import Link
from codesign.compress.factor.cp import cp, full_rank
from codesign.compress.factor.least_squares import Arrays
from codesign.compress.low_rank import LowRank, kernel_of, only_windows
from codesign.compress.method import Method, Shape
from codesign.compress.step import Product
from codesign.errors import UserError


@dataclass(frozen=True)
class Cp(LowRank):
    """A sum of outer products has no singular values, so its rank is given, or found by the share of weights."""

    name: ClassVar[str] = "cp"
    paper: ClassVar[str] = "Lebedev et al., Speeding-up CNNs Using Fine-tuned CP-Decomposition, 2015"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.rank or self.share):
            raise UserError(f"step '{self.name}' has no singular values to choose by; give rank or share")

    def method(self, product: Product) -> Method:
        only_windows(product)
        return OuterProducts(kernel_of(product).shape)


class OuterProducts(Method):
    expression = "cr,hr,wr,or->hwco"

    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        return [np.ones(full_rank(kernel.shape))]

    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        rows, columns, inputs, outputs = self.shape
        return [(n, ranks[0]) for n in (inputs, rows, columns, outputs)]

    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        return cp(kernel.transpose(2, 0, 1, 3), ranks[0])

    def links(self, factors: Arrays) -> list[Link]:
        inner, rows, columns, outer = factors
        rank = rows.shape[1]
        along = [Link(rows[:, None, None], rank), Link(columns[None, :, None], rank)]
        return [Link(inner[None, None]), *along, Link(outer.T[None, None])]
