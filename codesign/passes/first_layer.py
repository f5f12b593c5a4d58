"""The host's work before the accelerator, as few comparisons: a chain from the input to a few levels.

The model takes float32, of which there are finitely many; a monotone chain is bisected over all of them, so the
thresholds are exact for every input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codesign.formats import Binary
from codesign.fusion import Journal
from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.layout import Reshape, Transpose
from codesign.ops.threshold import Threshold
from codesign.passes.fuse import data_operand, is_quantizing, slopes

MOST_LEVELS = 15


def fuse_input(graph: Graph, journal: Journal) -> Graph:
    """Quantizers that read the input through monotone functions become thresholds on the input itself."""
    nodes = {n.name: n for n in graph.nodes}
    for node in graph.nodes:
        chain = _chain_from_input(graph, node)
        if chain is None:
            continue
        reason = _unfit(graph, chain)
        if reason:
            journal.refused(reason, *chain)
            continue
        op = _threshold(graph, chain)
        nodes[node.name] = replace(node, op=op, inputs=chain[0].inputs[:1])
        journal.did(f"the host compares with {op.thresholds.size} thresholds", *chain)
    return graph.replace(nodes.values())


def _chain_from_input(graph: Graph, node: Node) -> list[Node] | None:
    """Elementwise nodes from an input to a quantizing node; else None."""
    if not is_quantizing(graph, node):
        return None
    chain = [node]
    while (data := data_operand(graph, chain[0])) in graph.by_name:
        chain.insert(0, graph.by_name[data])  # type: ignore[index]
        if isinstance(chain[0].op, (Reshape, Transpose)):
            break
    return chain if data in {i.name for i in graph.inputs} else None


def _unfit(graph: Graph, chain: list[Node]) -> str:
    """Why a chain from an input is not compared with thresholds; empty where it can be."""
    levels = graph.types[chain[-1].name].format
    if levels is None or levels.hi - levels.lo > MOST_LEVELS:
        return f"more than {MOST_LEVELS} thresholds would be slower than the functions themselves"
    if not all(_is_plain(graph, n) for n in chain):
        return "only functions that rise (or fall) alike for all elements become thresholds on the input"
    return ""


def _is_plain(graph: Graph, node: Node) -> bool:
    slope = None if isinstance(node.op, (Reshape, Transpose)) else slopes(graph, node)
    constants = all(graph.constants[i].size == 1 for i in node.inputs if i in graph.constants)
    return slope is not None and len(set(slope)) == 1 and constants


def _threshold(graph: Graph, chain: list[Node]) -> Threshold:
    result = graph.types[chain[-1].name]
    name = next(i for i in chain[0].inputs if i not in graph.constants)
    constants = [
        Node(i, Constant.real(graph.constants[i].reshape(-1))) for n in chain for i in n.inputs if i in graph.constants
    ]
    single = Graph((Input(name, TensorType((1,))),), (), (name,)).replace([*constants, *chain], (chain[-1].name,))

    def function(keys: np.ndarray) -> np.ndarray:
        return single.run({name: _float_of(keys)[:, None]})[chain[-1].name][:, 0]

    return _bisected(function, result)


def _float_of(keys: np.ndarray) -> np.ndarray:
    """Integers in order -> float32 values in order (minus infinity at the lowest)."""
    bits = np.where(keys >= 0, keys, -(keys + 1) | (1 << 31)).astype(np.int64)
    return bits.astype(np.uint32).view(np.float32)


LOWEST, HIGHEST = -(0x7F800000 + 1), 0x7F800000  # keys of minus and plus infinity


def _bisected(function: Callable[[np.ndarray], np.ndarray], result: TensorType) -> Threshold:
    assert result.format is not None
    unit = 2 if isinstance(result.format, Binary) else 1
    first, last = function(np.array([LOWEST + 1, HIGHEST - 1]))
    direction = -1 if last < first or first == result.format.hi else 1  # one that is always highest cannot rise
    levels = max(int(abs(last - first)) // unit, 1)
    goals = np.arange(1, levels + 1) * unit
    low, high = np.full(levels, LOWEST, np.int64), np.full(levels, HIGHEST, np.int64)
    while (high - low > 1).any():
        middle = (low + high) >> 1
        reached = (function(middle) - first) * direction >= goals
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    thresholds = _float_of(high).astype(np.float64)[None, :]
    base = np.array([int(first)])
    return Threshold(thresholds, result.format, base, np.array([direction * unit]), result.scale, result.zero_point)
