"""Layers as sums of Kronecker products: two small products, each shared by all parts of the channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from codesign.compress.chain import Chain, Link, border_of, ones, restored
from codesign.compress.factor.kronecker import kpsvd, rearranged
from codesign.compress.factor.least_squares import Arrays
from codesign.compress.factor.svd import spectrum
from codesign.compress.low_rank import Left, LowRank, kernel_of
from codesign.compress.method import Method, Shape
from codesign.compress.step import Product
from codesign.graph import Constant, Graph, Node, Op
from codesign.ops.conv import Conv
from codesign.ops.layout import Reshape, Transpose
from codesign.ops.matmul import MatMul


@dataclass(frozen=True)
class Kronecker(LowRank):
    """`rank`: terms of the sum. `inputs`, `outputs`: into how many parts the channels are split; 0: about the root.

    The inner factor (1 x 1) is one small product for all parts; the outer one, too, unless it has a window: then it is
    a convolution in groups, with the same weights in each.
    """

    name: ClassVar[str] = "kronecker"
    paper: ClassVar[str] = (
        "Van Loan & Pitsianis, Approximation with Kronecker Products, 1993; "
        "Zhou et al., Exploiting Local Structures with the Kronecker Layer in Convolutional Networks, 2015"
    )

    inputs: int = 0
    outputs: int = 0

    def method(self, product: Product) -> Method:
        kernel = kernel_of(product)
        given = zip((self.inputs, self.outputs), kernel.shape[2:])
        parts = tuple(wanted or _near_root(size) for wanted, size in given)
        for count, size, side in zip(parts, kernel.shape[2:], ("inputs", "outputs")):
            if not 0 < count <= size or size % count:
                raise Left(f"its {size} {side} do not split into {count} parts")
        windowed = isinstance(product.node.op, Conv) and (*kernel.shape[:2], *product.node.op.stride) != (1, 1, 1, 1)
        return Products(kernel.shape, parts, windowed)


def _near_root(size: int) -> int:
    return max(d for d in range(1, int(size**0.5) + 1) if size % d == 0)


class Products(Method):
    """The sum over t of outer (t, rows, columns, c1, o1) times inner (t, c2, o2); `parts`: (c1, o1)."""

    expression = "thwaj,tbk->hwabjk"

    def __init__(self, shape: Shape, parts: Shape, windowed: bool) -> None:
        super().__init__(shape)
        self.windowed, (self.c1, self.o1) = windowed, parts
        self.c2, self.o2 = shape[2] // self.c1, shape[3] // self.o1

    @property
    def axes(self) -> Shape:
        return (*self.shape[:2], self.c1, self.c2, self.o1, self.o2)

    @property
    def _outer(self) -> tuple[int, int]:
        return self.shape[0] * self.shape[1] * self.c1, self.o1

    def spectra(self, kernel: np.ndarray) -> list[np.ndarray]:
        return [spectrum(rearranged(kernel.reshape(-1, self.shape[3]), self._outer))]

    def shapes(self, ranks: Sequence[int]) -> list[Shape]:
        (terms,) = ranks
        return [(terms, *self.shape[:2], self.c1, self.o1), (terms, self.c2, self.o2)]

    def factors(self, kernel: np.ndarray, ranks: Sequence[int]) -> Arrays:
        found = kpsvd(kernel.reshape(-1, self.shape[3]), self._outer, ranks[0])
        return tuple(f.reshape(s) for f, s in zip(found, self.shapes(ranks)))

    def links(self, factors: Arrays) -> list[Link]:
        raise NotImplementedError("between the two products channels change places")

    def weights(self, factors: Arrays) -> list[np.ndarray]:
        """Inner (c2, t o2); outer (c1 t, o1), or as a convolution (rows, columns, c1 t, o2 o1); ones."""
        outer, inner = factors
        first = inner.transpose(1, 0, 2).reshape(self.c2, -1)
        second = outer.transpose(1, 2, 3, 0, 4).reshape(*self.shape[:2], -1, self.o1)
        return [first, np.tile(second, self.o2) if self.windowed else second[0, 0], ones(self.shape[3])]

    def chain(self, graph: Graph, node: Node, factors: Arrays) -> Chain:
        (first, second, _), nodes = self.weights(factors), []
        border = border_of(graph, node) if self.windowed else None
        data = border.inputs[0] if border else node.inputs[0]
        *front, _ = graph.types[data].shape
        pixels, terms, size = int(np.prod(front)), len(factors[0]), graph.types[node.name].shape
        names = [graph.fresh(f"{node.name}.{k}.weights") for k in (1, 2)]
        nodes += [Node(n, Constant.real(w)) for n, w in zip(names, (first, second))]

        def put(suffix: str, op: Op, *inputs: str, origin: str = node.origin) -> str:
            nodes.append(Node(graph.fresh(f"{node.name}.{suffix}"), op, inputs, origin))
            return nodes[-1].name

        label = node.label
        data = put("parts", Reshape((pixels * self.c1, self.c2)), data)
        data = put("1", MatMul(), data, names[0], origin=f"{label}/1")
        data = put("1.split", Reshape((pixels, self.c1 * terms, self.o2)), data)
        data = put("1.turn", Transpose((0, 2, 1)), data)
        if self.windowed:
            assert isinstance(node.op, Conv)
            data = put("1.join", Reshape((*front, self.o2 * self.c1 * terms)), data)
            data = put("2.pad", border.op, data) if border else data
            data = put("2", replace(node.op, groups=self.o2), data, names[1], origin=f"{label}/2")
        else:
            data = put("1.join", Reshape((pixels * self.o2, self.c1 * terms)), data)
            data = put("2", MatMul(), data, names[1], origin=f"{label}/2")
        data = put("2.split", Reshape((int(np.prod(size[:-1])), self.o2, self.o1)), data)
        data = put("2.turn", Transpose((0, 2, 1)), data)
        restored(graph, node, data, nodes, names)
        return Chain(tuple(nodes), tuple(names))
