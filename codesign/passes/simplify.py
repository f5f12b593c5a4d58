"""What needs no arithmetic of its own: equal computations are shared, operators that do nothing vanish."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields, is_dataclass, replace

import numpy as np

from codesign.fusion import Journal
from codesign.graph import Constant, Dequantize, Graph, Node
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.integer import Reinterpret
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, MaxPool
from codesign.ops.take import Take

NEUTRAL = {Add: 0.0, Sub: 0.0, Mul: 1.0, Div: 1.0}


def share_subexpressions(graph: Graph, journal: Journal) -> Graph:
    """Of nodes that compute the same from the same, one is left (constants of one value too)."""
    seen: dict[Hashable, Node] = {}
    same: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(same.get(i, i) for i in node.inputs))
        first = seen.setdefault(_meaning(node), node)
        if first is node or node.name in graph.outputs:  # outputs keep their names
            nodes.append(node)
            continue
        same[node.name] = first.name
        if not isinstance(node.op, (Constant, Dequantize)):
            journal.did(f"'{node.name}' is '{first.name}' again: computed once", first, node)
    return graph.replace(nodes)


def _meaning(node: Node) -> Hashable:
    """Equal for two nodes exactly where they compute the same."""
    commutes = isinstance(node.op, (Add, Mul))
    return _frozen(node.op), tuple(sorted(node.inputs)) if commutes else node.inputs


def _frozen(value: object) -> Hashable:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(_frozen(getattr(value, f.name)) for f in fields(value))
    assert isinstance(value, Hashable)
    return value


def drop_identities(graph: Graph, journal: Journal) -> Graph:
    """Operators that give back what they take vanish; where the result is an output, it keeps its operator."""
    for node in graph.nodes:
        source = _source(graph, node)
        if source is None:
            continue
        if node.name in graph.outputs:
            journal.refused("gives back what it takes, but is an output, which keeps its name", node)
            continue
        journal.did(f"{type(node.op).__name__} gives back what it takes: removed", node)
        graph = graph.rename(node.name, source)
    return graph


def _source(graph: Graph, node: Node) -> str | None:
    """The operand that a node gives back unchanged, or None."""
    node = graph.by_name.get(node.name, node)
    operands = [i for i in node.inputs if i not in graph.constants]
    if len(operands) != 1 or node.name not in graph.types:
        return None
    before, after = graph.types[operands[0]], graph.types[node.name]
    return operands[0] if before == after and _does_nothing(graph, node) else None


def _does_nothing(graph: Graph, node: Node) -> bool:
    """Of a node whose result has its operand's shape."""
    match node.op:
        case Reshape() | Expand() | Upsample() | Reinterpret():
            return True
        case Transpose(perm=axes):
            return axes == tuple(range(len(axes)))
        case Slice(steps=steps):
            return min(steps) > 0
        case Take(indices=indices):
            return indices == tuple(range(len(indices)))
        case Pad(before=before, after=after, gaps=gaps):
            return not any((*before, *after, *gaps))
        case MaxPool(kernel=kernel, stride=stride) | AveragePool(kernel=kernel, stride=stride):
            return kernel == stride == (1, 1)
        case Concat():
            return len(node.inputs) == 1
    neutral = NEUTRAL.get(type(node.op))
    constant = graph.constants.get(node.inputs[-1])  # 1 / x and 0 - x are something else
    return neutral is not None and constant is not None and bool((constant == neutral).all())
