"""A small inception network, seeded and untrained: siblings of one tensor, and a fire module, for the fusions' tables.

.venv/bin/python -m examples.inception FILE.onnx
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

SHAPE = (3, 16, 16)
IMAGES = ("n", *SHAPE)
SEED = 1


class Builder:
    """An ONNX graph, node after node; every method gives the name of its result."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(SEED)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, *shape: int) -> str:
        """Normal values that keep a signal's size through a product of this shape."""
        values = self.rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def conv(self, name: str, x: str, inputs: int, outputs: int, kernel: int) -> str:
        """Convolution with bias, of the same size, and ReLU."""
        w = self.constant(f"{name}.weight", outputs, inputs, kernel, kernel)
        b = self.constant(f"{name}.bias", outputs)
        return self.add("Relu", f"{name}.relu", self.add("Conv", name, x, w, b, pads=[kernel // 2] * 4))

    def inception(self, name: str, x: str, inputs: int) -> str:
        """Branches of 1×1, 3×3, 5×5 and a pool, 32 channels together."""
        one = self.conv(f"{name}.1x1", x, inputs, 8, 1)
        three = self.conv(f"{name}.3x3", self.conv(f"{name}.3x3_reduce", x, inputs, 8, 1), 8, 12, 3)
        five = self.conv(f"{name}.5x5", self.conv(f"{name}.5x5_reduce", x, inputs, 4, 1), 4, 4, 5)
        pool = self.add("MaxPool", f"{name}.pool", x, kernel_shape=[3, 3], pads=[1] * 4)
        return self.add("Concat", name, one, three, five, self.conv(f"{name}.pool_1x1", pool, inputs, 8, 1), axis=1)

    def fire(self, name: str, x: str, inputs: int) -> str:
        """A squeeze layer and two that expand it again, of 1×1 and 3×3, 32 channels together."""
        squeezed = self.conv(f"{name}.squeeze", x, inputs, 8, 1)
        expanded = (self.conv(f"{name}.expand{k}x{k}", squeezed, 8, 16, k) for k in (1, 3))
        return self.add("Concat", name, *expanded, axis=1)


def inception() -> onnx.ModelProto:
    """Stem, inception module, fire module, ten classes; float32, opset 13."""
    b = Builder()
    stem = b.add("MaxPool", "stem.pool", b.conv("stem", "x", 3, 16, 3), kernel_shape=[2, 2], strides=[2, 2])
    features = b.fire("fire", b.inception("inception", stem, 16), 32)
    mean = b.add("Flatten", "flatten", b.add("GlobalAveragePool", "mean", features))
    scores = b.add("Gemm", "scores", mean, b.constant("scores.weight", 10, 32), transB=1)
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in (("x", IMAGES), (scores, None)))
    graph = helper.make_graph(b.nodes, "inception", [x], [y], b.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def images(count: int) -> np.ndarray:
    """Seeded noise of the input's shape, float32, 0 to 1."""
    return np.random.default_rng(SEED).uniform(size=(count, *SHAPE)).astype(np.float32)


if __name__ == "__main__":
    onnx.save(inception(), Path(sys.argv[1]))
