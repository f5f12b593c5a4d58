"""Products with constant weights; a bias that belongs to the same layer of the user goes into the operator."""

from __future__ import annotations

import numpy as np

from codesign.exporter import images
from codesign.exporter.weights import weights
from codesign.exporter.writer import FIRST, LAST, Writer
from codesign.graph import Node
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add

TO_FILTERS = (3, 2, 0, 1)  # (rows, columns, C / groups, O) -> (O, C / groups, rows, columns)


def conv(w: Writer, node: Node) -> None:
    assert isinstance(node.op, Conv)
    x, pads = images.padded(w, node.inputs[0])
    kernel = w.graph.types[node.inputs[1]].shape[:2]
    attributes = {
        "kernel_shape": list(kernel), "strides": list(node.op.stride), "dilations": list(node.op.dilation),
        "group": node.op.groups, "pads": pads,
    }  # fmt: skip
    result, bias = _with_bias(w, node)
    inputs = [
        x,
        weights(w, node, TO_FILTERS),
        *([w.constant(bias.reshape(-1), f"{result}.bias")] if bias is not None else []),
    ]
    w.write(result, FIRST, "Conv", inputs, **attributes)


def matmul(w: Writer, node: Node) -> None:
    """MatMul, or Gemm where a bias belongs to it and the samples are vectors."""
    x, vectors = w.get(node.inputs[0], LAST), len(w.graph.types[node.name].shape) == 1
    result, bias = _with_bias(w, node) if vectors else (node.name, None)
    inputs = [x, weights(w, node, (0, 1)), *_given(w, result, bias)]
    w.write(result, LAST, "MatMul" if bias is None else "Gemm", inputs)


def batched(w: Writer, node: Node) -> None:
    constants = w.graph.constants
    operands = [w.constant(constants[i], i) if i in constants else w.get(i, LAST) for i in node.inputs]
    w.write(node.name, LAST, "MatMul", operands)


def _given(w: Writer, result: str, bias: np.ndarray | None) -> list[str]:
    return [] if bias is None else [w.constant(bias.reshape(-1), f"{result}.bias")]


def _with_bias(w: Writer, node: Node) -> tuple[str, np.ndarray | None]:
    """The result's name and the bias, where the only reader adds one number a channel for the same layer."""
    readers = w.graph.readers[node.name]
    if len(readers) != 1 or node.name in w.graph.outputs or not isinstance(readers[0].op, Add):
        return node.name, None
    reader = readers[0]
    value = w.graph.constants.get(reader.inputs[1]) if reader.inputs[0] == node.name else None
    channels = w.graph.types[node.name].shape[-1]
    if value is None or value.size != channels or value.shape[-1:] != (channels,) or reader.origin != node.origin:
        return node.name, None
    w.done.add(reader.name)
    return reader.name, value
