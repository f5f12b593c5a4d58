"""Small QONNX models, made with onnx.helper, for tests of the whole path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Model:
    """Builds an ONNX graph node after node; every method gives the name of its result."""

    def __init__(self, *shape: int | str, opset: int = 13) -> None:
        self.opset = opset
        self.inputs = [self.value("x", *shape)]
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def value(self, name: str, *shape: int | str) -> onnx.ValueInfoProto:
        """What an input is; append it to `inputs` for a second one."""
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def add(self, op: str, *inputs: str, domain: str = "", name: str = "", **attributes: Any) -> str:
        result = f"t{len(self.nodes)}"
        node = helper.make_node(op, list(inputs), [result], name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return result

    def quant(
        self, x: str, scale: object = 0.25, bits: int = 4, signed: int = 0, narrow: int = 0, zero: float = 0.0
    ) -> str:
        inputs = (x, self.constant(scale), self.constant(zero), self.constant(float(bits)))
        return self.add("Quant", *inputs, domain=QONNX, signed=signed, narrow=narrow, rounding_mode="ROUND")

    def weight(self, *shape: int, bits: int = 4, scale: float = 0.125, seed: int = 0) -> str:
        values = np.random.default_rng(seed).normal(size=shape) * scale * 2 ** (bits - 2)
        return self.quant(self.constant(values), scale, bits, signed=1, narrow=1)

    def proto(self, *outputs: str) -> onnx.ModelProto:
        results = [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs]
        graph = helper.make_graph(self.nodes, "test", self.inputs, results, self.weights)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def save(self, path: Path, *outputs: str) -> Path:
        onnx.save(self.proto(*outputs), path)
        return path


def mlp(path: Path) -> Path:
    """6 -> 4 -> 3, 4 bits."""
    m = Model(1, 6)
    hidden = m.add("Relu", m.add("MatMul", m.quant("x"), m.weight(6, 4), name="fc1"))
    return m.save(path, m.add("MatMul", m.quant(hidden, 0.5), m.weight(4, 3, seed=1), name="fc2"))


def cnn(path: Path) -> Path:
    """Padded and strided convolutions, a depthwise one, both pools, a flatten and a product."""
    m = Model("batch", 2, 8, 8)
    c = m.add("Conv", m.quant("x"), m.weight(4, 2, 3, 3), pads=[1, 1, 1, 1], name="conv")
    p = m.add("MaxPool", m.quant(m.add("Relu", c), 0.5), kernel_shape=[2, 2], strides=[2, 2])
    d = m.add("Conv", p, m.weight(4, 1, 3, 3, seed=1), group=4, name="depthwise")
    s = m.add("Conv", m.quant(m.add("Relu", d), 0.25), m.weight(6, 4, 1, 1, seed=2), name="pointwise")
    a = m.add("AveragePool", m.quant(s, 0.5, signed=1), kernel_shape=[2, 2])
    f = m.add("Flatten", m.quant(a, 0.5, signed=1), axis=1)
    return m.save(path, m.add("MatMul", f, m.weight(6, 3, seed=3), name="fc"))
