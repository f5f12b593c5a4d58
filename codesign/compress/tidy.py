"""What rewrites of the real graph leave behind."""

from __future__ import annotations

from dataclasses import replace

from codesign.graph import Constant, Graph, Node
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add
from codesign.ops.layout import Reshape
from codesign.quantize.canonical import fold_norms, is_product


def folded(graph: Graph) -> Graph:
    """The graph in canonical form (every product is followed by one bias); layers keep the labels they have."""
    named = [replace(n, origin=n.label) if is_product(graph, n) else n for n in graph.nodes]
    return fold_norms(graph.replace(named))


def without_idle_sums(graph: Graph) -> Graph:
    """The graph without biases of 0; the product gives the result under the sum's name."""
    nodes = {n.name: n for n in graph.nodes}
    for node in graph.nodes:
        product = graph.by_name.get(node.inputs[0]) if isinstance(node.op, Add) else None
        bias = graph.by_name.get(node.inputs[1]) if product is not None else None
        if product is None or bias is None or not is_product(graph, product) or not isinstance(bias.op, Constant):
            continue
        same = graph.types[node.name].shape == graph.types[product.name].shape
        if same and not bias.op.value.any() and len(graph.readers[product.name]) == 1:
            nodes[node.name] = replace(product, name=node.name)
    return graph.replace(nodes.values())


def replaced(graph: Graph, product: str, nodes: tuple[Node, ...]) -> Graph:
    """A canonical graph with other nodes in place of a product, the last of which has its name.

    Where that gives an image instead of a vector, the bias is added to the image.
    """
    found = {n.name: n for n in graph.nodes} | {n.name: n for n in nodes}
    (total,), shape = graph.readers[product], graph.types[product].shape
    if isinstance(nodes[-1].op, Conv) and len(shape) != 3:
        image = replace(total, name=graph.fresh(f"{total.name}.image"))
        found[image.name] = image
        found[total.name] = Node(total.name, Reshape(shape), (image.name,), total.origin)
    return graph.replace(found.values())
