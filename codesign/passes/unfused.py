"""Instead of vertical fusion: functions that are exact on integers stay operators of their own.

Offsets by whole steps, ReLU and factors above 0; what follows the first other function is still evaluated as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from codesign.formats import Int, carrier
from codesign.fusion import Journal
from codesign.graph import Constant, Dequantize, Graph, Input, Node, Op, Operand, TensorType
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.integer import Reinterpret
from codesign.ops.requant import Requant
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes.fuse import Chain, data_operand, find_chain, fuse_activations, fused_nodes

WHOLE = 1e-6  # relative: offsets this near to whole steps are tried as whole ones


def keep_functions(graph: Graph, journal: Journal) -> Graph:
    """Every chain as integer operators one after the other as far as they are exact, then one Threshold or Table."""
    for node in graph.nodes:
        chain = find_chain(graph, node)
        kept = _kept(graph, chain) if chain is not None else graph
        if chain is not None and kept is not graph and _same(graph, kept, chain):
            graph = kept
    return fuse_activations(graph, journal)


def _kept(graph: Graph, chain: Chain) -> Graph:
    """The graph with the chain's first functions on the integers; itself where there are none."""
    source, t, last, added = chain.source, graph.types[chain.source], chain.nodes[0], []
    for function in chain.nodes[1:-1]:
        parts = sum(last.name in n.inputs for n in chain.nodes) > 1
        op = _alone(graph, function, t) if data_operand(graph, function) == last.name and not parts else None
        if op is None or len(graph.readers[function.name]) != 1 or function.name in graph.outputs:
            break
        added.append(Node(graph.fresh(f"{function.name}_alone"), op, (source,), function.origin))
        source, t, last = added[-1].name, op.infer(Operand(t)), function
    if not added:
        return graph
    added.append(replace(last, op=Dequantize(), inputs=(source,)))
    return graph.replace([*(n for n in graph.nodes if n.name != last.name), *added])


def _same(before: Graph, after: Graph, chain: Chain) -> bool:
    """Whether the chain gives the same for every integer: compared on both sides of each step of its staircase."""
    root = chain.nodes[-1].name
    fused = fused_nodes(before, chain)[-1]
    t = before.types[chain.source]
    op = fused.op
    if not isinstance(op, Threshold) or fused.inputs != (chain.source,) or t.format is None:
        return False
    channels = t.shape[-1]
    marks = np.broadcast_to(op.thresholds, (channels, op.thresholds.shape[1])).T
    ends = np.repeat([[t.format.lo], [t.format.hi]], channels, axis=1)
    x = np.clip(np.concatenate([ends, marks - 1, marks]), t.format.lo, t.format.hi).astype(carrier(t.format))
    single = Input(chain.source, replace(t, shape=(channels,)))
    results = []
    for graph in (before, after):
        nodes = [n for n in graph.nodes if n.name != chain.source]
        alone = Graph((single,), (), (single.name,)).replace(_flat(nodes), (root,))
        results.append(alone.run({single.name: x})[root])
    return np.array_equal(*results)


def _flat(nodes: Iterable[Node]) -> list[Node]:
    """Constants with the channels as their only axis."""
    return [
        replace(n, op=Constant.real(n.op.value.reshape(-1)))
        if isinstance(n.op, Constant) and n.op.type.format is None
        else n
        for n in nodes
    ]


def _alone(graph: Graph, function: Node, t: TensorType) -> Op | None:
    """A function of real numbers on the integers behind them, or None where it is not exact there."""
    assert t.format is not None
    if isinstance(function.op, Unary) and function.op.function == "relu" and len(t.zero_point) == 1:
        zero = t.zero_point[0]
        bounds = Int(max(t.format.lo, zero), max(t.format.hi, zero))
        return Requant(np.array([1]), np.array([0]), 0, "floor", bounds, t.scale, t.zero_point)
    data = data_operand(graph, function)
    if not isinstance(function.op, (Add, Sub, Mul, Div)) or data is None or function.inputs[0] != data:
        return None
    value = graph.constants[function.inputs[1]].reshape(-1)
    if isinstance(function.op, (Mul, Div)):
        scale = np.asarray(t.scale) * value if isinstance(function.op, Mul) else np.asarray(t.scale) / value
        return Reinterpret(tuple(map(float, scale)), t.zero_point) if (scale > 0).all() else None
    steps = value / np.asarray(t.scale) * (1 if isinstance(function.op, Add) else -1)
    if (np.abs(steps - np.rint(steps)) > WHOLE * np.maximum(np.abs(steps), 1)).any():
        return None
    offset = np.rint(steps).astype(np.int64)
    bounds = Int(t.format.lo + int(offset.min()), t.format.hi + int(offset.max()))
    return Requant(np.ones_like(offset), offset, 0, "floor", bounds, t.scale, t.zero_point)
