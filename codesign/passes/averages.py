"""Averages move above the affine functions before them, up to where numbers are integers.

mean(a * x + b) = a * mean(x) + b.
"""

from __future__ import annotations

from dataclasses import replace

from codesign.fusion import Journal
from codesign.graph import Graph, Node
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.pool import AveragePool, GlobalAveragePool
from codesign.passes.fuse import data_operand


def hoist_averages(graph: Graph, journal: Journal) -> Graph:
    """Swap averages and the factors and offsets (constant, one or one a channel) that they read."""
    while True:
        swapped = next((g for node in graph.nodes if (g := _swapped(graph, node, journal)) is not None), None)
        if swapped is None:
            return graph
        graph = swapped


def _swapped(graph: Graph, node: Node, journal: Journal) -> Graph | None:
    if not isinstance(node.op, (AveragePool, GlobalAveragePool)):
        return None
    function = graph.by_name.get(node.inputs[0])
    if function is None or not _is_affine(graph, function):
        return None
    data = data_operand(graph, function)
    assert data is not None
    journal.did(f"{type(node.op).__name__} moved above {type(function.op).__name__}", node, function)
    mean = replace(node, name=graph.fresh(f"{node.name}_mean"), inputs=(data,))
    after = replace(function, name=node.name, inputs=tuple(mean.name if i == data else i for i in function.inputs))
    return graph.replace([*(n for n in graph.nodes if n.name != node.name), mean, after])


def _is_affine(graph: Graph, node: Node) -> bool:
    data = data_operand(graph, node) if isinstance(node.op, (Add, Sub, Mul, Div)) else None
    if data is None or graph.types[data].is_integer:
        return False
    return not isinstance(node.op, Div) or node.inputs[0] == data
