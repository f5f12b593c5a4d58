"""Convolutions as a sum of Tucker-2 blocks: 1 x 1, k x k in groups, 1 x 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.chain import Link
from codesign.compress.factor.block_term import block_terms
from codesign.compress.factor.least_squares import Arrays, refined
from codesign.compress.low_rank import LowRank, kernel_of, only_windows
from codesign.compress.method import Method, Shape
from codesign.compress.step import Product, within
from codesign.compress.tucker import channel_spectra


@dataclass(frozen=True)
class BlockTerm(LowRank):
    """`blocks` of two ranks each; one block is Tucker-2."""

    name: ClassVar[str] = "block-term"
    paper: ClassVar[str] = (
        "De Lathauwer, Decompositions of a Higher-Order Tensor in Block Terms, 2008; "
        "Wang & Cheng, Accelerating CNNs for Mobile Applications, 2016"
    )

    blocks: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self.name, "blocks", self.blocks, 1, 64)

    def method(self, product: Product) -> Method:
        only_windows(product)
        return Blocks(kernel_of(product).shape, self.blocks)


class Blocks(Method):
    expression = "gca,ghwab,gbo->hwco"

    def __init__(self, shape: Shape, blocks: int) -> None:
        super().__init__(shape)
        self.blocks = blocks

    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        return channel_spectra(kernel)

    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        rows, columns, inputs, outputs = self.shape
        inner, outer = ranks
        return [(self.blocks, *s) for s in ((inputs, inner), (rows, columns, inner, outer), (outer, outputs))]

    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        return refined(self.expression, block_terms(kernel, self.blocks, *ranks), kernel)

    def links(self, factors: Arrays) -> list[Link]:
        first, core, last = factors
        blocks, rows, columns, inner, outer = core.shape
        inputs, outputs = first.shape[1], last.shape[2]
        grouped = core.transpose(1, 2, 3, 0, 4).reshape(rows, columns, inner, blocks * outer)
        return [
            Link(first.transpose(1, 0, 2).reshape(1, 1, inputs, blocks * inner)),
            Link(grouped, blocks),
            Link(last.reshape(1, 1, blocks * outer, outputs)),
        ]
