"""Damage to a model's graph: its nodes, its constants, their shapes, and where their data lie."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.mutation_fields import NUMBERS, REALS, other_value

PLACES = (
    "weights.bin",
    "../secret.bin",
    "/etc/passwd",
    "link.bin",
    "",
    ".",
    "missing.bin",
    "../case/weights.bin",
    "sub/../../secret.bin",
)
OPERATORS = (
    *("Relu", "Abs", "Neg", "Sigmoid", "Identity", "Flatten", "Transpose", "ArgMax", "TopK", "Softmax", "Exp", "Sqrt"),
    *("Add", "Sub", "Mul", "Div", "Max", "MatMul", "Gemm", "Conv", "MaxPool", "AveragePool", "GlobalAveragePool"),
    *("Concat", "Reshape", "Shape", "Cast", "Round", "QuantizeLinear", "DequantizeLinear", "Quant", "ReduceSum"),
    *("Squeeze", "Unsqueeze", "Pad", "Clip", "Erf", "Pow", "Log", "Reciprocal", "LSTM", "Resize", "ConvTranspose"),
)  # fmt: skip
DTYPES = (np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.int32, np.int64, np.bool_)


def rewire(proto: onnx.ModelProto, rng: Random) -> str:
    """A node reads another tensor: another shape, or a cycle."""
    node = rng.choice(proto.graph.node)
    names = [o for n in proto.graph.node for o in n.output] + [t.name for t in proto.graph.initializer]
    at = rng.randrange(len(node.input))
    node.input[at] = rng.choice([*names, *(i.name for i in proto.graph.input), ""])
    return f"{node.name}[{at}] reads {node.input[at]}"


def operator(proto: onnx.ModelProto, rng: Random) -> str:
    node = rng.choice(proto.graph.node)
    node.op_type = rng.choice(OPERATORS)
    if rng.random() < 0.7:
        del node.attribute[:]
        node.domain = ""
        del node.input[rng.choice((1, 2)) :]
    return f"{node.name} is a {node.op_type}"


def bypass(proto: onnx.ModelProto, rng: Random) -> str:
    """Leave out a node: its readers read its first input."""
    at = rng.randrange(len(proto.graph.node))
    node = proto.graph.node[at]
    for other in proto.graph.node:
        other.input[:] = [node.input[0] if i in node.output else i for i in other.input]
    del proto.graph.node[at]
    return node.name


def attribute(proto: onnx.ModelProto, rng: Random) -> str:
    """An attribute's value, plausible or not."""
    node = rng.choice([n for n in proto.graph.node if n.attribute])
    a = rng.choice(node.attribute)
    if rng.random() < 0.15:
        node.attribute.remove(a)
        return f"{node.name} without {a.name}"
    old = helper.get_attribute_value(a)
    if isinstance(old, list):
        new: Any = [v + rng.choice((-1, 0, 0, 1, 2)) for v in old][: rng.choice((len(old), len(old), len(old) - 1))]
    elif isinstance(old, bytes):
        new = rng.choice(("SAME_UPPER", "edge", "constant", "FLOOR", "CEIL", "ROUND_TO_ZERO", "HALF_UP", "", "UINT4"))
    else:
        new = other_value(old, rng)
    a.CopyFrom(helper.make_attribute(a.name, new, attr_type=a.type))
    return f"{node.name}.{a.name} = {new}"


def shape(proto: onnx.ModelProto, rng: Random) -> str:
    """A constant's or an input's shape; its data stay or follow."""
    if rng.random() < 0.4:
        info = rng.choice(proto.graph.input)
        dim = rng.choice(info.type.tensor_type.shape.dim)
        dim.dim_value = rng.choice((1, 2, 3, dim.dim_value + 1, dim.dim_value * 2, *NUMBERS))
        return f"{info.name}: {dim.dim_value}"
    t = rng.choice(proto.graph.initializer)
    value = _array(t)
    kind = rng.randrange(4)
    if kind == 0:
        t.dims[:] = [rng.choice((d, d + 1, *NUMBERS)) for d in t.dims] or [2]
    else:
        other = (value.reshape(-1), value.T, np.repeat(value[None], rng.choice((1, 2)), 0))[kind - 1]
        t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(other), t.name))
    return f"{t.name}: {list(t.dims)}"


def _array(tensor: TensorProto) -> np.ndarray:
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ValueError("its data lie elsewhere")
    return numpy_helper.to_array(tensor)


def values(proto: onnx.ModelProto, rng: Random) -> str:
    """A constant's values: one of them, all of them, or their type."""
    t = rng.choice(proto.graph.initializer)
    value = _array(t).copy()
    kind = rng.randrange(4)
    with np.errstate(all="ignore"):
        if kind == 0:
            value = value.astype(rng.choice(DTYPES))
        elif kind == 1:
            value = (value * rng.choice((-1, 0, 2, 3, 100))).astype(value.dtype)
        else:
            new = rng.choice(REALS) if value.dtype.kind == "f" else rng.choice((0, 1, -1, 2, 5, 100, 127))
            value.reshape(-1)[rng.randrange(value.size)] = np.array(new).astype(value.dtype)
    t.CopyFrom(numpy_helper.from_array(value, t.name))
    return f"{t.name}: {value.dtype.name} {value.min():g}..{value.max():g}"


def insert(proto: onnx.ModelProto, rng: Random) -> str:
    """A node between a tensor and its readers."""
    at = rng.randrange(len(proto.graph.node))
    node = proto.graph.node[at]
    constants = [t.name for t in proto.graph.initializer]
    new = helper.make_node(rng.choice(OPERATORS), [node.input[0]], ["inserted"], name="inserted")
    if rng.random() < 0.5:
        new.input.append(rng.choice([*constants, node.input[0]]))
    node.input[0] = "inserted"
    proto.graph.node.insert(at, new)
    return f"{new.op_type}({', '.join(new.input)}) before {node.name}"


def output(proto: onnx.ModelProto, rng: Random) -> str:
    """One more output, in the middle of the network."""
    name = rng.choice([o for n in proto.graph.node for o in n.output])
    proto.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return name


def chain(proto: onnx.ModelProto, rng: Random) -> str:
    """A long chain of nodes before the first one."""
    length, op = rng.choice((30, 300, 1000)), rng.choice(("Relu", "Identity", "Neg", "Add"))
    first = proto.graph.node[0]
    names = [first.input[0], *(f"chain{i}" for i in range(length))]
    nodes = [helper.make_node(op, [a, a] if op == "Add" else [a], [b]) for a, b in pairwise(names)]
    first.input[0] = names[-1]
    rest = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes, *rest])
    return f"{length} {op}"


def nesting(proto: onnx.ModelProto, rng: Random) -> str:
    """Graphs within graphs, up to protobuf's own limit."""
    depth = rng.choice((1, 10, 30))
    inner = helper.make_graph([], "deepest", [], [])
    for _ in range(depth):
        other = helper.make_graph([], "g", [], [])
        choice = helper.make_node("If", ["x"], ["i"], then_branch=inner, else_branch=other)
        inner = helper.make_graph([choice], "g", [], [])
    node = rng.choice(proto.graph.node)
    node.attribute.append(helper.make_attribute("body", inner))
    return f"{depth} in {node.name}"


def external(proto: onnx.ModelProto, rng: Random) -> str:
    """A constant in a file beside the model, or where no model's data may lie."""
    t = rng.choice(proto.graph.initializer)
    size = len(t.raw_data)
    t.ClearField("raw_data")
    t.data_location = TensorProto.EXTERNAL
    t.external_data.add(key="location", value=rng.choice(PLACES))
    if rng.random() < 0.7:
        t.external_data.add(key="length", value=str(rng.choice((size, size, size, -1, 1 << 40, "many"))))
        t.external_data.add(key="offset", value=str(rng.choice((0, 8, 8, -8, 1 << 40))))
    if rng.random() < 0.3:  # as an attribute's tensor, which has no place in the list of constants
        node = helper.make_node("Constant", [], [t.name], name="stored")
        node.attribute.append(helper.make_attribute("value", t))
        proto.graph.initializer.remove(t)
        proto.graph.node.insert(0, node)
    return t.external_data[0].value


CHANGES = (
    *(rewire, operator, bypass, attribute, attribute, shape, shape, values, values, values),
    *(insert, insert, output, chain, nesting, external),
)
