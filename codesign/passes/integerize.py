"""Real graph with quantizers -> graph whose products, sums and pools run on integers.

A real tensor that equals scale * (integers - zero point) is *lifted*: its integers become a node of their own,
and the operators that keep such a form (products with quantized weights, pools, layout, positive constant
factors) move from the real tensor to the integers. What stays real between two integer tensors is a chain of
elementwise functions; `fuse` turns each chain into one integer function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codesign.errors import UserError
from codesign.formats import Int, of_values
from codesign.fusion import Journal
from codesign.graph import Constant, Dequantize, Graph, GraphError, Input, Node, Op, TensorType
from codesign.ops.conv import Conv
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.elementwise import Add, Div, Maximum, Minimum, Mul, Sub
from codesign.ops.integer import Center, Reinterpret
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from codesign.ops.quantize import Quantize
from codesign.ops.reduce import Reduce
from codesign.ops.take import Take
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes.branches import lift_concat, lift_extreme, lift_product, lift_sum
from codesign.passes.pools import lift_average, lift_pad, lift_reduction
from codesign.passes.weights import integer_form

# fixed<16,6>, what an input gets of which the model does not say how it is quantized
ASSUMED = "_as_fixed_16_6"
ASSUMED_FORMAT = Quantize(Int.of(16, signed=True), (2.0**-10,))


def integerize(graph: Graph, journal: Journal) -> Graph:
    """Lift every tensor that has an exact integer form; UserError where a product has none."""
    lifting = Lifting(graph)
    for node in graph.nodes:
        lifting.convert(node)
    lifted = [n for n in graph.nodes if n.name in lifting.lifted and not isinstance(n.op, (Constant, Dequantize))]
    for node in lifted:
        journal.did(f"{type(node.op).__name__} computed on integers", node)
    return graph.replace(lifting.nodes.values())


class Lifting:
    """The graph being rebuilt: real tensors by name, and the integers behind those that have them."""

    def __init__(self, graph: Graph) -> None:
        self.types: dict[str, TensorType] = {i.name: i.type for i in graph.inputs}
        self.values: dict[str, np.ndarray] = {}
        self.nodes: dict[str, Node] = {}
        self.given = {i.name for i in graph.inputs}
        self.lifted: dict[str, str] = {}
        self.assumed: list[str] = []
        self.source = graph

    def add(self, node: Node) -> str:
        """Append a node; its name."""
        probe = Graph(
            tuple(Input(n, self.types[n]) for n in dict.fromkeys(node.inputs) if n not in self.values),
            (*(self.nodes[n] for n in dict.fromkeys(node.inputs) if n in self.values), node),
            (node.name,),
        )
        self.types[node.name] = probe.types[node.name]
        if isinstance(node.op, Constant):
            self.values[node.name] = node.op.value
        self.nodes[node.name] = node
        return node.name

    def convert(self, node: Node) -> None:
        """Emit a node: on integers where its operands have them, else as it was."""
        rule = RULES.get(type(node.op))
        integers = rule(self, node) if rule is not None and not self._is_integer(node) else None
        if integers is None:
            self.add(node)
            if isinstance(node.op, Dequantize):
                self.lifted[node.name] = node.inputs[0]
            return
        self.lifted[node.name] = integers
        self.add(replace(node, op=Dequantize(), inputs=(integers,)))

    def _is_integer(self, node: Node) -> bool:
        return any(self.types[i].is_integer for i in node.inputs)

    def integers(self, name: str) -> str | None:
        """The integer tensor behind a real one, lifting constant factors and offsets on the way; else None."""
        if name not in self.lifted:
            node = self.nodes.get(name)
            found = _scaled(self, node) if node is not None else None
            if found is None:
                return None
            self.lifted[name] = found
        return self.lifted[name]

    def centered(self, name: str) -> str | None:
        """The integers behind a real tensor with zero point 0."""
        integers = self.integers(name)
        if integers is None or not any(self.types[integers].zero_point):
            return integers
        zero = self.types[integers].zero_point
        if len(zero) != 1:
            return None
        return self.derive(f"{integers}_centered", Center(zero[0]), integers)

    def derive(self, name: str, op: Op, *inputs: str, origin: str = "") -> str:
        """A new integer node, shared between all who ask for the same name."""
        return name if name in self.nodes else self.add(Node(name, op, inputs, origin))

    def weights(self, name: str) -> str | None:
        """The integer constant behind constant weights, with zero point 0."""
        if name in self.lifted:
            integers = self.lifted[name]
            if integers not in self.values:
                return None
            t = self.types[integers]
            if not any(t.zero_point):
                return integers
            shifted = self.values[integers].astype(np.int64) - np.asarray(t.zero_point)
            return self._constant(f"{name}_centered", shifted, t.scale)
        if name not in self.values:
            return None
        form = integer_form(self.values[name])
        return None if form is None else self._constant(f"{name}_int", *form)

    def _constant(self, name: str, integers: np.ndarray, scale: tuple[float, ...]) -> str:
        t = TensorType(integers.shape, of_values(integers), scale)
        return self.derive(name, Constant(t, integers))

    def from_input(self, name: str) -> bool:
        """Whether a real tensor is computed from the network's input by elementwise functions alone."""
        while name not in self.given:
            node = self.nodes[name]
            operands = [i for i in node.inputs if i not in self.values]
            if type(node.op) not in (*HOST, Pad) or len(operands) != 1:
                return False
            name = operands[0]
        return True

    def quantized_input(self, name: str) -> str:
        """Quantize a tensor of the input that the model itself leaves real; its padding stays behind the quantizer."""
        padding = self.nodes.get(name)
        if padding is not None and isinstance(padding.op, Pad) and padding.op.value == 0:
            if padding.inputs[0] not in self.lifted:
                self.quantized_input(padding.inputs[0])
            padded = lift_pad(self, padding)
            assert padded is not None
            self.lifted[name] = padded
            return padded
        integers = self.derive(f"{name}{ASSUMED}", ASSUMED_FORMAT, name)
        self.lifted[name] = integers
        self.assumed.append(name)
        return integers


HOST = (Add, Sub, Mul, Div, Unary, Reshape, Transpose)


def _product(lifting: Lifting, node: Node) -> str | None:
    """MatMul and Conv of integers; one of real weights stays real, for the host."""
    x, w = node.inputs
    weights = lifting.weights(w)
    if weights is None:
        return None
    data = lifting.centered(x)
    if data is None and lifting.from_input(x):
        data = lifting.quantized_input(x)
    if data is None:
        raise _refused(node, *_unquantized(lifting, node, x))
    try:
        return lifting.add(Node(f"{node.name}_int", node.op, (data, weights), node.origin))
    except GraphError as e:
        raise _refused(node, str(e), QUANTIZER) from e


QUANTIZER = (
    "put a quantizer (Quant, BipolarQuant, MultiThreshold) in front of it, or compile it with --calibration samples.npy"
)


def _refused(node: Node, reason: str, help: str) -> UserError:
    return UserError(f"node '{node.label}' ({type(node.op).__name__}): {reason}; {help}")


def _unquantized(lifting: Lifting, node: Node, x: str) -> tuple[str, str]:
    """Why a product cannot read x, by the tensor's name in the user's model, and what would help."""
    source = lifting.source
    while node.origin and x in source.by_name and source.by_name[x].origin == node.origin:
        x = source.by_name[x].inputs[0]  # the import's own padding and layout of this node
    reason = f"its input '{x}' is not quantized"
    if any(isinstance(n.op, (Quantize, Dequantize, Threshold)) for n in source.nodes):
        return reason, QUANTIZER
    return f"{reason}, nor is the rest of the model", "quantize it here with --calibration samples.npy"


def _same_op(lifting: Lifting, node: Node) -> str | None:
    """Layout and maximum: the same operator on the integers."""
    operands = [lifting.integers(i) for i in node.inputs]
    if any(o is None for o in operands):
        return None
    try:
        return lifting.add(Node(f"{node.name}_int", node.op, tuple(o for o in operands if o), node.origin))
    except GraphError:
        return None  # for example channels of different scales joined: the real operator stays


def _scaled(lifting: Lifting, node: Node) -> str | None:
    """Positive constant factors and offsets by whole steps, seen as another scale or zero point."""
    if type(node.op) not in (Mul, Div, Add, Sub):
        return None
    data, constant = _data_and_constant(lifting, node)
    integers = lifting.integers(data) if data else None
    if integers is None or lifting.types[integers].shape != lifting.types[node.name].shape:
        return None
    t = lifting.types[integers]
    values = _along_channels(lifting.values[constant], t)
    meaning = None if values is None else _meaning(node.op, node.inputs[0] == data, t, values)
    if meaning is None:
        return None
    return lifting.derive(f"{node.name}_int", meaning, integers, origin=node.origin)


def _data_and_constant(lifting: Lifting, node: Node) -> tuple[str, str]:
    constants = [i for i in node.inputs if i in lifting.values]
    others = [i for i in node.inputs if i not in lifting.values]
    return (others[0], constants[0]) if len(constants) == len(others) == 1 else ("", "")


def _along_channels(value: np.ndarray, t: TensorType) -> np.ndarray | None:
    """A constant operand as one number or one a channel, else None."""
    if value.size == 1:
        return value.reshape(1)
    return value.reshape(-1) if value.size == value.shape[-1] == t.shape[-1] else None


def _meaning(op: object, data_first: bool, t: TensorType, values: np.ndarray) -> Reinterpret | None:
    """The scale and zero point after `op` with constant `values`, or None where the integers would change."""
    scale, zero = np.asarray(t.scale), np.asarray(t.zero_point)
    if isinstance(op, (Mul, Div)):
        if isinstance(op, Div) and not data_first:
            return None
        scale = scale * values if isinstance(op, Mul) else scale / values
        usable = bool(np.all(scale > 0) and np.all(np.isfinite(scale)))
    else:
        if isinstance(op, Sub) and not data_first:
            return None
        steps = values / scale * (1 if isinstance(op, Add) else -1)
        usable = bool(np.all(steps == np.rint(steps)))
        zero = zero - np.rint(steps).astype(np.int64)
    return Reinterpret(tuple(map(float, scale)), tuple(map(int, zero))) if usable else None


RULES: dict[type, Callable[[Lifting, Node], str | None]] = {
    MatMul: _product,
    Conv: _product,
    Add: lift_sum,
    Sub: lift_sum,
    Mul: lift_product,
    Minimum: lift_extreme,
    Maximum: lift_extreme,
    Pad: lift_pad,
    MaxPool: _same_op,
    GlobalMaxPool: _same_op,
    Reshape: _same_op,
    Transpose: _same_op,
    Concat: lift_concat,
    Slice: _same_op,
    Expand: _same_op,
    Upsample: _same_op,
    Take: _same_op,
    DepthToSpace: _same_op,
    SpaceToDepth: _same_op,
    AveragePool: lift_average,
    GlobalAveragePool: lift_average,
    Reduce: lift_reduction,
}
