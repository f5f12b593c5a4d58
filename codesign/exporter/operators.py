"""The table of operators: how each is written as ONNX. Windows demand channels first; functions take what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codesign.errors import UserError
from codesign.exporter import images, moves, products, quantizers
from codesign.exporter.functions import FUNCTIONS
from codesign.exporter.writer import FIRST, LAST, Writer
from codesign.graph import Constant, Dequantize, Node
from codesign.ops.argmax import ArgMax
from codesign.ops.conv import Conv
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.elementwise import Add, Div, Maximum, Minimum, Mul, Power, Rectify, Sub
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import BatchMatMul, MatMul
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from codesign.ops.quantize import Quantize
from codesign.ops.reduce import Reduce
from codesign.ops.round_to_float import RoundToFloat
from codesign.ops.softmax import Hardmax, Softmax
from codesign.ops.take import Take
from codesign.ops.top_k import TopIndices, TopValues
from codesign.ops.unary import Unary

Handler = Callable[[Writer, Node], None]


def write_node(w: Writer, node: Node) -> None:
    """Append what computes a node; UserError where ONNX has no form for it."""
    if node.name in w.done or isinstance(node.op, Constant):
        return
    handler = HANDLERS.get(type(node.op))
    if handler is None:
        name = type(node.op).__name__
        raise UserError(f"node '{node.label}' ({name}): it has no form in ONNX here; compress without it")
    handler(w, node)


@dataclass(frozen=True)
class Elementwise:
    """A function of equal operator names on both sides; constants are laid along the layout that is there."""

    op: str

    def __call__(self, w: Writer, node: Node) -> None:
        layout = layout_of(w, node)
        rank = len(w.graph.types[node.name].shape)
        w.write(node.name, layout, self.op, [operand(w, i, layout, rank) for i in node.inputs])


def layout_of(w: Writer, node: Node) -> str:
    """Channels first where an operand is there so already, and all are images."""
    computed = [i for i in node.inputs if i not in w.graph.constants]
    images = all(len(w.graph.types[i].shape) == 3 for i in (*computed, node.name))
    return FIRST if images and any(w.has(i, FIRST) for i in computed) else LAST


def operand(w: Writer, name: str, layout: str, rank: int) -> str:
    """A computed or constant operand in a layout."""
    value = w.graph.constants.get(name)
    if value is None:
        return w.get(name, layout)
    if layout == FIRST and value.ndim:
        value = value.reshape((1,) * (rank - value.ndim) + value.shape).transpose(2, 0, 1)
    return w.constant(value, name)


def _unary(w: Writer, node: Node) -> None:
    assert isinstance(node.op, Unary)
    layout = layout_of(w, node)
    write = FUNCTIONS.get(node.op.function)
    if write is None:
        raise UserError(f"node '{node.label}': {node.op.function} has no form in ONNX here")
    write(w, node, layout, node.op.parameters)


def _softmax(w: Writer, node: Node) -> None:
    name = "Hardmax" if isinstance(node.op, Hardmax) else "LogSoftmax" if node.op.log else "Softmax"  # type: ignore[attr-defined]
    w.write(node.name, LAST, name, [w.get(node.inputs[0], LAST)], axis=-1)


HANDLERS: dict[type, Handler] = {
    Conv: products.conv,
    MatMul: products.matmul,
    BatchMatMul: products.batched,
    Add: Elementwise("Add"),
    Sub: Elementwise("Sub"),
    Mul: Elementwise("Mul"),
    Div: Elementwise("Div"),
    Power: Elementwise("Pow"),
    Rectify: Elementwise("PRelu"),
    Minimum: Elementwise("Min"),
    Maximum: Elementwise("Max"),
    Unary: _unary,
    Softmax: _softmax,
    Hardmax: _softmax,
    Pad: images.pad,
    MaxPool: images.pool,
    AveragePool: images.pool,
    GlobalMaxPool: images.global_pool,
    GlobalAveragePool: images.global_pool,
    DepthToSpace: images.depth_to_space,
    SpaceToDepth: images.space_to_depth,
    Reshape: moves.reshape,
    Transpose: moves.transpose,
    Concat: moves.concat,
    Slice: moves.slices,
    Expand: moves.expand,
    Upsample: moves.upsample,
    Take: moves.take,
    Reduce: moves.reduce,
    ArgMax: moves.arg_max,
    TopValues: moves.top_k,
    TopIndices: moves.top_k,
    Quantize: quantizers.activation,
    RoundToFloat: quantizers.small_float,
    Dequantize: quantizers.dequantize,
}
