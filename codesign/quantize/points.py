"""Where activations are quantized: what products, sums of branches, concatenations and averages read.

From each such operand the way goes up through operators that only move or choose elements, to the tensor that is
computed: behind the activation function of a layer, never between a product and its bias or activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    """Tensors that are quantized with one scale and zero point; `layer`: product each comes from ("" for an input).

    Sums run on integers where the scales of what they add differ by powers of two: such points are of one `family`.
    """

    tensors: tuple[str, ...]
    layers: tuple[str, ...]
    family: int = 0


def quantization_points(graph: Graph) -> tuple[Point, ...]:
    """Every tensor of a canonical graph to quantize, those that must share a scale together."""
    demands, order = list(_demands(graph)), list(graph.types)
    shared = _merged(demands, order)
    families = _merged((*demands, *_summands(graph)), order)
    number = {t: k for k, family in enumerate(families) for t in family}
    return tuple(Point(t, tuple(layer_of(graph, name) for name in t), number[t[0]]) for t in shared)


def _merged(sets: Iterable[Sequence[str]], order: Sequence[str]) -> list[tuple[str, ...]]:
    """The unions of all sets that have a name in common, each in order and in the order of its first name."""
    groups: dict[str, set[str]] = {}
    for names in sets:
        merged = set(names).union(*(groups.get(n, set()) for n in names))
        groups.update(dict.fromkeys(merged, merged))
    known = [n for n in order if n in groups]
    return list(dict.fromkeys(tuple(m for m in known if m in groups[n]) for n in known))


def _summands(graph: Graph) -> Iterator[list[str]]:
    """All tensors that one sum adds elements of."""
    for node in graph.nodes:
        operands = [i for i in node.inputs if i not in graph.constants]
        if isinstance(node.op, SUMS) and len(operands) > 1:
            yield list(chain(*(sources(graph, name) for name in operands)))


def _demands(graph: Graph) -> Iterator[list[str]]:
    """Tensors that one reader needs quantized with one scale."""
    for node in graph.nodes:
        operands = [i for i in node.inputs if i not in graph.constants]
        if isinstance(node.op, (*PRODUCTS, *AVERAGES)):
            for name in operands:
                yield list(sources(graph, name))
        elif isinstance(node.op, JOINS) and len(operands) > 1:
            yield from (list(sources(graph, name)) for name in operands)


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
