"""The larger or smaller of two tensors whose scales share no step: taken of the quantized ones instead.

Q(f(max(a, b))) = max(Q(f(a)), Q(f(b))) for any f that never falls; the smaller of the two where it never rises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codesign.graph import Graph, Node
from codesign.ops.elementwise import Maximum, Minimum
from codesign.passes.fuse import slopes


def below_functions(graph: Graph, node: Node, chains: Sequence[tuple[Node, ...]]) -> Graph | None:
    """The graph with a Minimum or Maximum behind each of the `chains` of functions that quantize it; None where a
    chain rises and falls, or an operand is stretched."""
    falls = [_falls(graph, c) for c in chains]
    stretched = any(graph.types[i].shape != graph.types[node.name].shape for i in node.inputs)
    if not chains or stretched or any(f is None for f in falls):
        return None
    added: dict[str, Node] = {}
    for chain, down in zip(chains, falls):
        added |= {n.name: n for n in _behind(graph, node, chain, bool(down))}
    return graph.replace([*(n for n in graph.nodes if n.name not in added), *added.values()])


def _falls(graph: Graph, chain: tuple[Node, ...]) -> bool | None:
    """Whether a chain falls as its argument rises; None where it does neither in every channel."""
    found = [slopes(graph, n) for n in chain]
    if any(s is None or len(set(s.tolist())) > 1 for s in found):
        return None
    return sum(int(s[0]) < 0 for s in found if s is not None) % 2 == 1


def _behind(graph: Graph, node: Node, chain: tuple[Node, ...], falls: bool) -> list[Node]:
    """A copy of the chain for each operand, and the choice between them under the name of the chain's last node."""
    added, ends = [], []
    for k, operand in enumerate(node.inputs):
        names = {node.name: operand, **{n.name: f"{graph.fresh(n.name + '_of')}_{k}" for n in chain}}
        added += [replace(n, name=names[n.name], inputs=tuple(names.get(i, i) for i in n.inputs)) for n in chain]
        ends.append(names[chain[-1].name])
    larger = isinstance(node.op, Maximum) != falls
    return [*added, Node(chain[-1].name, Maximum() if larger else Minimum(), tuple(ends), node.origin)]
