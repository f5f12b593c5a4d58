"""ArgMax of a strictly rising function is ArgMax of its argument: so it can run on integers."""

from __future__ import annotations

from dataclasses import replace

from codesign.fusion import Journal
from codesign.graph import Dequantize, Graph, Node
from codesign.ops.argmax import ArgMax
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.softmax import Softmax
from codesign.passes.fuse import data_operand


def lift_argmax(graph: Graph, journal: Journal) -> Graph:
    """Let every ArgMax read the integers below scalar positive factors, offsets and Softmax."""
    nodes = {n.name: n for n in graph.nodes}
    for node in (n for n in graph.nodes if isinstance(n.op, ArgMax) and not graph.types[n.inputs[0]].is_integer):
        lifted = _lifted(graph, node)
        nodes[node.name] = lifted
        if lifted is node:
            journal.refused("between it and the integers stands more than Softmax and factors above 0 for all", node)
        else:
            journal.did("ArgMax of the integers", node)
    return graph.replace(nodes.values())


def _lifted(graph: Graph, node: Node) -> Node:
    name = node.inputs[0]
    while name in graph.by_name:
        below = graph.by_name[name]
        if isinstance(below.op, Dequantize):
            t = graph.types[below.inputs[0]]
            return replace(node, inputs=below.inputs) if len(t.scale) == len(t.zero_point) == 1 else node
        if not _strictly_rises(graph, below):
            return node
        name = below.inputs[0] if isinstance(below.op, Softmax) else data_operand(graph, below) or ""
    return node


def _strictly_rises(graph: Graph, node: Node) -> bool:
    if isinstance(node.op, Softmax):
        return True
    constants = [graph.constants[i] for i in node.inputs if i in graph.constants]
    if data_operand(graph, node) is None or len(constants) != 1 or constants[0].size != 1:
        return False
    data_first = node.inputs[0] not in graph.constants
    if isinstance(node.op, (Add, Sub)):
        return data_first or isinstance(node.op, Add)
    return isinstance(node.op, (Mul, Div)) and bool(constants[0] > 0) and (data_first or isinstance(node.op, Mul))
