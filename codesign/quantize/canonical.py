"""Batch normalization and biases folded, so that every product with constant weights is followed by one sum.

product -> factors and offsets of each channel  becomes  product with scaled weights -> Add(bias): weights are
quantized together with their normalization, and every later step finds one weight and one bias constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.graph import Constant, Graph, Node
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.matmul import MatMul
from codesign.passes.fuse import data_operand

PRODUCTS = (Conv, MatMul)


@dataclass(frozen=True)
class Layer:
    """A product with constant weights in canonical form: names of its nodes; `label`: the user's own name."""

    label: str
    product: str
    data: str
    weights: str
    bias: str
    result: str


def fold_norms(graph: Graph) -> Graph:
    """The graph in canonical form; the results keep their names."""
    nodes = {n.name: n for n in graph.nodes}
    for node in graph.nodes:
        if is_product(graph, node):
            _fold(graph, node, nodes)
    return graph.replace(nodes.values())


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """The layers of a canonical graph, in order; a label that two share is followed by its tensor's name."""
    products = [n for n in graph.nodes if is_product(graph, n)]
    labels = labels_of(products)
    return tuple(_layer(graph, n, labels[n.name]) for n in products)


def labels_of(products: Sequence[Node]) -> dict[str, str]:
    """The user's own name of each product's layer; one that two share is followed by its tensor's name."""
    labels = [n.label for n in products]
    return {n.name: f"{text}:{n.name}" if labels.count(text) > 1 else text for text, n in zip(labels, products)}


def _layer(graph: Graph, node: Node, label: str) -> Layer:
    (total,) = graph.readers[node.name]
    return Layer(label, node.name, node.inputs[0], node.inputs[1], total.inputs[1], total.name)


def is_product(graph: Graph, node: Node) -> bool:
    """Whether a node multiplies by constant weights."""
    return isinstance(node.op, PRODUCTS) and node.inputs[1] in graph.constants


def _fold(graph: Graph, node: Node, nodes: dict[str, Node]) -> None:
    """Rewrite one product and the affine chain behind it, in `nodes`."""
    channels = graph.types[node.name].shape[-1]
    factor, offset, last = np.ones(channels), np.zeros(channels), node
    while (following := _following(graph, last)) is not None:
        factor, offset = _composed(graph, following, factor, offset)
        del nodes[last.name]
        last = following
    product = graph.fresh(f"{node.name}.product") if last is node else node.name
    weights, bias = graph.fresh(f"{node.name}.weights"), graph.fresh(f"{node.name}.bias")
    nodes[weights] = Node(weights, Constant.real(graph.constants[node.inputs[1]] * factor))
    nodes[bias] = Node(bias, Constant.real(offset))
    nodes[product] = replace(node, name=product, inputs=(node.inputs[0], weights))
    nodes[last.name] = Node(last.name, Add(), (product, bias), node.origin)


def _following(graph: Graph, node: Node) -> Node | None:
    """The only reader, where it is a constant factor or offset of each channel."""
    readers = graph.readers[node.name]
    if len(readers) != 1 or node.name in graph.outputs or not isinstance(readers[0].op, (Add, Sub, Mul, Div)):
        return None
    reader = readers[0]
    inverse = isinstance(reader.op, Div) and reader.inputs[0] != node.name
    return None if inverse or data_operand(graph, reader) != node.name else reader


def _composed(graph: Graph, node: Node, factor: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(factor, offset) after one more factor or offset."""
    data_first = node.inputs[0] not in graph.constants
    value = graph.constants[node.inputs[1] if data_first else node.inputs[0]].reshape(-1)
    if isinstance(node.op, Mul):
        return factor * value, offset * value
    if isinstance(node.op, Div):
        return factor / value, offset / value
    if isinstance(node.op, Add):
        return factor, offset + value
    return (factor, offset - value) if data_first else (-factor, value - offset)
