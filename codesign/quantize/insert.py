"""Quantize and Dequantize nodes around activations, integer constants behind weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from codesign.formats import of_values
from codesign.graph import Constant, Dequantize, Graph, Node, TensorType
from codesign.ops.quantize import Quantize
from codesign.quantize.canonical import Layer
from codesign.quantize.observers import Codes
from codesign.quantize.points import Point
from codesign.quantize.weights import Weights


def insert(
    graph: Graph, layers: Sequence[Layer], weights: Mapping[str, Weights], points: Sequence[Point],
    codes: Sequence[Codes], biases: Mapping[str, np.ndarray],
) -> Graph:  # fmt: skip
    """A canonical real graph with quantizers; weights and corrected biases by the product's name."""
    nodes = {n.name: n for n in graph.nodes}
    for layer in layers:
        _insert_weights(graph, nodes, layer, weights[layer.product])
        if layer.product in biases:
            nodes[layer.bias] = Node(layer.bias, Constant.real(biases[layer.product]))
    read: dict[str, str] = {}
    added: list[Node] = []
    for point, c in zip(points, codes):
        for tensor in point.tensors:
            pair = _quantizer(graph, tensor, c)
            added += pair
            read[tensor] = pair[1].name
    rewired = [replace(n, inputs=tuple(read.get(i, i) for i in n.inputs)) for n in nodes.values()]
    return graph.replace([*rewired, *added])


def quantized_name(tensor: str) -> str:
    """The name of a tensor after its quantizer, as real numbers."""
    return f"{tensor}.quantized"


def _insert_weights(graph: Graph, nodes: dict[str, Node], layer: Layer, weights: Weights) -> None:
    """The product's constant becomes an integer one and its Dequantize, under the constant's name."""
    codes, real = integer_nodes(graph, layer.weights, weights)
    nodes[codes.name], nodes[real.name] = codes, real


def integer_nodes(graph: Graph, name: str, weights: Weights, storage: str = "") -> tuple[Node, Node]:
    """A constant of integers, and its Dequantize of the name that the real constant has; `storage`: see Constant."""
    integers, unit = _reduced(weights.codes.astype(np.int64)) if not storage else (weights.codes.astype(np.int64), 1)
    shared = bool((weights.scale == weights.scale[0]).all())
    scale = tuple(float(s) * unit for s in (weights.scale[:1] if shared else weights.scale))
    codes = graph.fresh(f"{name}.codes")
    constant = Constant(TensorType(integers.shape, of_values(integers), scale), integers, storage)
    return Node(codes, constant), Node(name, Dequantize(), (codes,))


def _reduced(integers: np.ndarray) -> tuple[np.ndarray, int]:
    """(integers / unit, unit): the largest power of two in all of them goes into the scale, exactly."""
    used = int(np.bitwise_or.reduce(np.abs(integers), axis=None))
    unit = used & -used or 1
    return integers // unit, unit


def _quantizer(graph: Graph, tensor: str, c: Codes) -> tuple[Node, Node]:
    """Quantize and Dequantize behind a tensor."""
    node = graph.by_name.get(tensor)
    origin = node.origin if node else ""
    op = Quantize(c.activations.format, (c.scale,), (c.zero_point,), offset_last=True)
    codes, real = graph.fresh(f"{tensor}.codes"), graph.fresh(quantized_name(tensor))
    return Node(codes, op, (tensor,), origin), Node(real, Dequantize(), (codes,), origin)
