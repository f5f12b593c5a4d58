"""Which channels stand or fall together: every element of every tensor carries the label of its channel.

A product with constant weights makes new labels and ends those that it reads; everything between carries them along,
through sums (which tie the labels of their operands), concatenations, pools, depthwise and grouped convolutions, and
whatever moves elements, for that simply runs on the labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.graph import Graph, Node
from codesign.ops.conv import Conv
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.moves import Expand, Slice
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from codesign.ops.reduce import Reduce
from codesign.ops.take import Take
from codesign.ops.unary import Unary
from codesign.quantize.canonical import is_product

MOVES = (Reshape, Transpose, Concat, Slice, Take, Expand, DepthToSpace, SpaceToDepth)
OVER_PIXELS = (Pad, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool)
ELEMENTWISE = (Add, Sub, Mul, Div)
FIXED = 0  # the label of what has no channels that could go


@dataclass(frozen=True, eq=False)
class Family:
    """Layers whose outputs stand or fall together; `labels`: those that may go, `of`: each layer's labels by output."""

    layers: tuple[str, ...]
    labels: np.ndarray
    of: tuple[np.ndarray, ...]


class Channels:
    """The labels of a graph: `labels[name]` has the tensor's shape, `reads[product]` one label an input channel."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.parents: list[int] = [FIXED]
        self.reasons: dict[int, str] = {FIXED: "they are the network's inputs"}
        self.labels: dict[str, np.ndarray] = {i.name: np.full(i.type.shape, FIXED) for i in graph.inputs}
        self.reads: dict[str, np.ndarray] = {}
        for node in graph.nodes:
            if node.name not in graph.constants:
                self.labels[node.name] = self._after(node)
        for name in graph.outputs:
            self._fix(self.labels[name], f"'{name}' is an output of the network")
        self._settle()

    def families(self) -> tuple[Family, ...]:
        """In the order of their first layers; those without a label that may go are left out."""
        made = {n.name: self.outputs(n.name) for n in self.graph.nodes if self._makes(n)}
        together: list[set[str]] = []
        for name, labels in made.items():
            free = {int(i) for i in labels if self.reason(i) is None}
            tied = [s for s in together if any(free & set(made[m].tolist()) for m in s)]
            together = [s for s in together if s not in tied] + [set().union({name}, *tied)]
        order = list(made)
        found = sorted((sorted(s, key=order.index) for s in together), key=lambda s: order.index(s[0]))
        return tuple(f for f in map(self._family, found) if f.labels.size)

    def outputs(self, product: str) -> np.ndarray:
        """One label an output channel."""
        labels = self.labels[product]
        return labels.reshape(-1, labels.shape[-1])[0]

    def reason(self, label: int) -> str | None:
        """Why a label may not go; None where it may."""
        return self.reasons.get(int(label))

    def why_not(self, product: str) -> str:
        """Why no output of a layer may go, in words."""
        return next(filter(None, map(self.reason, self.outputs(product))), "")

    def _family(self, names: Sequence[str]) -> Family:
        of = tuple(self.outputs(n) for n in names)
        free = [i for i in dict.fromkeys(np.concatenate(of).tolist()) if self.reason(i) is None]
        return Family(tuple(names), np.array(free, dtype=np.int64), of)

    def _makes(self, node: Node) -> bool:
        return is_product(self.graph, node) and not self._depthwise(node)

    def _depthwise(self, node: Node) -> bool:
        return isinstance(node.op, Conv) and node.op.is_depthwise(self.graph.types[node.inputs[1]].shape)

    def _after(self, node: Node) -> np.ndarray:
        """The labels of a node's result."""
        shape = self.graph.types[node.name].shape
        if is_product(self.graph, node):
            return self._product(node, shape)
        operands = [self.labels[i] for i in node.inputs if i in self.labels]
        if isinstance(node.op, MOVES) and len(operands) == len(node.inputs):
            return node.op.run(self.graph.types[node.name], *(o[None] for o in operands))[0]
        if isinstance(node.op, OVER_PIXELS):
            return np.broadcast_to(self._by_channel(operands[0]), shape)
        if isinstance(node.op, Unary):
            return operands[0]
        if isinstance(node.op, Reduce) and operands[0].ndim - 1 not in node.op.axes:
            return np.broadcast_to(self._by_channel(operands[0]), shape)
        if isinstance(node.op, ELEMENTWISE) and operands:
            spread = [np.broadcast_to(o, shape) for o in operands]
            for other in spread[1:]:
                self._tie(spread[0], other)
            return spread[0]
        reason = f"'{node.label}' ({type(node.op).__name__}) needs all of them"
        for labels in operands:
            self._fix(labels, reason)
        return np.full(shape, FIXED)

    def _product(self, node: Node, shape: tuple[int, ...]) -> np.ndarray:
        read, outputs = self._by_channel(self.labels[node.inputs[0]]), shape[-1]
        groups = node.op.groups if isinstance(node.op, Conv) else 1
        if self._depthwise(node):
            made = np.repeat(read, outputs // groups)
        else:
            for part in np.split(read, groups)[1:]:
                self._tie(read[: len(part)], part)
            made = np.tile(self._new(outputs // groups), groups)
        self.reads[node.name] = read
        return np.broadcast_to(made, shape)

    def _by_channel(self, labels: np.ndarray) -> np.ndarray:
        """One label for each index of the last axis; those of all pixels are tied."""
        pixels = labels.reshape(-1, labels.shape[-1])
        self._tie(np.broadcast_to(pixels[0], pixels.shape), pixels)
        return pixels[0]

    def _new(self, count: int) -> np.ndarray:
        first = len(self.parents)
        self.parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def _root(self, label: int) -> int:
        while self.parents[label] != label:
            self.parents[label] = self.parents[self.parents[label]]
            label = self.parents[label]
        return label

    def _tie(self, a: np.ndarray, b: np.ndarray) -> None:
        differ = a != b
        for pair in set(zip(a[differ].tolist(), b[differ].tolist())):
            one, other = sorted(map(self._root, pair))
            self.parents[other] = one
            if other in self.reasons:
                self.reasons.setdefault(one, self.reasons[other])

    def _fix(self, labels: np.ndarray, reason: str) -> None:
        for label in np.unique(labels).tolist():
            self.reasons.setdefault(self._root(label), reason)

    def _settle(self) -> None:
        """Every label becomes the one that stands for all that are tied to it."""
        roots = np.array([self._root(i) for i in range(len(self.parents))])
        self.labels = {k: roots[v] for k, v in self.labels.items()}
        self.reads = {k: roots[v] for k, v in self.reads.items()}
        for label, reason in list(self.reasons.items()):
            self.reasons.setdefault(int(roots[label]), reason)


def without(labels: np.ndarray, gone: Iterable[int]) -> np.ndarray:
    """Where labels stay."""
    return ~np.isin(labels, np.fromiter(gone, dtype=np.int64))
