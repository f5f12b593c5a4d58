"""What a graph's file holds: parameters, multiply-accumulates, bytes of its weights as they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from codesign.compress.step import Product, constant_behind, products
from codesign.compress.storage import encode
from codesign.graph import Constant, Graph, Node
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.quantize.canonical import PRODUCTS

WORD_BYTES = 4
ARITHMETIC = (Add, Sub, Mul, Div)


@dataclass(frozen=True)
class Count:
    """`parameters`: weights, biases, factors; `nonzero` of them; `macs` of one sample, and those with a weight that is
    not zero; `bytes` of all parameters in the file: weights as their storage says, with their scales; else float32."""

    parameters: int
    nonzero: int
    macs: int
    macs_nonzero: int
    bytes: int


def count(graph: Graph) -> Count:
    """Of the whole network."""
    found = products(graph)
    weights = {p.weights for p in found}
    constants = {c.name: c for n in graph.nodes for c in _read(graph, n)}
    values = {k: c.op.value for k, c in constants.items() if isinstance(c.op, Constant)}
    return Count(
        sum(v.size for v in values.values()),
        sum(int(np.count_nonzero(v)) for v in values.values()),
        sum(graph.types[p.node.name].size * prod(p.value.shape[:-1]) for p in found),
        sum(_positions(graph, p) * int(np.count_nonzero(p.value)) for p in found),
        sum(stored_bytes(c) if k in weights else WORD_BYTES * values[k].size for k, c in constants.items()),
    )


def stored_bytes(weights: Node) -> int:
    """Of a product's constant, the scales of integer ones in float32 beside them."""
    c = weights.op
    assert isinstance(c, Constant)
    scales = WORD_BYTES * len(c.type.scale) if c.type.is_integer else 0
    if c.storage:
        return encode(c.storage, c.value, c.type.format).bytes + scales
    return ceil(c.type.size * (c.type.format.bits if c.type.format else 8 * WORD_BYTES) / 8) + scales


def _read(graph: Graph, node: Node) -> list[Node]:
    """The constants that a product or an arithmetic operator reads."""
    if isinstance(node.op, PRODUCTS):
        weights = constant_behind(graph, node)
        return [weights] if weights is not None else []
    if not isinstance(node.op, ARITHMETIC):
        return []
    return [graph.by_name[i] for i in node.inputs if i in graph.constants]


def _positions(graph: Graph, product: Product) -> int:
    """How often each weight is multiplied with."""
    return graph.types[product.node.name].size // product.value.shape[-1]
