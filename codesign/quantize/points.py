"""Where activations are quantized: what products, sums of branches, concatenations and averages read.

From each such operand the way goes up through operators that only move or choose elements, to the tensor that is
computed: behind the activation function of a layer, never between a product and its bias or activation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from codesign.graph import Graph, Node
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.elementwise import Add, Maximum, Minimum, Mul, Sub
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from codesign.ops.reduce import Reduce
from codesign.ops.take import Take
from codesign.quantize.canonical import PRODUCTS

MOVES = (
    Reshape, Transpose, Concat, MaxPool, GlobalMaxPool, Slice, Expand, Upsample, Take, DepthToSpace, SpaceToDepth,
)  # fmt: skip
AVERAGES = (AveragePool, GlobalAveragePool, Reduce)
SUMS = (Add, Sub)
JOINS = (*SUMS, Mul, Minimum, Maximum)


@dataclass(frozen=True)
class Point:
    """Tensors that are quantized with one scale and zero point; `layer`: product each comes from ("" for an input)."""

    tensors: tuple[str, ...]
    layers: tuple[str, ...]


def quantization_points(graph: Graph) -> tuple[Point, ...]:
    """Every tensor of a canonical graph to quantize, those that must share a scale together."""
    groups: dict[str, set[str]] = {}
    for names in _demands(graph):
        merged = set(names).union(*(groups.get(n, set()) for n in names))
        groups.update(dict.fromkeys(merged, merged))
    order = [n for n in graph.types if n in groups]
    shared = list(dict.fromkeys(tuple(m for m in order if m in groups[n]) for n in order))
    return tuple(Point(tensors, tuple(layer_of(graph, t) for t in tensors)) for tensors in shared)


def _demands(graph: Graph) -> Iterator[list[str]]:
    """Tensors that one reader needs quantized with one scale."""
    for node in graph.nodes:
        operands = [i for i in node.inputs if i not in graph.constants]
        if isinstance(node.op, (*PRODUCTS, *AVERAGES)):
            for name in operands:
                yield list(sources(graph, name))
        elif isinstance(node.op, JOINS) and len(operands) > 1:
            found = [list(sources(graph, name)) for name in operands]
            yield from ([list(chain(*found))] if isinstance(node.op, SUMS) else found)


def sources(graph: Graph, name: str) -> Iterator[str]:
    """The computed tensors that a tensor's elements are taken from."""
    node = graph.by_name.get(name)
    if node is None or not _moves(node):
        yield name
        return
    for operand in node.inputs:
        yield from sources(graph, operand)


def _moves(node: Node) -> bool:
    """Whether a node only moves elements, or adds elements that every quantizer can express."""
    if isinstance(node.op, Pad):
        return node.op.value == 0 or node.op.value == -np.inf
    return isinstance(node.op, MOVES)


def layer_of(graph: Graph, name: str) -> str:
    """The product whose result a tensor is a function of; "" where it is the input's.

    A join of branches counts to the layer of its first operand.
    """
    while name in graph.by_name:
        node = graph.by_name[name]
        if isinstance(node.op, PRODUCTS):
            return name
        operands = [i for i in node.inputs if i not in graph.constants]
        if not operands:
            return ""
        name = operands[0]
    return ""
