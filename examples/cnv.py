"""FINN's CNV topology for 32x32 images, binary weights and activations, seeded and untrained, as QONNX.

Umuroglu et al., FINN (2017): six 3x3 convolutions without padding, 64-64-128-128-256-256 channels, maxima of 2x2 after
the second and the fourth, dense layers of 512, 512 and 10. The input has 8 bits.

.venv/bin/python -m examples.cnv FILE.onnx
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

SHAPE = (3, 32, 32)
CONVOLUTIONS = ((64, False), (64, True), (128, False), (128, True), (256, False), (256, False))  # pooled behind it?
DENSE = (512, 512)
CLASSES = 10
SEED = 1
QONNX = "qonnx.custom_op.general"


class Builder:
    """A QONNX graph, node after node; every method gives the name of its result."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(SEED)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, op: str, name: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, name: str, values: np.ndarray | float) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def bipolar(self, name: str, x: str) -> str:
        return self.add("BipolarQuant", name, x, self.constant(f"{name}.scale", 1.0), domain=QONNX)

    def weights(self, name: str, *shape: int) -> str:
        return self.bipolar(f"{name}.quant", self.constant(f"{name}.weight", self.rng.normal(size=shape)))

    def signs(self, name: str, x: str, channels: int, spread: float) -> str:
        """Batch normalization about means of that spread, then the sign."""
        scale = self.rng.choice([-1.0, 1.0, 1.0, 1.0], channels) * self.rng.uniform(0.5, 1.5, channels)
        mean = self.rng.normal(scale=spread, size=channels) + 0.25  # between whole numbers: no sum is on the step
        values = {"scale": scale, "shift": np.zeros(channels), "mean": mean, "variance": np.full(channels, spread**2)}
        parts = [self.constant(f"{name}.{key}", value) for key, value in values.items()]
        return self.bipolar(f"{name}.sign", self.add("BatchNormalization", f"{name}.norm", x, *parts))

    def dense(self, x: str, widths: Sequence[int]) -> str:
        """Dense layers between so many elements, each with signs."""
        for k, (inputs, neurons) in enumerate(pairwise(widths)):
            x = self.add("MatMul", f"fc{k}", x, self.weights(f"fc{k}", inputs, neurons))
            x = self.signs(f"fc{k}", x, neurons, 0.3 * np.sqrt(inputs))
        return x

    def model(self, name: str, given: tuple[int, ...], result: str, made: tuple[int, ...]) -> onnx.ModelProto:
        """The graph from `x` to a result."""
        kind = onnx.TensorProto.FLOAT
        x, y = helper.make_tensor_value_info("x", kind, given), helper.make_tensor_value_info(result, kind, made)
        graph = helper.make_graph(self.nodes, name, [x], [y], self.constants)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def cnv() -> onnx.ModelProto:
    """The whole network, ten scores."""
    b = Builder()
    eight = [b.constant(f"input.{key}", value) for key, value in (("scale", 2**-7), ("zero", 0), ("bits", 8))]
    x, channels = b.add("Quant", "input", "x", *eight, domain=QONNX, signed=1, narrow=0, rounding_mode="ROUND"), 3
    for k, (filters, pooled) in enumerate(CONVOLUTIONS):
        name, inputs = f"conv{k}", channels * 9
        x = b.add("Conv", name, x, b.weights(name, filters, channels, 3, 3), kernel_shape=[3, 3])
        x = b.signs(name, x, filters, 0.3 * np.sqrt(inputs) if k else 1.0)
        x = b.add("MaxPool", f"{name}.pool", x, kernel_shape=[2, 2], strides=[2, 2]) if pooled else x
        channels = filters
    x = b.dense(b.add("Flatten", "flatten", x), (channels, *DENSE))
    scores = b.add("MatMul", "scores", x, b.weights("scores", DENSE[-1], CLASSES))
    return b.model("cnv", (1, *SHAPE), scores, (1, CLASSES))


def dense(widths: Sequence[int]) -> onnx.ModelProto:
    """Binary dense layers between so many elements."""
    b = Builder()
    return b.model("dense", (1, widths[0]), b.dense(b.bipolar("input", "x"), widths), (1, widths[-1]))


def images(count: int) -> np.ndarray:
    """Seeded noise of the input's shape and range, on its grid, float32."""
    return (np.random.default_rng(SEED).integers(-128, 128, (count, *SHAPE)) / 128).astype(np.float32)


if __name__ == "__main__":
    onnx.save(cnv(), Path(sys.argv[1]))
