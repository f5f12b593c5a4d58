"""Constants that differ between the places of an image: the tensor as one vector, with a function for each element.

What treats the channels of a vector each by its own constants then serves every element.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.errors import UserError
from codesign.fusion import Journal
from codesign.graph import Constant, Graph, Node
from codesign.ops.layout import Reshape, per_tensor
from codesign.passes.fuse import ARITHMETIC, Chain, data_operands, find_chain

MOST_STEPS = 1 << 22  # of all elements' functions together


def flatten_places(graph: Graph, journal: Journal) -> Graph:
    """Every chain of real functions with such constants, between two tensors of one scale each, runs on a vector."""
    for node in graph.nodes:
        if find_chain(graph, node) is not None:
            continue
        chain = find_chain(graph, node, _operands)
        if chain is not None and all(per_tensor(graph.types[name]) for name in (chain.source, node.name)):
            _check(graph, chain)
            graph = _flattened(graph, chain)
            journal.did("constants differ between places: each element has its own function", *chain.nodes)
    return graph


def _operands(graph: Graph, node: Node) -> tuple[str, ...]:
    """The operands that are not constant, of an elementwise function with constants of any kind."""
    found = data_operands(graph, node)
    if found or not isinstance(node.op, ARITHMETIC):
        return found
    data = tuple(i for i in node.inputs if i not in graph.constants)
    return data if all(graph.types[i].shape == graph.types[node.name].shape for i in data) else ()


def _check(graph: Graph, chain: Chain) -> None:
    """UserError where the elements' functions take too much memory."""
    root = chain.nodes[-1]
    t = graph.types[root.name]
    assert t.format is not None
    if t.size * (t.format.hi - t.format.lo) > MOST_STEPS:
        raise UserError(
            f"node '{root.label}': the constants before it differ between places, and {t.size} elements "
            "with a function each are too many; use constants of one number a channel, or fewer bits"
        )


def _flattened(graph: Graph, chain: Chain) -> Graph:
    """The chain on a vector; its last node's name is that of the result in its own shape."""
    shape, root = graph.types[chain.source].shape, chain.nodes[-1]
    size = graph.types[chain.source].size
    flat = Node(graph.fresh(f"{chain.source}_flat"), Reshape((size,)), (chain.source,), root.origin)
    names, added = {chain.source: flat.name}, [flat]
    for node in chain.nodes:
        for name in (i for i in node.inputs if i in graph.constants and i not in names):
            constant = np.broadcast_to(graph.constants[name], shape).reshape(-1)
            names[name] = graph.fresh(f"{name}_flat_for_{root.name}")
            added.append(Node(names[name], Constant.real(constant)))
        names[node.name] = graph.fresh(f"{node.name}_flat_for_{root.name}")
        added.append(replace(node, name=names[node.name], inputs=tuple(names[i] for i in node.inputs)))
    added.append(Node(root.name, Reshape(shape), (names[root.name],), root.origin))
    return graph.replace([*(n for n in graph.nodes if n.name != root.name), *added])
