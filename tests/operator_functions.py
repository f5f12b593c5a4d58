"""Functions of elements and of rows, each as a model of one node or few."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.onnx_models import IMAGE, ROW, constants, model, node, simple
from tests.onnx_models import weights as w

BATCH_NORM = {"gain": w(3), "bias": w(3), "mean": w(3), "variance": np.abs(w(3)) + 0.5}

FUNCTIONS: dict[str, Any] = {
    "BatchNormalization": constants("BatchNormalization", IMAGE, attributes={"epsilon": 1e-3}, **BATCH_NORM),
    "BatchNormalization rows": constants("BatchNormalization", {"x": (1, 3)}, opset=9, **BATCH_NORM),
    "Add": constants("Add", IMAGE, c=w(3, 1, 1)),
    "Add of ranks": constants("Add", IMAGE, c=w(1, 3, 6, 1)),
    "Add broadcasts up": constants("Add", {"x": (1, 3, 1, 1)}, c=w(6, 5)),
    "Add two": model([node("Relu", ["x"], "r"), node("Add", ["r", "x"])], IMAGE),
    "Add of ranks, one sample": model([node("ReduceMax", ["x"], "m", keepdims=0), node("Sub", ["x", "m"])], ROW),
    "Mul of places": constants("Mul", IMAGE, c=np.linspace(-2, 2, 90).reshape(3, 6, 5)),
    "Mul with its sigmoid": model([node("Sigmoid", ["x"], "s"), node("Mul", ["x", "s"])], IMAGE),
    "Mul": constants("Mul", IMAGE, c=np.array(0.5)),
    "Mul two": model([node("GlobalAveragePool", ["x"], "g"), node("Mul", ["x", "g"])], IMAGE),
    "Sub": constants("Sub", IMAGE, c=w(5)),
    "Sub from": model([node("Sub", ["c", "x"])], IMAGE, {"c": w(3, 1, 1)}),
    "Div": constants("Div", IMAGE, c=np.array([3.0, 4.0, 5.0]).reshape(1, 3, 1, 1)),
    "Pow": constants("Pow", IMAGE, c=np.array(2.0)),
    "Pow each": constants("Pow", ROW, c=np.array([0.0, 1.0, 2.0, 3.0, 2.0, 1.0])),
    "Clip": constants("Clip", IMAGE, low=np.array(-0.5), high=np.array(0.5)),
    "Clip open": model([node("Clip", ["x", "", "high"])], IMAGE, {"high": np.array(0.5)}),
    "Clip 6": simple("Clip", opset=9, min=0.0, max=1.0),
    "LeakyRelu": simple("LeakyRelu", alpha=0.125),
    "HardSigmoid": simple("HardSigmoid", alpha=0.25),
    **{op: simple(op) for op in ("Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Exp", "Floor", "Ceil", "Round", "Sign")},
    **{op: model([node("Abs", ["x"], "a"), node(op, ["a"])], IMAGE) for op in ("Sqrt", "Log", "Reciprocal")},
    "Erf": simple("Erf"),
    "Identity": simple("Identity"),
    "Dropout": simple("Dropout", opset=9, ratio=0.5),
    "Cast": simple("Cast", to=1),
    "Softmax": simple("Softmax", axis=1),
    "Softmax 12": simple("Softmax", ROW, opset=12),
    "LogSoftmax": simple("LogSoftmax", ROW),
    "LogSoftmax of large numbers": model(
        [node("Mul", ["x", "c"], "l"), node("LogSoftmax", ["l"])], ROW, {"c": np.array(1000.0)}
    ),
    "ArgMax": simple("ArgMax", axis=1),
    "ArgMax dropped axis": simple("ArgMax", axis=-1, keepdims=0),
    "ArgMax last of equals": simple("ArgMax", axis=1, select_last_index=1),
    "ArgMin": simple("ArgMin", ROW, axis=1),
    "Min": model([node("Min", ["x", "c", "r"]), node("Relu", ["x"], "r")], IMAGE, {"c": w(5)}),
    "Max": model([node("Max", ["c", "x"])], IMAGE, {"c": w(3, 1, 1)}),
    "PRelu": constants("PRelu", IMAGE, c=w(3, 1, 1)),
    "PRelu of one slope": constants("PRelu", IMAGE, c=w(1)),
    "Elu": simple("Elu", alpha=0.5),
    "Celu": simple("Celu", alpha=0.5),
    "Selu": simple("Selu"),
    "ThresholdedRelu": simple("ThresholdedRelu", alpha=0.25),
    "Gelu": simple("Gelu", opset=20),
    "Gelu tanh": simple("Gelu", opset=20, approximate="tanh"),
    **{op: simple(op, opset=18) for op in ("HardSwish", "Softplus", "Softsign", "Mish")},
    "Hardmax": simple("Hardmax", axis=1),
}
