"""Concatenations and their parts, where elements only part and meet again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from codesign.fusion import Journal
from codesign.graph import Graph, Node
from codesign.ops.layout import Concat
from codesign.ops.moves import Slice
from codesign.passes.simplify import drop_identities

Rule = Callable[[Graph, Node], tuple[Node, str] | None]  # -> the node in its place and what was done


def fuse_concats(graph: Graph, journal: Journal) -> Graph:
    """Nested concatenations become one; neighbouring parts of one tensor are one part, or the tensor itself."""
    return drop_identities(_rewritten(graph, journal, (_flattened, _met_again)), journal)


def fuse_splits(graph: Graph, journal: Journal) -> Graph:
    """A part of a part, or of a concatenation, is taken from where it comes from."""
    return _rewritten(graph, journal, (_part_of_part, _part_of_concat))


def _rewritten(graph: Graph, journal: Journal, rules: tuple[Rule, ...]) -> Graph:
    """Apply rules until none applies."""
    while True:
        found = next(((n, done) for n in graph.nodes for rule in rules if (done := rule(graph, n)) is not None), None)
        if found is None:
            return graph
        node, (new, text) = found
        journal.did(text, node)
        graph = graph.replace([new if n.name == node.name else n for n in graph.nodes])


def _axis(graph: Graph, node: Node) -> int:
    assert isinstance(node.op, Concat)
    return node.op.axis % len(graph.types[node.name].shape)


def _flattened(graph: Graph, node: Node) -> tuple[Node, str] | None:
    """Concat(a, Concat(b, c)), where nothing else reads the inner one."""
    if not isinstance(node.op, Concat):
        return None
    for k, name in enumerate(node.inputs):
        inner = graph.by_name.get(name)
        if inner is None or not isinstance(inner.op, Concat) or _axis(graph, inner) != _axis(graph, node):
            continue
        if len(graph.readers[name]) == 1 and name not in graph.outputs:
            inputs = (*node.inputs[:k], *inner.inputs, *node.inputs[k + 1 :])
            return replace(node, inputs=inputs), f"joined together with '{inner.label}'"
    return None


def _met_again(graph: Graph, node: Node) -> tuple[Node, str] | None:
    """Concat of two neighbouring parts of one tensor: one part."""
    if not isinstance(node.op, Concat):
        return None
    axis = _axis(graph, node)
    for k, pair in enumerate(zip(node.inputs, node.inputs[1:])):
        a, b = (_cut_along(graph, name, axis) for name in pair)
        if a is None or b is None or a[0] != b[0] or a[2] != b[1]:
            continue
        source, start, stop = a[0], a[1], b[2]
        whole = start == 0 and stop == graph.types[source].shape[axis]
        shape = list(graph.types[source].shape)
        shape[axis] = stop - start
        starts = tuple(start if i == axis else 0 for i in range(len(shape)))
        part = Slice(starts, tuple(shape), (1,) * len(shape))
        if len(node.inputs) == 2:
            return replace(node, op=part, inputs=(source,)), "parts that meet again are one part"
        if whole:
            inputs = (*node.inputs[:k], source, *node.inputs[k + 2 :])
            return replace(node, inputs=inputs), f"parts that meet again are '{source}'"
    return None


def _cut_along(graph: Graph, name: str, axis: int) -> tuple[str, int, int] | None:
    """(tensor, start, stop) where a node takes neighbouring elements of a tensor along one axis only."""
    node = graph.by_name.get(name)
    if node is None or not isinstance(node.op, Slice) or node.op.steps != (1,) * len(node.op.steps):
        return None
    shape = graph.types[node.inputs[0]].shape
    if any(n != m for i, (n, m) in enumerate(zip(node.op.sizes, shape)) if i != axis):
        return None
    start = node.op.starts[axis]
    return node.inputs[0], start, start + node.op.sizes[axis]


def _part_of_part(graph: Graph, node: Node) -> tuple[Node, str] | None:
    inner = graph.by_name.get(node.inputs[0]) if isinstance(node.op, Slice) else None
    if inner is None or not isinstance(inner.op, Slice) or not isinstance(node.op, Slice):
        return None
    outer, below = node.op, inner.op
    starts = tuple(a + s * b for a, s, b in zip(below.starts, below.steps, outer.starts))
    steps = tuple(s * t for s, t in zip(below.steps, outer.steps))
    taken = replace(node, op=Slice(starts, outer.sizes, steps), inputs=inner.inputs)
    return taken, f"taken from '{inner.inputs[0]}' at once"


def _part_of_concat(graph: Graph, node: Node) -> tuple[Node, str] | None:
    """A slice that lies within one operand of a concatenation."""
    joined = graph.by_name.get(node.inputs[0]) if isinstance(node.op, Slice) else None
    if joined is None or not isinstance(joined.op, Concat) or not isinstance(node.op, Slice):
        return None
    axis, before = _axis(graph, joined), 0
    start = node.op.starts[axis]
    last = start + (node.op.sizes[axis] - 1) * node.op.steps[axis]
    for part in joined.inputs:
        length = graph.types[part].shape[axis]
        if before <= min(start, last) and max(start, last) < before + length:
            starts = tuple(s - before if i == axis else s for i, s in enumerate(node.op.starts))
            return replace(node, op=replace(node.op, starts=starts), inputs=(part,)), f"taken from '{part}' itself"
        before += length
    return None
