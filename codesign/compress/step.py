"""A compression step: a frozen dataclass whose fields are what a recipe may say of it; Graph in, Graph out.

Steps work on the real, channels-last graph as it was imported: products (Conv, MatMul) read constants of
(kernel rows, kernel columns, C / groups, O) or (K, N); biases and batch normalizations are nodes of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import ClassVar, Protocol

import numpy as np

from codesign.errors import UserError
from codesign.graph import Constant, Dequantize, Graph, Node, Op
from codesign.ops.conv import Conv
from codesign.ops.unary import Unary
from codesign.quantize.canonical import PRODUCTS, labels_of

Samples = Mapping[str, np.ndarray]
KINDS = ("@conv", "@fc", "@depthwise", "@pointwise")


@dataclass(frozen=True, eq=False)
class Data:
    """Calibration samples by input name, real values with a leading sample axis."""

    samples: Samples


class Step(Protocol):
    """`name`: in a recipe; `paper`: where the method is from. `apply` gives a graph of ordinary layers, and notes."""

    name: ClassVar[str]
    paper: ClassVar[str]

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        """The compressed graph and what is to be said of it, a line each; UserError where the step cannot work."""
        ...


@dataclass(frozen=True, eq=False)
class Product:
    """A product with constant weights: the user's name of the layer, its node, the constant's name and real value."""

    label: str
    node: Node
    weights: str
    value: np.ndarray
    quantized: bool

    @property
    def kind(self) -> str:
        """One of KINDS."""
        if not isinstance(self.node.op, Conv):
            return "@fc"
        if self.node.op.is_depthwise(self.value.shape):
            return "@depthwise"
        return "@pointwise" if self.value.shape[:2] == (1, 1) else "@conv"

    @property
    def columns(self) -> np.ndarray:
        """(K, N): the weights of each output channel in a column."""
        return self.value.reshape(-1, self.value.shape[-1])


def products(graph: Graph) -> tuple[Product, ...]:
    """Every product with constant weights, in order; quantized ones, too."""
    behind = {n.name: constant_behind(graph, n) for n in graph.nodes if isinstance(n.op, PRODUCTS)}
    found = [(graph.by_name[k], c) for k, c in behind.items() if c is not None]
    labels = labels_of([n for n, _ in found])
    return tuple(_product(labels[n.name], n, c) for n, c in found)


def _product(label: str, node: Node, weights: Node) -> Product:
    assert isinstance(weights.op, Constant)
    kind = weights.op.type
    value = kind.to_real(weights.op.value) if kind.is_integer else weights.op.value
    return Product(label, node, weights.name, value, kind.is_integer)


def constant_behind(graph: Graph, product: Node) -> Node | None:
    """The constant that a product multiplies by, also where it is dequantized first."""
    node = graph.by_name.get(product.inputs[1])
    while node is not None and isinstance(node.op, Dequantize):
        node = graph.by_name.get(node.inputs[0])
    return node if node is not None and isinstance(node.op, Constant) else None


def chosen(graph: Graph, patterns: str, quantized: bool = False) -> tuple[Product, ...]:
    """The products whose layer matches one of the patterns, separated by commas: `conv*`, or one of KINDS.

    `@conv` are convolutions of more than one tap, `@pointwise` 1x1 ones. UserError names what there is. Layers that are
    quantized already are left out unless `quantized`; UserError where no other match.
    """
    every = products(graph)
    wanted = [p.strip() for p in patterns.split(",")]
    for pattern in wanted:
        if pattern.startswith("@") and pattern not in KINDS:
            raise UserError(f"layers '{pattern}' is unknown; kinds of layers are {', '.join(KINDS)}")
        if not any(_matches(p, pattern) for p in every):
            names = ", ".join(p.label for p in every) or "none with constant weights"
            raise UserError(f"layers '{pattern}' match no layer; the layers are {names}")
    found = [p for p in every if any(_matches(p, pattern) for pattern in wanted)]
    left = tuple(p for p in found if quantized or not p.quantized)
    if not left:
        raise UserError(f"layer '{found[0].label}' is quantized already; put this step before the one that does so")
    return left


def _matches(product: Product, pattern: str) -> bool:
    return product.kind == pattern if pattern.startswith("@") else fnmatchcase(product.label, pattern)


def single(value: np.ndarray) -> np.ndarray:
    """Rounded to float32, which is what a file keeps, in float64."""
    return value.astype(np.float32).astype(np.float64)


def rounded(graph: Graph) -> Graph:
    """Every real number of a graph (of integer constants their scales) rounded to float32, which a file can keep."""
    return graph.replace(replace(n, op=_rounded(n.op)) for n in graph.nodes)


def _rounded(op: Op) -> Op:
    if isinstance(op, Unary):
        return replace(op, parameters=tuple(float(np.float32(p)) for p in op.parameters))
    if not isinstance(op, Constant):
        return op
    kind = replace(op.type, scale=tuple(float(np.float32(s)) for s in op.type.scale))
    return replace(op, type=kind, value=op.value if kind.is_integer else single(op.value))


def with_weights(graph: Graph, values: Mapping[str, np.ndarray], storage: str = "") -> Graph:
    """The graph with other real constants by name, rounded to float32; `storage`: see Constant."""
    changed = {k: Constant.real(single(v), storage) for k, v in values.items()}
    return graph.replace(Node(n.name, changed.get(n.name, n.op), n.inputs, n.origin) for n in graph.nodes)


def needed(data: Data | None, name: str) -> Data:
    """The samples; UserError where a step needs some and there are none."""
    if data is None:
        raise UserError(f"step '{name}' works on samples; give some with --calibration")
    return data


def within(step: str, what: str, value: float, least: float, most: float) -> None:
    """UserError where a parameter of a step is out of its range."""
    if not least <= value <= most:
        raise UserError(f"step '{step}': {what} is {value:g}; it must be from {least:g} to {most:g}")


def one_of(step: str, what: str, value: str, known: Sequence[str]) -> None:
    """UserError where a parameter of a step is no known word."""
    if value not in known:
        raise UserError(f"step '{step}': {what} '{value}' is unknown; known are {', '.join(known)}")
