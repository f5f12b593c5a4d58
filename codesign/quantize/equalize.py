"""Cross-layer equalization: factors of channels move through rectifiers into the next layers' weights.

With relu(s x) = s relu(x), a channel of one layer may be divided by s where every layer that reads it multiplies by s
(Nagel et al., 2019; here through concatenations and branches, too). One scale serves all channels of an activation,
and all parts of a concatenation, so the factors are chosen to make the channels' ranges alike: as far as the next
layers' weights allow (they share a scale over the inputs; those of a depthwise layer do not, and take all of it).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.graph import Constant, Graph, Node
from codesign.ops.conv import Conv
from codesign.ops.layout import Concat
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from codesign.ops.unary import Unary
from codesign.quantize.canonical import Layer, is_product, layers_of

PASSING = (MaxPool, GlobalMaxPool, AveragePool, GlobalAveragePool)
HOMOGENEOUS = ("relu", "leaky_relu")
MOST = 16.0  # of a factor, above and below the mean of those chosen together


@dataclass(frozen=True)
class Reader:
    """A product that reads a layer's channels as its own inputs from `first` on."""

    product: str
    first: int


def equalize(graph: Graph, peaks: Mapping[str, np.ndarray], kept: Collection[str] = ()) -> Graph:
    """A canonical graph with the same function; `peaks`: largest magnitude a channel of every layer's result.

    Products in `kept` have weights that are integers already: no factors of input channels go into them.
    """
    layers = layers_of(graph)
    weights = {layer.product: layer.weights for layer in layers}
    constants = dict(graph.constants)
    for together in _groups(graph, layers):
        if any(r.product in kept and not _depthwise(graph, graph.by_name[r.product]) for _, rs in together for r in rs):
            continue
        factors = _factors(graph, together, peaks, {p: constants[w] for p, w in weights.items()})
        for (layer, readers), f in zip(together, factors):
            for name in (layer.weights, layer.bias):
                constants[name] = constants[name] / f
            for r in readers:
                constants[weights[r.product]] = _multiplied(graph, r, constants[weights[r.product]], f)
    moved = {name for layer in layers for name in (layer.weights, layer.bias)}
    return graph.replace(Node(n.name, Constant.real(constants[n.name])) if n.name in moved else n for n in graph.nodes)


Group = list[tuple[Layer, tuple[Reader, ...]]]


def _groups(graph: Graph, layers: Sequence[Layer]) -> list[Group]:
    """Layers whose channels may get factors; together those that the same products read (parts of a concatenation)."""
    groups: dict[frozenset[str], Group] = {}
    for layer in layers:
        readers = tuple(_readers(graph, layer.result, 0))
        if None not in readers:
            found = tuple(r for r in readers if r is not None)
            groups.setdefault(frozenset(r.product for r in found), []).append((layer, found))
    return list(groups.values())


def _readers(graph: Graph, name: str, first: int) -> Iterator[Reader | None]:
    """The products that read a tensor through nothing but what factors pass; None where something else reads it."""
    if name in graph.outputs or not graph.readers[name]:
        yield None
    for node in graph.readers[name]:
        if node.inputs[0] == name and _takes_factors(graph, node):
            yield Reader(node.name, first)
        elif isinstance(node.op, Concat) and _joins_channels(graph, node) and node.inputs.count(name) == 1:
            before = node.inputs[: node.inputs.index(name)]
            yield from _readers(graph, node.name, first + sum(graph.types[i].shape[-1] for i in before))
        elif _passes(node):
            yield from _readers(graph, node.name, first)
        else:
            yield None


def _joins_channels(graph: Graph, node: Node) -> bool:
    assert isinstance(node.op, Concat)
    axes = len(graph.types[node.name].shape)
    return node.op.axis % axes == axes - 1


def _rectifies(node: Node) -> bool:
    return isinstance(node.op, Unary) and node.op.function in HOMOGENEOUS


def _passes(node: Node) -> bool:
    zero = isinstance(node.op, Pad) and node.op.value in (0.0, -np.inf)
    return zero or _rectifies(node) or isinstance(node.op, PASSING)


def _takes_factors(graph: Graph, node: Node) -> bool:
    """Whether a node is a product with constant weights that have an axis of input channels of their own."""
    if not is_product(graph, node):
        return False
    return not isinstance(node.op, Conv) or node.op.groups == 1 or _depthwise(graph, node)


def _depthwise(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, Conv) and node.op.is_depthwise(graph.types[node.inputs[1]].shape)


def _multiplied(graph: Graph, reader: Reader, w: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The reader's weights with the factors of what it reads."""
    inputs = graph.types[graph.by_name[reader.product].inputs[0]].shape[-1]
    every = np.ones(inputs)
    every[reader.first : reader.first + len(factors)] = factors
    if _depthwise(graph, graph.by_name[reader.product]):
        return w * np.repeat(every, w.shape[-1] // inputs)
    return w * every[:, None]


def _factors(
    graph: Graph, group: Group, peaks: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Factors for each layer of a group, all around 1."""
    found = [_wanted(graph, peaks[layer.result], readers, weights) for layer, readers in group]
    live = np.concatenate([f[f > 0] for f in found])
    middle = np.exp(np.log(live).mean()) if live.size else 1.0
    return [np.where(f > 0, np.clip(f / middle, 1 / MOST, MOST), 1.0) for f in found]


def _wanted(
    graph: Graph, peaks: np.ndarray, readers: Sequence[Reader], weights: Mapping[str, np.ndarray]
) -> np.ndarray:
    """A factor for each channel; 0 for dead ones, which stay."""
    dense = [r for r in readers if not _depthwise(graph, graph.by_name[r.product])]
    if not dense:
        return np.where(peaks > 1e-9 * peaks.max(), peaks, 0.0)
    largest = np.max([_reach(weights[r.product], r.first, len(peaks)) for r in dense], axis=0)
    live = (peaks > 1e-9 * peaks.max()) & (largest > 1e-9 * largest.max())
    return np.where(live, np.sqrt(peaks / np.where(live, largest, 1.0)), 0.0)


def _reach(w: np.ndarray, first: int, channels: int) -> np.ndarray:
    """The largest weight that reads each channel, each in units of the largest of its output, which sets the scale."""
    columns = np.abs(np.moveaxis(w, -2, 0))[first : first + channels]
    whole = np.abs(w).reshape(-1, w.shape[-1]).max(axis=0)
    relative = columns / np.where(whole > 0, whole, 1.0)
    return relative.reshape(channels, -1).max(axis=1)
