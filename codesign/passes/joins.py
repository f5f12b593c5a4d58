"""Sums of two quantized tensors whose scales share no step, where everything that follows is quantized again.

DQ(a) + DQ(b) -> functions -> Q is a function of two bounded integers. All pairs of them are evaluated, and the sum
is replaced by p * a + q * b with small whole p and q that give the same result for every pair. So is the larger or
smaller of two, by that of p * a and q * b, where it cannot be taken behind the quantizer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Format
from codesign.fusion import Journal
from codesign.graph import Constant, Dequantize, Graph, Input, Node, Op, TensorType
from codesign.ops.elementwise import Add, Maximum, Minimum, Sub
from codesign.ops.moves import Expand
from codesign.ops.quantize import Quantize
from codesign.ops.round_to_float import RoundToFloat
from codesign.ops.threshold import Threshold
from codesign.passes.align import approximations
from codesign.passes.branches import scaling
from codesign.passes.check import TIE, tie_distance
from codesign.passes.extremes import below_functions
from codesign.passes.fuse import QUANTIZERS, data_operands, is_quantizing

MOST_PAIRS = 1 << 20  # of two integers, that are evaluated one by one
MOST_RESULTS = 1 << 24  # pairs times channels
EXTREMES = (Minimum, Maximum)


def fuse_joins(graph: Graph, journal: Journal) -> Graph:
    """Every sum, difference or choice of two dequantized tensors whose readers quantize becomes one of integers."""
    for node in graph.nodes:
        if node.name not in graph.types:  # taken behind a quantizer with the choice before it
            continue
        if not isinstance(node.op, (Add, Sub, *EXTREMES)) or len(operands := _varying(graph, node)) < 2:
            continue
        chains = _chains(graph, node)
        if isinstance(node.op, EXTREMES) and (moved := below_functions(graph, node, chains)) is not None:
            journal.did(f"{type(node.op).__name__} taken behind the quantizer", node)
            graph = moved
            continue
        join = _join(graph, node, operands, chains)
        if isinstance(join, str):
            journal.refused(join, node)
        elif (weights := _weights(join)) is None:
            journal.refused("no small whole factors of the two inputs round as the real sum does", node)
        else:
            p, q, step = weights
            sign = "+" if isinstance(join.op, Add) else f"{type(join.op).__name__.lower()} with"
            journal.did(f"{p} · a {sign} {q} · b in steps of {step:.6g}: equal for every pair of integers", node)
            graph = _rewritten(graph, join, *weights)
    return graph


def _varying(graph: Graph, node: Node) -> list[Node]:
    """The nodes that compute the real operands of a sum, without constants."""
    if graph.types[node.name].is_integer:
        return []
    return [graph.by_name[i] for i in node.inputs if i in graph.by_name and i not in graph.constants]


@dataclass(frozen=True)
class Join:
    """A sum (or choice) of two integer tensors (below Dequantize), and the chains from it to what quantizes again."""

    graph: Graph
    node: Node
    sources: tuple[str, str]
    chains: tuple[tuple[Node, ...], ...]

    @property
    def types(self) -> tuple[TensorType, TensorType]:
        a, b = (self.graph.types[s] for s in self.sources)
        return a, b

    @property
    def signs(self) -> tuple[int, int]:
        return (1, -1) if isinstance(self.node.op, Sub) else (1, 1)

    @property
    def op(self) -> Op:
        """What joins the two, whose signs are their factors'."""
        return self.node.op if isinstance(self.node.op, EXTREMES) else Add()

    def joined(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if isinstance(self.op, EXTREMES):
            return np.maximum(a, b) if isinstance(self.op, Maximum) else np.minimum(a, b)
        return a + b


def _join(graph: Graph, node: Node, below: list[Node], chains: Sequence[tuple[Node, ...]]) -> Join | str:
    """The join that a sum of two tensors is, where all pairs can be evaluated; else why not."""
    if not all(isinstance(n.op, Dequantize) and n.inputs[0] not in graph.constants for n in below):
        return "its inputs are not both quantized"
    if not chains:
        return "what reads the sum is not always quantized, so the real sum itself is needed"
    join = Join(graph, node, (below[0].inputs[0], below[1].inputs[0]), tuple(chains))
    whole = all(len(t.scale) == len(t.zero_point) == 1 for t in join.types)
    formats = [t.format for t in join.types if t.format is not None]
    few = np.prod([f.hi - f.lo + 1.0 for f in formats]) <= min(MOST_PAIRS, MOST_RESULTS / _channels(join))
    if not whole:
        return "an input has a scale for each channel"
    return join if few else "its inputs have too many pairs of integers to show the sums equal"


def _chains(graph: Graph, node: Node) -> list[tuple[Node, ...]]:
    """The elementwise nodes behind one up to every node that quantizes it, which is last; they may part and meet.

    None at all where anything else reads it.
    """
    between, roots = {node.name}, []
    for reader in graph.nodes:
        if between.isdisjoint(reader.inputs):
            continue
        data = data_operands(graph, reader)
        if not data or not between.issuperset(data):
            return []
        roots += [reader] if is_quantizing(graph, reader) else []
        between |= set() if is_quantizing(graph, reader) else {reader.name}
    return [_up_to(graph, root, between, node) for root in roots] if between.isdisjoint(graph.outputs) else []


def _up_to(graph: Graph, root: Node, between: Collection[str], start: Node) -> tuple[Node, ...]:
    """The nodes from behind `start` to `root`, in order."""
    needed = {root.name}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(i for i in node.inputs if i in between)
    return tuple(n for n in graph.nodes if n.name in needed and n.name != start.name)


def _channels(join: Join) -> int:
    """1 where all channels are treated alike, else their number."""
    sizes = [
        join.graph.constants[i].size for c in join.chains for n in c for i in n.inputs if i in join.graph.constants
    ]
    for chain in join.chains:
        op = chain[-1].op
        sizes += [len(op.scale), len(op.zero_point)] if isinstance(op, Quantize) else []
        sizes += [len(op.scale)] if isinstance(op, RoundToFloat) else []
        sizes += [len(op.thresholds), len(op.base)] if isinstance(op, Threshold) else []
    return max(sizes, default=1)


def _weights(join: Join) -> tuple[int, int, float] | None:
    """(p, q, step): step * (p * a + q * b) is quantized as scale_a * a + scale_b * b is, for every pair.

    Preferred is equality on all pairs; else on those that do not lie within TIE of a tie.
    """
    every = _Pairs(join)
    (a, *_), (b, *_) = (t.scale for t in join.types)
    candidates = [(p, q, step) for p, q in approximations(a / b) for step in (every.step(p, q), a / p, b / q)]
    for exempt in (every.nothing, every.ties):
        for p, q, step in candidates:
            if every.equal(p, q, step, exempt):
                return p, q, step
    return None


class _Pairs:
    """All pairs of a join's operands, and what its chains make of them."""

    def __init__(self, join: Join) -> None:
        self.join, self.channels = join, _channels(join)
        a, b = (_centered(t) for t in join.types)
        self.a, self.b = np.repeat(a, len(b)), np.tile(b, len(a)) * join.signs[1]
        self.sums = join.joined(self.a * join.types[0].scale[0], self.b * join.types[1].scale[0])
        self.graphs = [_alone(join, chain, self.channels) for chain in join.chains]
        self.wanted = self._results(self.sums)
        self.nothing = np.zeros((len(self.sums), self.channels), dtype=bool)
        self.ties = self._ties()

    def step(self, p: int, q: int) -> float:
        """The step for which p * a + q * b errs least at the ends."""
        (a, b), (s, t) = (np.abs(x).max() for x in (self.a, self.b)), (x.scale[0] for x in self.join.types)
        return float((s * a + t * b) / (p * a + q * b))

    def equal(self, p: int, q: int, step: float, exempt: np.ndarray) -> bool:
        got = self._results(self.join.joined(p * self.a, q * self.b) * step)
        return all(((w == g) | exempt).all() for w, g in zip(self.wanted, got))

    def _results(self, sums: np.ndarray) -> list[np.ndarray]:
        return [g.run({"sum": np.repeat(sums[:, None], self.channels, axis=1)})[g.outputs[0]] for g in self.graphs]

    def _ties(self) -> np.ndarray:
        near = self.nothing.copy()
        feed = {"sum": np.repeat(self.sums[:, None], self.channels, axis=1)}
        for graph in self.graphs:
            root = graph.by_name[graph.outputs[0]]
            assert isinstance(root.op, QUANTIZERS)
            near |= tie_distance(root.op, graph.run(feed, [root.inputs[0]])[root.inputs[0]]) < TIE
        return near


def _centered(t: TensorType) -> np.ndarray:
    fmt: Format | None = t.format
    assert fmt is not None
    return np.arange(fmt.lo, fmt.hi + 1) - t.zero_point[0]


def _alone(join: Join, chain: tuple[Node, ...], channels: int) -> Graph:
    """A chain on tensors of one position: (samples, channels) of sums in, integers out."""
    constants = join.graph.constants
    given = {join.node.name: "sum"}
    nodes = {i: Node(i, Constant.real(constants[i].reshape(-1))) for n in chain for i in n.inputs if i in constants}
    for node in chain:
        nodes[node.name] = replace(node, inputs=tuple(given.get(i, i) for i in node.inputs))
    single = Input("sum", TensorType((channels,)))
    return Graph((single,), (), ("sum",)).replace(nodes.values(), (chain[-1].name,))


def _rewritten(graph: Graph, join: Join, p: int, q: int, step: float) -> Graph:
    """The sum on integers: p * (a - zero) + q * (b - zero), dequantized under the join's own name.

    It is another number than the sum itself, and only its readers' results are the same: so it is not its `_int`.
    """
    name, origin = join.node.name, join.node.origin
    shape, added, parts = graph.types[name].shape, [], []
    for k, (source, t, factor) in enumerate(zip(join.sources, join.types, (p, q * join.signs[1]))):
        op = scaling(t, np.array([factor]), (step,))
        added.append(Node(graph.fresh(f"{name}_{k}"), op, (source,), origin))
        if t.shape != shape:
            added.append(Node(graph.fresh(f"{name}_{k}_expanded"), Expand(shape), (added[-1].name,), origin))
        parts.append(added[-1].name)
    total = Node(graph.fresh(f"{name}_weighted"), join.op, tuple(parts), origin)
    real = replace(join.node, op=Dequantize(), inputs=(total.name,))
    return graph.replace([*(n for n in graph.nodes if n.name != name), *added, total, real])
