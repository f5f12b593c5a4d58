"""Vertical fusion by evaluation: a chain of real functions between two integer tensors becomes one operator.

Not by algebra: the chain itself is run on every reachable integer (or bisected where each of its functions is
monotone), so the fused operator equals the chain whatever it is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from codesign.errors import UserError
from codesign.formats import Binary, Format, carrier
from codesign.fusion import Journal
from codesign.graph import Constant, Dequantize, Graph, GraphError, Input, Node, Op, Operand, TensorType
from codesign.ops.elementwise import Add, Div, Maximum, Minimum, Mul, Power, Rectify, Sub
from codesign.ops.integer import Reinterpret
from codesign.ops.quantize import Quantize
from codesign.ops.round_to_float import RoundToFloat
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes.staircase import Steps, tabulate
from codesign.passes.stretches import split_where

ARITHMETIC = (Add, Sub, Mul, Div, Power, Minimum, Maximum, Rectify)
QUANTIZERS = (Quantize, Threshold, RoundToFloat)
MOST_IDENTITY = 1 << 16  # integers up to which an operator is tried for being the identity


@dataclass(frozen=True)
class Chain:
    """Elementwise nodes from an integer tensor `source` (through Dequantize) to the node that quantizes again.

    They may part and meet, as in x * sigmoid(x).
    """

    source: str
    nodes: tuple[Node, ...]  # in topological order, the quantizing node last


def fuse_activations(graph: Graph, journal: Journal) -> Graph:
    """Every quantizing node whose input is a function of one integer tensor becomes a Threshold, a Table, or both."""
    nodes = {n.name: n for n in graph.nodes}
    for node in graph.nodes:
        chain = find_chain(graph, node)
        if chain is not None:
            fused = fused_nodes(graph, chain)
            nodes |= {n.name: n for n in fused}
            functions = ", ".join(type(n.op).__name__ for n in chain.nodes if not isinstance(n.op, Dequantize))
            journal.did(f"{functions} evaluated as {' and '.join(_described(n.op) for n in fused)}", *chain.nodes)
    return graph.replace(nodes.values())


def _described(op: Op) -> str:
    if isinstance(op, Threshold):
        return f"one Threshold of {op.thresholds.shape[1]} steps"
    return f"one Table of {op.values.shape[1]} entries" if isinstance(op, Table) else "nothing: the same integers"


def data_operands(graph: Graph, node: Node) -> tuple[str, ...]:
    """The operands that are not constant, of an elementwise function that treats all positions alike; else none."""
    data = data_operand(graph, node)
    if data is not None:
        return (data,)
    shape = graph.types[node.name].shape
    whole = all(i not in graph.constants and graph.types[i].shape == shape for i in node.inputs)
    return node.inputs if isinstance(node.op, ARITHMETIC) and whole else ()


def find_chain(
    graph: Graph, node: Node, operands: Callable[[Graph, Node], tuple[str, ...]] = data_operands
) -> Chain | None:
    """The chain that ends in a quantizing node, or None where it does not start at one integer tensor."""
    if not is_quantizing(graph, node):
        return None
    found, waiting, sources = {node.name}, [node], set()
    while waiting:
        current = waiting.pop()
        if isinstance(current.op, Dequantize):
            sources.add(current.inputs[0])
            continue
        data = operands(graph, current)
        if not data or any(name not in graph.by_name for name in data):
            return None
        waiting += [graph.by_name[name] for name in dict.fromkeys(data) if name not in found]
        found.update(data)
    if len(sources) != 1 or not sources.isdisjoint(graph.constants):
        return None
    return Chain(sources.pop(), tuple(n for n in graph.nodes if n.name in found))


def is_quantizing(graph: Graph, node: Node) -> bool:
    """Whether a node turns a real tensor into integers."""
    real = bool(node.inputs) and not graph.types[node.inputs[0]].is_integer
    return isinstance(node.op, QUANTIZERS) and real


def data_operand(graph: Graph, node: Node) -> str | None:
    """The one operand that is not constant, of an elementwise function that treats all positions alike; else None."""
    if isinstance(node.op, (*QUANTIZERS, Unary)):
        return node.inputs[0]
    others = [i for i in node.inputs if i not in graph.constants]
    if not isinstance(node.op, ARITHMETIC) or len(others) != 1 or len(node.inputs) != 2:
        return None
    constant = next(graph.constants[i] for i in node.inputs if i in graph.constants)
    alike = constant.size in (1, constant.shape[-1] if constant.shape else 1)
    return others[0] if alike and graph.types[others[0]].shape == graph.types[node.name].shape else None


def slopes(graph: Graph, node: Node) -> np.ndarray | None:
    """Sign of slope (+1, -1; one, or one a channel) of an elementwise node in its data operand; None: unknown."""
    op = node.op
    if isinstance(op, Unary):
        return None if op.slope is None else np.array([op.slope])
    if isinstance(op, Threshold):
        return np.sign(op.step)
    if isinstance(op, ARITHMETIC):
        return _arithmetic_slopes(graph, node) if data_operand(graph, node) else None
    return np.array([1])


def _arithmetic_slopes(graph: Graph, node: Node) -> np.ndarray | None:
    data_first = node.inputs[0] not in graph.constants
    constant = graph.constants[node.inputs[1] if data_first else node.inputs[0]].reshape(-1)
    if isinstance(node.op, (Add, Minimum, Maximum)):
        return np.array([1])
    if isinstance(node.op, Sub):
        return np.array([1 if data_first else -1])
    if isinstance(node.op, Rectify):
        return np.array([1]) if (constant >= 0).all() else None
    if isinstance(node.op, Power):
        return np.array([1]) if data_first and (constant % 2 == 1).all() and (constant > 0).all() else None
    if isinstance(node.op, Div) and not data_first:
        return None
    return np.where(constant < 0, -1, 1)


def fused_nodes(graph: Graph, chain: Chain) -> list[Node]:
    """The nodes that stand for a chain, the last under the name of the chain's last."""
    root, source, result = chain.nodes[-1], graph.types[chain.source], graph.types[chain.nodes[-1].name]
    steps = _tabulated(graph, chain)
    if len(steps) == 2:
        index = Node(graph.fresh(f"{root.name}_index"), steps[0], (chain.source,), root.origin)
        return [index, replace(root, op=steps[1], inputs=(index.name,))]
    same = _is_identity(steps[0], source)
    op = Reinterpret(result.scale, result.zero_point) if same else steps[0]
    return [replace(root, op=op, inputs=(chain.source,))]


def _tabulated(graph: Graph, chain: Chain) -> Steps:
    root, source = chain.nodes[-1], graph.types[chain.source]
    channels = source.shape[-1] if source.shape else 1
    single = _channel_graph(graph, chain, channels)
    dtype = carrier(source.format)

    def function(integers: np.ndarray, of: str = root.name) -> np.ndarray:
        return single.run({chain.source: integers.astype(dtype)}, [of])[of]

    assert source.format is not None
    levels = root.op.format.levels if isinstance(root.op, RoundToFloat) else None
    try:
        starts = _stretches(graph, chain, function, source.format, channels)
        return tabulate(function, source.format, channels, graph.types[root.name], starts, levels)
    except GraphError as e:
        help = "use a function that only rises or only falls, or fewer bits before it"
        raise UserError(f"node '{root.label}': {e}; {help}") from None


def _stretches(
    graph: Graph, chain: Chain, function: Callable[..., np.ndarray], x: Format, channels: int
) -> np.ndarray | None:
    """First integers (stretches, channels) of where a chain only rises or only falls; None where that is not known."""
    starts = np.full((1, channels), x.lo)
    for node in chain.nodes:
        turns = _turns(graph, node)
        if turns is None:
            return None
        for turn in turns:
            starts = split_where(partial(_above, function, data_operand(graph, node), turn), starts, x.hi)
    return starts


def _above(function: Callable[..., np.ndarray], of: str | None, turn: float, integers: np.ndarray) -> np.ndarray:
    return function(integers, of) >= turn


def _turns(graph: Graph, node: Node) -> tuple[float, ...] | None:
    """Values of a node's data operand between which it only rises or only falls; None where that is not known."""
    if isinstance(node.op, ARITHMETIC) and data_operand(graph, node) is None:
        return None
    if slopes(graph, node) is not None:
        return ()
    if isinstance(node.op, Rectify):
        return (0.0,)
    return node.op.turns if isinstance(node.op, Unary) else None


def _is_identity(op: Threshold | Table, source: TensorType) -> bool:
    """Whether an operator gives every integer back, so that only its meaning changes."""
    assert source.format is not None
    if source.format.hi - source.format.lo > MOST_IDENTITY or isinstance(op.format, Binary) != isinstance(
        source.format, Binary
    ):
        return False
    rows = max(len(op.values) if isinstance(op, Table) else max(len(op.thresholds), len(op.base)), 1)
    every = np.arange(source.format.lo, source.format.hi + 1)[:, None].repeat(rows, axis=1)
    out = op.infer(Operand(TensorType((rows,), source.format)))
    return bool((op.run(out, every) == every).all())


def _channel_graph(graph: Graph, chain: Chain, channels: int) -> Graph:
    """The chain alone, on tensors of one position: (samples, channels)."""
    source = replace(graph.types[chain.source], shape=(channels,))
    nodes = []
    for node in chain.nodes:
        for name in node.inputs:
            if name in graph.constants:
                nodes.append(Node(name, Constant.real(graph.constants[name].reshape(-1))))
        nodes.append(node)
    unique = {n.name: n for n in nodes}
    root = chain.nodes[-1].name
    return Graph((Input(chain.source, source),), (), (chain.source,)).replace(unique.values(), (root,))
