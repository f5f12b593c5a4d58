"""A graph as a table of the user's own layers: shapes, formats, parameters, multiply-accumulates, memory, energy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, log2, prod

from codesign.energy import WORD_BITS, add_pj, multiply_pj, read_pj
from codesign.formats import Format
from codesign.graph import Constant, Dequantize, Graph, GraphError, Node, Operand, TensorType
from codesign.ops.argmax import ArgMax
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.integer import Center, Reinterpret
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, GlobalSumPool, MaxPool, SumPool
from codesign.ops.quantize import Quantize
from codesign.ops.reduce import Reduce
from codesign.ops.requant import Requant
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.ops.weigh import Weigh

PRODUCTS = (Conv, MatMul)
POOLS = (MaxPool, AveragePool, SumPool)
GLOBAL_POOLS = (GlobalMaxPool, GlobalAveragePool, GlobalSumPool)
IMAGES = (Conv, Pad, *POOLS, *GLOBAL_POOLS)  # their tensors are (rows, columns, channels)
SAME_INTEGERS = (Reshape, Transpose, Pad, MaxPool, GlobalMaxPool, Concat)
MOVES = (Reshape, Transpose, Concat)
SILENT = (Constant, Dequantize, Center, Reinterpret, Pad)  # name a layer only where it holds nothing else


@dataclass(frozen=True)
class Tensor:
    """Shape of one sample, images as channels, rows, columns; format as text, "float32" for real numbers."""

    shape: tuple[int, ...]
    format: str


@dataclass(frozen=True)
class Layer:
    """One layer. `also`: layers of the user that were fused into it; `biases`: also the shifts of a batch norm."""

    name: str
    where: str
    operator: str
    also: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    output: Tensor
    weight_format: str
    weights: int
    biases: int
    thresholds: int
    macs: int
    memory_bits: int
    energy_pj: float

    @property
    def parameters(self) -> int:
        """What the user trained: thresholds replace parameters and are not counted again."""
        return self.weights + self.biases


def layers_of(
    graph: Graph, where: Mapping[str, str] | None = None, also: Mapping[str, Sequence[str]] | None = None
) -> tuple[Layer, ...]:
    """The layers in the order of their results; `where`: the place of each node; `also`: what was fused into each."""
    view, told, layers = View(graph, where or {}), set[str](), []
    for (name, place), nodes in view.groups.items():
        fused = () if name in told else tuple((also or {}).get(name, ()))
        told.add(name)
        layers.append(_layer(view, name, place, nodes, fused))
    return tuple(layers)


@dataclass(frozen=True)
class View:
    """A graph with what the table needs of it: nodes by layer, true formats, which tensors are images."""

    graph: Graph
    where: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def groups(self) -> dict[tuple[str, str], list[Node]]:
        """The nodes of every layer and place; constants belong to what reads them, the tool's own moves to nobody."""
        groups: dict[tuple[str, str], list[Node]] = {}
        given = {"", *(i.name for i in self.graph.inputs)}
        for node in self.graph.nodes:
            own_move = isinstance(node.op, MOVES) and node.origin in given
            if self.constant_behind(node.name) is None and not own_move:
                groups.setdefault((node.label, self.where.get(node.name, "")), []).append(node)
        order = {n.name: k for k, n in enumerate(self.graph.nodes)}
        return dict(sorted(groups.items(), key=lambda g: order[g[1][-1].name]))

    def constant_behind(self, name: str) -> Constant | None:
        """The stored constant of a tensor, also where it is dequantized first."""
        node = self.graph.by_name.get(name)
        if node is not None and isinstance(node.op, Dequantize):
            node = self.graph.by_name.get(node.inputs[0])
        return node.op if node is not None and isinstance(node.op, Constant) else None

    @cached_property
    def formats(self) -> Mapping[str, Format | None]:
        """The format that every tensor's values have, also where the graph carries them as real numbers."""
        found = {name: t.format for name, t in self.graph.types.items()}
        for node in self.graph.nodes:
            behind = {found[i] for i in node.inputs}
            if isinstance(node.op, (Dequantize, *SAME_INTEGERS)) and len(behind) == 1 and found[node.name] is None:
                found[node.name] = behind.pop()
        return found

    def bits(self, name: str) -> int | None:
        fmt = self.formats[name]
        return None if fmt is None else fmt.bits

    @cached_property
    def images(self) -> frozenset[str]:
        """The tensors that are stored as (rows, columns, channels), as far as window operators show it."""
        seen = {t for n in self.graph.nodes if isinstance(n.op, IMAGES) for t in (n.name, n.inputs[0])}
        alike = [n for n in self.graph.nodes if not isinstance(n.op, (*MOVES, *PRODUCTS))]
        for node in (*alike, *reversed(alike)):  # forwards through functions of each element, then backwards
            tensors = [t for t in (node.name, *node.inputs) if len(self.graph.types[t].shape) == 3]
            if seen & set(tensors):
                seen.update(tensors)
        return frozenset(seen)

    def tensor(self, name: str) -> Tensor:
        shape = self.graph.types[name].shape
        shown = (shape[2], *shape[:2]) if name in self.images and len(shape) == 3 else shape
        return Tensor(shown, str(self.formats[name] or "float32"))


def _layer(view: View, name: str, where: str, nodes: Sequence[Node], also: tuple[str, ...]) -> Layer:
    inside = {n.name for n in nodes}
    reads = dict.fromkeys(i for n in nodes for i in n.inputs)
    inputs = [i for i in reads if i not in inside and view.constant_behind(i) is None]
    weights = [_weights(view, n) for n in nodes if isinstance(n.op, PRODUCTS)]
    return Layer(
        name,
        where,
        _operator(view, nodes),
        also,
        tuple(view.tensor(i) for i in inputs),
        view.tensor(nodes[-1].name),
        ", ".join(dict.fromkeys(str(w.type.format or "float32") for w in weights)),
        sum(w.type.size for w in _factors(view, nodes)),
        sum(w.type.size for w in _constants(view, nodes, (Add, Sub))),
        sum(n.op.thresholds.size for n in nodes if isinstance(n.op, Threshold)),
        sum(_macs(view.graph, n) for n in nodes),
        _memory_bits(view, nodes),
        sum(_energy_pj(view, n) for n in nodes),
    )


def _weights(view: View, node: Node) -> Constant:
    """The weights of a product, which are constant in every graph that the importer makes."""
    constant = view.constant_behind(node.inputs[1])
    if constant is None:
        raise GraphError(f"node '{node.label}': its weights are not constant")
    return constant


def _factors(view: View, nodes: Iterable[Node]) -> list[Constant]:
    return _constants(view, nodes, (*PRODUCTS, Mul, Div))


def _constants(view: View, nodes: Iterable[Node], kinds: tuple[type, ...]) -> list[Constant]:
    """The constants that operators of some kinds read."""
    read = (view.constant_behind(i) for n in nodes if isinstance(n.op, kinds) for i in n.inputs)
    return [c for c in read if c is not None]


def _operator(view: View, nodes: Sequence[Node]) -> str:
    """What the layer is, in ONNX's words as far as the nodes tell."""
    kinds = {type(n.op) for n in nodes}
    for node in nodes:
        if isinstance(node.op, Conv):
            return _convolution(view, node)
        if isinstance(node.op, MatMul):
            return "Gemm" if Add in kinds else "MatMul"
    if kinds == {Mul, Add} and all(view.graph.constants.keys() & n.inputs for n in nodes):
        return "BatchNormalization"
    telling = [n for n in nodes if not isinstance(n.op, SILENT)] or list(nodes)
    computing = [n for n in telling if not isinstance(n.op, MOVES)] or telling
    op = computing[-1].op
    if isinstance(op, Unary):
        return "".join(word.capitalize() for word in op.function.split("_"))
    return type(op).__name__


def _convolution(view: View, node: Node) -> str:
    assert isinstance(node.op, Conv)
    shape = view.graph.types[node.inputs[1]].shape
    size = f"{shape[0]}×{shape[1]}"
    if node.op.is_depthwise(shape):
        return f"Conv {size} depthwise"
    return f"Conv {size}" + (f" in {node.op.groups} groups" if node.op.groups > 1 else "")


def _macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of one sample: every result sums over all but the last axis of its weights."""
    if not isinstance(node.op, PRODUCTS):
        return 0
    return graph.types[node.name].size * prod(graph.types[node.inputs[1]].shape[:-1])


def _memory_bits(view: View, nodes: Sequence[Node]) -> int:
    """Weights and biases at their formats (real: 32 bits), thresholds at the width of what they compare."""
    constants = [*_factors(view, nodes), *_constants(view, nodes, (Add, Sub))]
    stored = sum(c.type.size * (c.type.format.bits if c.type.format else WORD_BITS) for c in constants)
    marks = [n for n in nodes if isinstance(n.op, Threshold)]
    return stored + sum(n.op.thresholds.size * (view.bits(n.inputs[0]) or WORD_BITS) for n in marks)  # type: ignore[attr-defined]


def _energy_pj(view: View, node: Node) -> float:
    """Of one sample, by the table in codesign/energy.py."""
    if isinstance(node.op, PRODUCTS):
        return _product_pj(view, node)
    multiplies, adds = _each(view.graph, node)
    size = view.graph.types[node.name].size
    bits = view.bits(node.inputs[0]) if isinstance(node.op, POOLS + GLOBAL_POOLS) else _carried_bits(view.graph, node)
    return size * (multiplies * multiply_pj(bits, bits) + adds * add_pj(bits))


def _carried_bits(graph: Graph, node: Node) -> int | None:
    """The width that a node computes with as the graph stands; None: real numbers."""
    fmt = graph.types[node.inputs[0]].format if node.inputs else None
    return None if fmt is None else fmt.bits


def _product_pj(view: View, node: Node) -> float:
    weights = _weights(view, node)
    data, stored = view.formats[node.inputs[0]], weights.type.format
    if data is None or stored is None:
        each = multiply_pj(None, None) + add_pj(None) + read_pj(stored.bits if stored else None)
        return each * _macs(view.graph, node)
    shape = view.graph.types[node.inputs[0]].shape
    plain = TensorType(weights.type.shape, stored)
    total = node.op.infer(Operand(TensorType(shape, data)), Operand(plain, weights.value))
    assert total.format is not None
    each = multiply_pj(data.bits, stored.bits) + add_pj(total.format.bits) + read_pj(stored.bits)
    return each * _macs(view.graph, node)


def _each(graph: Graph, node: Node) -> tuple[int, int]:
    """Multiplications, and additions or comparisons, for each element of the result; other functions count nothing."""
    match node.op:
        case Mul() | Div() | Weigh():
            return 1, 0
        case Add() | Sub() | Unary():
            return 0, 1
        case Quantize() | Requant():
            return 1, 1
        case Threshold(thresholds=marks):
            return 0, ceil(log2(marks.shape[1] + 1))
        case MaxPool(kernel=k) | AveragePool(kernel=k) | SumPool(kernel=k):
            return 0, prod(k) - 1
        case GlobalMaxPool() | GlobalAveragePool() | GlobalSumPool():
            return 0, prod(graph.types[node.inputs[0]].shape[:2]) - 1
        case Reduce():
            return 0, node.op.terms(graph.types[node.inputs[0]].shape) - 1
        case ArgMax():
            return 0, graph.types[node.inputs[0]].size - 1
    return 0, 0
