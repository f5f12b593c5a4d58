"""Parameters, MACs and bytes of weights, counted in an ONNX file with the onnx package alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

PRODUCTS = ("Conv", "Gemm", "MatMul")
ARITHMETIC = ("Add", "Sub", "Mul", "Div")
SCALES = {"Quant": 1, "BipolarQuant": 1}


@dataclass(frozen=True)
class FileCount:
    parameters: int
    macs: int
    bytes: int


def count_file(path: Path) -> FileCount:
    """Every constant that a product or an arithmetic operator reads, back to the initializers it is made from."""
    graph = onnx.load(path).graph
    constants = {t.name: t for t in graph.initializer}
    makers = {o: n for n in graph.node for o in n.output}
    seen: dict[str, tuple[int, int]] = {}
    macs = 0
    for node in graph.node:
        if node.op_type not in PRODUCTS + ARITHMETIC:
            continue
        for name in node.input:
            size = _size(name, constants, makers)
            if size is not None:
                seen[name] = (prod(size), _bytes(name, constants, makers))
        if node.op_type in PRODUCTS:
            size = _size(node.input[1], constants, makers)
            assert size is not None
            macs += _macs(node, size, graph)
    return FileCount(sum(n for n, _ in seen.values()), macs, sum(b for _, b in seen.values()))


def _size(name, constants, makers) -> tuple[int, ...] | None:
    """The shape of a constant; None where a tensor is computed from the network's input."""
    if name in constants:
        return tuple(constants[name].dims)
    node = makers.get(name)
    if node is None or node.op_type not in ("Quant", "BipolarQuant", "Cast", "Reshape", "Weights"):
        return None
    if node.op_type == "Weights":
        return tuple(next(a.ints for a in node.attribute if a.name == "shape"))
    if node.op_type == "Reshape":
        inner = makers.get(node.input[0])
        return tuple(numpy_helper.to_array(constants[node.input[1]])) if inner and inner.op_type == "Gather" else None
    return _size(node.input[0], constants, makers)


def _bytes(name, constants, makers) -> int:
    """What the file holds of a constant, with scales and tables; not the shape constants of plain operators."""
    if name in constants:
        t = constants[name]
        return len(t.raw_data) or prod(t.dims) * 4
    node = makers[name]
    if node.op_type in ("Quant", "BipolarQuant"):
        bits = float(numpy_helper.to_array(constants[node.input[3]])) if node.op_type == "Quant" else 1.0
        return ceil(prod(constants[node.input[0]].dims) * bits / 8) + prod(constants[node.input[1]].dims) * 4
    if node.op_type == "Weights":
        return sum(_bytes(i, constants, makers) for i in node.input)
    if node.op_type == "Cast":
        return _bytes(node.input[0], constants, makers)
    gather = makers[node.input[0]]
    assert gather.op_type == "Gather"
    return _bytes(gather.input[0], constants, makers) + _indices(gather.input[1], constants, makers)


def _indices(name, constants, makers) -> int:
    while name not in constants:
        name = makers[name].input[0]
    return len(constants[name].raw_data)


def _macs(node, weights: tuple[int, ...], graph) -> int:
    """Of one sample: every element of the result sums over all but the outputs' axis of the weights."""
    inferred = _shapes(graph)
    size = prod(inferred[node.output[0]][1:])
    return size * (prod(weights[1:]) if node.op_type == "Conv" else weights[0])


def _shapes(graph) -> dict[str, list[int]]:
    """By running the file on a zero sample, every tensor an output; quantizers are left out, which move no shape."""
    return _run(graph)


def _run(graph) -> dict[str, list[int]]:
    import onnxruntime

    model = onnx.ModelProto()
    model.ir_version = 8
    model.opset_import.append(onnx.helper.make_opsetid("", 13))
    model.graph.CopyFrom(graph)
    del model.graph.node[:]
    constants = {t.name: tuple(t.dims) for t in graph.initializer}
    for n in graph.node:
        if n.op_type == "Weights":
            shape = next(a.ints for a in n.attribute if a.name == "shape")
            model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), n.output[0]))
        elif n.domain:
            assert n.input[0] in constants
            model.graph.node.append(onnx.helper.make_node("Identity", [n.input[0]], list(n.output)))
        else:
            model.graph.node.append(n)
    names = [o for n in model.graph.node for o in n.output]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names)
    shapes = [[d.dim_value or 1 for d in i.type.tensor_type.shape.dim] for i in graph.input]
    feeds = {i.name: np.zeros(s, np.float32) for i, s in zip(graph.input, shapes)}
    results = onnxruntime.InferenceSession(model.SerializeToString()).run(names, feeds)
    return {n: list(r.shape) for n, r in zip(names, results)}
