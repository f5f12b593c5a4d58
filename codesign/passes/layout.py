"""Layout that costs hardware but needs none: permutations go into weights, onto the host, or cancel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.fusion import Journal
from codesign.graph import Constant, Graph, Node
from codesign.ops.integer import Center
from codesign.ops.layout import Reshape, Transpose
from codesign.ops.matmul import MatMul

EFFECTS = {
    MatMul: "the permutation in front of it is one of its weights' rows",
    Center: "moved below the layout",
    Reshape: "removed, or one with the Reshape before it",
    Transpose: "removed, or one with the Transpose before it, or a Reshape",
}


def simplify_layout(graph: Graph, journal: Journal) -> Graph:
    """Apply the rules below until none applies; note the permutations that are left."""
    while True:
        found = next(((node, g) for node in graph.nodes if (g := _step(graph, node)) is not None), None)
        if found is None:
            break
        node, graph = found
        journal.did(f"{type(node.op).__name__}: {EFFECTS[type(node.op)]}", node)
    for node in graph.nodes:
        if isinstance(node.op, Transpose) and graph.types[node.name].is_integer:
            journal.refused("this permutation meets no product whose weights could take it", node)
    return graph


def _step(graph: Graph, node: Node) -> Graph | None:
    if isinstance(node.op, MatMul):
        return _absorb(graph, node)
    if isinstance(node.op, Center):
        return _below_center(graph, node)
    if not isinstance(node.op, (Reshape, Transpose)):
        return None
    before = graph.types[node.inputs[0]]
    if before.shape == graph.types[node.name].shape and _is_identity(node):
        return _bypass(graph, node)
    if isinstance(node.op, Transpose) and _moves_only_ones(node.op, before.shape):
        shape = graph.types[node.name].shape
        return _with(graph, replace(node, op=Reshape(shape)))
    return _merge(graph, node)


def _is_identity(node: Node) -> bool:
    return isinstance(node.op, Reshape) or node.op.perm == tuple(range(len(node.op.perm)))  # type: ignore[attr-defined]


def _bypass(graph: Graph, node: Node) -> Graph | None:
    if node.name in graph.outputs:
        return None  # outputs keep their names
    return graph.rename(node.name, node.inputs[0])


def _moves_only_ones(op: Transpose, shape: tuple[int, ...]) -> bool:
    """Whether the axes longer than 1 keep their order."""
    longer = [p for p in op.perm if shape[p] != 1]
    return longer == sorted(longer)


def _merge(graph: Graph, node: Node) -> Graph | None:
    """Two reshapes, or two transposes, in a row are one."""
    below = graph.by_name.get(node.inputs[0])
    if below is None or type(below.op) is not type(node.op):
        return None
    if isinstance(node.op, Transpose):
        assert isinstance(below.op, Transpose)
        op = Transpose(tuple(below.op.perm[p] for p in node.op.perm))
        return _with(graph, replace(node, op=op, inputs=below.inputs))
    return _with(graph, replace(node, inputs=below.inputs))


def _below_center(graph: Graph, node: Node) -> Graph | None:
    """Center(layout(x)) = layout(Center(x))."""
    layout = graph.by_name.get(node.inputs[0])
    if layout is None or not isinstance(layout.op, (Reshape, Transpose)):
        return None
    flattened = all(isinstance(r.op, Reshape) for r in graph.readers[node.name])
    if isinstance(layout.op, Transpose) and not flattened:
        return None  # no weights will absorb it: the host's stays the host's
    inner = Node(graph.fresh(f"{node.name}_below"), node.op, layout.inputs, node.origin)
    outer = replace(layout, name=node.name, inputs=(inner.name,))
    return graph.replace([*(n for n in graph.nodes if n.name != node.name), inner, outer])


def _absorb(graph: Graph, node: Node) -> Graph | None:
    """MatMul(Reshape(Transpose(x)), w) = MatMul(Reshape(x), w with its rows permuted)."""
    x, w = node.inputs
    reshape = graph.by_name.get(x)
    if reshape is None or not isinstance(reshape.op, Reshape) or w not in graph.constants:
        return None
    transpose = graph.by_name.get(reshape.inputs[0])
    if transpose is None or not isinstance(transpose.op, Transpose) or len(reshape.op.shape) != 1:
        return None
    shape = graph.types[transpose.inputs[0]].shape
    order = np.arange(graph.types[x].size).reshape([shape[p] for p in transpose.op.perm])
    rows = order.transpose(np.argsort(transpose.op.perm)).reshape(-1)  # row that each element of x now meets
    constant = graph.by_name[w].op
    assert isinstance(constant, Constant)
    weights = Node(graph.fresh(f"{w}_rows"), Constant(constant.type, constant.value[rows]))
    flat = Node(graph.fresh(f"{x}_flat"), Reshape(reshape.op.shape), transpose.inputs)
    return graph.replace(
        [
            *(n for n in graph.nodes if n.name != node.name),
            weights,
            flat,
            replace(node, inputs=(flat.name, weights.name)),
        ]
    )


def _with(graph: Graph, node: Node) -> Graph:
    return graph.replace([node if n.name == node.name else n for n in graph.nodes])
