"""Cross-layer equalization: factors of channels move through rectifiers into the next layer's weights.

With relu(s x) = s relu(x), a channel of one layer may be divided by s where the next layer multiplies by s. One scale
serves all channels of an activation, so the factors are chosen to make the channels' ranges alike: as far as the next
layer's weights allow (they share a scale over the inputs; those of a depthwise layer do not, and take all of it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codesign.graph import Constant, Graph, Node
from codesign.ops.conv import Conv
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from codesign.ops.unary import Unary
from codesign.quantize.canonical import Layer, layers_of

PASSING = (MaxPool, GlobalMaxPool, AveragePool, GlobalAveragePool)
HOMOGENEOUS = ("relu", "leaky_relu")
MOST = 16.0  # of a factor, above and below the mean of a layer's


def equalize(graph: Graph, peaks: Mapping[str, np.ndarray]) -> Graph:
    """A canonical graph with the same function; `peaks`: largest magnitude a channel of every layer's result."""
    layers = layers_of(graph)
    constants: dict[str, np.ndarray] = {}
    for layer in layers:
        following = _next(graph, layer, layers)
        if following is not None:
            _move(graph, layer, following, peaks[layer.result], constants)
    nodes = [Node(n.name, Constant.real(constants[n.name])) if n.name in constants else n for n in graph.nodes]
    return graph.replace(nodes)


def _next(graph: Graph, layer: Layer, layers: Sequence[Layer]) -> Layer | None:
    """The one layer that reads a layer's result through nothing but rectifiers, pools and zero padding."""
    name = layer.result
    while name not in graph.outputs and len(graph.readers[name]) == 1:
        (reader,) = graph.readers[name]
        found = next((other for other in layers if other.product == reader.name), None)
        if found is not None:
            return found if _takes_factors(graph, reader) else None
        if not _passes(reader):
            return None
        name = reader.name
    return None


def _passes(node: Node) -> bool:
    if isinstance(node.op, Unary):
        return node.op.function in HOMOGENEOUS
    return isinstance(node.op, PASSING) or (isinstance(node.op, Pad) and (node.op.value in (0.0, -np.inf)))


def _takes_factors(graph: Graph, node: Node) -> bool:
    """Whether the product's weights have an axis of input channels of their own."""
    return not isinstance(node.op, Conv) or node.op.groups == 1 or _depthwise(graph, node)


def _depthwise(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, Conv) and node.op.is_depthwise(graph.types[node.inputs[1]].shape)


def _move(graph: Graph, layer: Layer, following: Layer, peaks: np.ndarray, constants: dict[str, np.ndarray]) -> None:
    """Divide a layer's channels by their factors, multiply the next layer's weights by them."""
    node = graph.by_name[following.product]
    w = constants.get(following.weights, graph.constants[following.weights])
    depthwise = _depthwise(graph, node)
    inputs = w if depthwise else np.moveaxis(w, -2, -1)
    weight_peaks = np.ones(len(peaks)) if depthwise else np.abs(inputs).reshape(-1, inputs.shape[-1]).max(axis=0)
    factors = _factors(peaks, weight_peaks, 1.0 if depthwise else 0.5)
    if depthwise:
        constants[following.weights] = w * np.repeat(factors, w.shape[-1] // len(factors))
    else:
        constants[following.weights] = w * factors[:, None]
    for name in (layer.weights, layer.bias):
        constants[name] = constants.get(name, graph.constants[name]) / factors


def _factors(peaks: np.ndarray, weight_peaks: np.ndarray, share: float) -> np.ndarray:
    """Factors that take `share` of the spread of peaks / weight_peaks over the channels; dead channels stay."""
    live = (peaks > 1e-9 * peaks.max()) & (weight_peaks > 1e-9 * weight_peaks.max())
    ratio = np.where(live, peaks, 1.0) / np.where(live, weight_peaks, 1.0)
    factors = ratio**share
    middle = np.exp(np.log(factors[live]).mean()) if live.any() else 1.0
    return np.where(live, np.clip(factors / middle, 1 / MOST, MOST), 1.0)
