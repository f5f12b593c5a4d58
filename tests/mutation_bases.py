"""The small models that tests/mutations.py damages: float, QDQ, QOperator and QONNX."""

from __future__ import annotations

import numpy as np
import onnx

from tests.onnx_models import model, node, weights

QONNX = "qonnx.custom_op.general"


def float_branches() -> onnx.ModelProto:
    """A CNN whose branches meet in a Concat and a residual Add."""
    nodes = [
        node("Conv", ["x", "w0", "b0"], "a", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], "r"),
        node("Conv", ["r", "w1"], "p"),
        node("Conv", ["r", "w3"], "q", pads=[1, 1, 1, 1], group=2),
        node("Concat", ["p", "q"], "c", axis=1),
        node("MaxPool", ["c"], "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("BatchNormalization", ["m", "g", "h", "mean", "var"], "n"),
        node("Add", ["n", "m"], "s"),
        node("GlobalAveragePool", ["s"], "v"),
        node("Flatten", ["v"], "f"),
        node("Gemm", ["f", "w4", "b4"], "l", transB=1),
        node("Softmax", ["l"]),
    ]
    constants = {
        **{"w0": weights(4, 2, 3, 3), "b0": weights(4), "w1": weights(4, 4, 1, 1), "w3": weights(4, 2, 3, 3)},
        **{"g": weights(8), "h": weights(8), "mean": weights(8), "var": weights(8) ** 2 + 0.5},
        **{"w4": weights(3, 8), "b4": weights(3)},
    }
    return model(nodes, {"x": (1, 2, 6, 6)}, constants, opset=15)


def float_movements() -> onnx.ModelProto:
    """Movements and functions of two inputs, two outputs."""
    nodes = [
        node("Pad", ["x", "pads"], "a", mode="reflect"),
        node("Slice", ["a", "starts", "ends", "axes"], "b"),
        node("Transpose", ["b"], "c", perm=[0, 2, 1]),
        node("Reshape", ["c", "shape"], "d"),
        node("HardSwish", ["d"], "e"),
        node("Mul", ["e", "g"], "f"),
        node("Clip", ["f", "low", "high"], "h"),
        node("Sub", ["h", "k"], "i"),
        node("ReduceMean", ["i"], "y", axes=[2], keepdims=0),
        node("LeakyRelu", ["y"], "u", alpha=0.25),
        node("Unsqueeze", ["u", "axis"], "v"),
        node("Expand", ["v", "wide"], "t"),
        node("ArgMax", ["t"], "z", axis=1),
    ]
    constants = {
        **{"pads": np.array([0, 0, 1, 0, 0, 1]), "starts": np.array([1]), "ends": np.array([7])},
        **{"axes": np.array([2]), "shape": np.array([1, 3, 8]), "axis": np.array([2]), "wide": np.array([1, 3, 2])},
        **{"low": np.array(-1.0), "high": np.array(4.0), "k": weights(3, 1)},
    }
    return model(nodes, {"x": (1, 4, 6), "g": (1, 3, 8)}, constants, ["y", "z"], opset=14)


def qdq(nodes: list[onnx.NodeProto], name: str, scale: str, zero_point: str) -> str:
    """Append a quantizer and its inverse; the name of the result."""
    nodes += [
        node("QuantizeLinear", [name, scale, zero_point], f"{name}_q"),
        node("DequantizeLinear", [f"{name}_q", scale, zero_point], f"{name}_dq"),
    ]
    return f"{name}_dq"


def qdq_mlp() -> onnx.ModelProto:
    nodes: list[onnx.NodeProto] = []
    x = qdq(nodes, "x", "s", "z")
    nodes += [
        node("DequantizeLinear", ["w0", "sw", "zw"], "w0_dq", axis=1),
        node("MatMul", [x, "w0_dq"], "a"),
        node("Add", ["a", "b"], "c"),
        node("Relu", ["c"], "r"),
    ]
    r = qdq(nodes, "r", "s2", "z2")
    nodes += [node("DequantizeLinear", ["w1", "s", "z"], "w1_dq"), node("MatMul", [r, "w1_dq"], "o")]
    nodes.append(node("Identity", [qdq(nodes, "o", "s2", "z")]))
    constants = {
        **{"s": np.array(0.11), "z": np.array(0, np.int8), "s2": np.array(0.27), "z2": np.array(7, np.uint8)},
        **{"w0": (weights(6, 4) * 8).astype(np.int8), "w1": (weights(4, 3) * 8).astype(np.int8)},
        **{"sw": np.array([0.5, 0.31, 0.17, 1.0]), "zw": np.zeros(4, np.int8), "b": weights(4)},
    }
    return model(nodes, {"x": (1, 6)}, constants, opset=19)


def qdq_cnn() -> onnx.ModelProto:
    nodes: list[onnx.NodeProto] = []
    x = qdq(nodes, "x", "s", "z")
    w = qdq(nodes, "w", "s", "z8")
    nodes += [node("Conv", [x, w, "b"], "a", pads=[1, 1, 1, 1]), node("Relu", ["a"], "r")]
    r = qdq(nodes, "r", "s2", "z2")
    nodes += [node("Conv", [r, w], "e", pads=[1, 1, 1, 1])]
    nodes += [node("Add", [qdq(nodes, "e", "s2", "z8"), r], "f")]
    nodes += [node("MaxPool", [qdq(nodes, "f", "s2", "z8")], "m", kernel_shape=[2, 2], strides=[2, 2])]
    nodes += [node("Flatten", ["m"], "g"), node("MatMul", ["g", qdq(nodes, "v", "s", "z8")])]
    constants = {
        **{"s": np.array(0.11), "z": np.array(128, np.uint8), "z8": np.array(0, np.int8)},
        **{"s2": np.array(0.27), "z2": np.array(0, np.uint8)},
        **{"w": weights(2, 2, 3, 3), "b": weights(2), "v": weights(8, 3)},
    }
    return model(nodes, {"x": (1, 2, 4, 4)}, constants, opset=21)


def qoperators() -> onnx.ModelProto:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "q"),
        node("QLinearConv", ["q", "s", "z", "w", "s", "zw", "s2", "z"], "c", pads=[1, 1, 1, 1]),
        node("Reshape", ["c", "shape"], "f"),
        node("QLinearMatMul", ["f", "s2", "z", "v", "s", "zw", "s2", "z"], "o"),
        node("DequantizeLinear", ["o", "s2", "z"]),
    ]
    constants = {
        **{"s": np.array(0.11), "z": np.array(3, np.uint8), "s2": np.array(0.53), "zw": np.array(0, np.int8)},
        **{"w": (weights(2, 1, 3, 3) * 8).astype(np.int8), "v": (weights(32, 3) * 8).astype(np.int8)},
        "shape": np.array([1, 32]),
    }
    return model(nodes, {"x": (1, 1, 4, 4)}, constants, opset=19)


def quant(name: str, result: str, bits: str = "bits", signed: int = 1) -> onnx.NodeProto:
    attributes = {"signed": signed, "narrow": 0, "rounding_mode": "ROUND"}
    return node("Quant", [name, "s", "z", bits], result, QONNX, **attributes)


def qonnx_cnn() -> onnx.ModelProto:
    nodes = [
        *(quant("x", "xq"), quant("w", "wq"), quant("v", "vq", "few")),
        node("Conv", ["xq", "wq"], "a", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["a", "g", "h", "mean", "var"], "n"),
        node("Relu", ["n"], "r"),
        quant("r", "rq", "few", 0),
        node("MaxPool", ["rq"], "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["m", "shape"], "f"),
        node("MatMul", ["f", "vq"]),
    ]
    constants = {
        **{"s": np.array(0.23), "z": np.array(0.0), "bits": np.array(6.0), "few": np.array(3.0)},
        **{"w": weights(3, 1, 3, 3), "v": weights(12, 3), "shape": np.array([1, -1])},
        **{"g": weights(3), "h": weights(3), "mean": weights(3), "var": weights(3) ** 2 + 0.5},
    }
    return model(nodes, {"x": (1, 1, 4, 4)}, constants, opset=15)


def qonnx_signs() -> onnx.ModelProto:
    """Signs, thresholds, and an index as the result."""
    nodes = [
        node("BipolarQuant", ["x", "one"], "xq", QONNX),
        node("BipolarQuant", ["w", "one"], "wq", QONNX),
        node("MatMul", ["xq", "wq"], "a"),
        node("MultiThreshold", ["a", "t"], "b", QONNX, out_dtype="UINT2"),
        quant("v", "vq"),
        node("MatMul", ["b", "vq"], "c"),
        node("Add", ["c", "d"], "e"),
        node("ArgMax", ["e"], axis=1, keepdims=0),
    ]
    constants = {
        **{"one": np.array(1.0), "w": weights(7, 4) + 0.0625, "t": np.sort(weights(4, 3) * 4), "v": weights(4, 3)},
        **{"s": np.array(0.11), "z": np.array(0.0), "bits": np.array(4.0), "d": weights(3)},
    }
    return model(nodes, {"x": (1, 7)}, constants)


BASES = (float_branches, float_movements, qdq_mlp, qdq_cnn, qoperators, qonnx_cnn, qonnx_signs)
