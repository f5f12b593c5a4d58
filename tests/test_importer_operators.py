"""Every operator of the importer's table against the qonnx package or onnxruntime with graph optimizations off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from codesign.importer.handlers import HANDLED, ROWS
from tests.onnx_models import check, model, node
from tests.onnx_models import weights as w

RNG = np.random.default_rng(7)
QONNX, BREVITAS, FINN = "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"
IMAGE = {"x": (1, 3, 6, 5)}
ROW = {"x": (1, 6)}


def simple(op: str, shape: dict[str, tuple[int, ...]] = IMAGE, opset: int = 13, **attributes: Any):
    """One node with one input."""
    return model([node(op, ["x"], **attributes)], shape, opset=opset)


def constants(
    op: str, shape: dict[str, tuple[int, ...]], opset: int = 13, attributes: dict[str, Any] | None = None, **values: Any
):
    """One node whose further inputs are constants."""
    names = ["x", *values]
    return model([node(op, names, **(attributes or {}))], shape, values, opset=opset)


def quant(inputs: tuple[str, ...] = ("x", "s", "z", "b"), domain: str = QONNX, output: str = "y", **attributes: Any):
    full = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    return node("Quant", inputs, output, domain, **full)


def quantizer(
    scale: Any = 0.25, zero: Any = 0.0, bits: Any = 4.0, shape: Any = IMAGE, domain: str = QONNX, **attributes: Any
):
    return model([quant(domain=domain, **attributes)], shape, {"s": scale, "z": zero, "b": bits})


def trunc(version: int, **attributes: Any):
    values = {"s": 0.125, "z": 0.0, "b": 8.0, "so": 0.5, "bo": 5.0}
    if version == 1:
        del values["so"]
    front = node("Quant", ["x", "s", "z", "b"], "q", QONNX, signed=1, narrow=0, rounding_mode="ROUND")
    proto = model([front, node("Trunc", ["q", *values], "y", QONNX, **attributes)], IMAGE, values)
    proto.opset_import[1].version = version
    return proto


def threshold(shape: Any, values: np.ndarray, domain: str = FINN, **attributes: Any):
    return model([node("MultiThreshold", ["x", "t"], domain=domain, **attributes)], shape, {"t": values})


STEPS = np.sort(RNG.standard_normal((3, 7)), axis=1)
BATCH_NORM = {"gain": w(3), "bias": w(3), "mean": w(3), "variance": np.abs(w(3)) + 0.5}

CASES: dict[str, Any] = {
    "Quant": quantizer(),
    "Quant unsigned": quantizer(signed=0),
    "Quant unsigned narrow": quantizer(signed=0, narrow=1, bits=2.0),
    "Quant narrow": quantizer(narrow=1, bits=2.0, domain=BREVITAS),
    "Quant one bit": quantizer(bits=1.0, narrow=1, domain=FINN),
    "Quant one unsigned bit": quantizer(bits=1.0, signed=0),
    "Quant zero point": quantizer(zero=3.0, signed=0),
    "Quant per channel": quantizer(scale=np.array([0.125, 0.25, 0.5]).reshape(1, 3, 1, 1)),
    "Quant per channel zero": quantizer(zero=np.array([1.0, -2.0, 0.0]).reshape(3, 1, 1)),
    "Quant per row": quantizer(scale=2.0 ** np.arange(-4, 2).reshape(6, 1)),
    **{f"Quant {m}": quantizer(rounding_mode=m) for m in ("CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")},
    "Quant lower case": quantizer(rounding_mode="floor"),
    "IntQuant": model(
        [node("IntQuant", ["x", "s", "z", "b"], domain=QONNX, signed=1, narrow=0, rounding_mode="ROUND")],
        IMAGE,
        {"s": 0.25, "z": 0.0, "b": 3.0},
    ),
    "BipolarQuant": model([node("BipolarQuant", ["x", "s"], domain=BREVITAS)], IMAGE, {"s": 0.5}),
    "Trunc": trunc(1, rounding_mode="FLOOR"),
    "Trunc ceil": trunc(1, rounding_mode="CEIL"),
    "Trunc 2": trunc(2, rounding_mode="FLOOR", signed=1, narrow=0),
    "Trunc 2 round": trunc(2, rounding_mode="ROUND", signed=0, narrow=0),
    "MultiThreshold": threshold(IMAGE, STEPS, out_dtype="UINT3"),
    "MultiThreshold one": threshold(IMAGE, STEPS[:1], out_dtype="UINT3"),
    "MultiThreshold bipolar": threshold(ROW, np.zeros((1, 1)), out_dtype="BIPOLAR", out_scale=2.0, out_bias=-1.0),
    "MultiThreshold signed": threshold(IMAGE, STEPS, out_dtype="INT3", out_bias=-4.0),
    "MultiThreshold scaled": threshold(IMAGE, STEPS, QONNX, out_dtype="INT3", out_scale=0.5, out_bias=-1.5),
    "MultiThreshold odd bias": threshold(IMAGE, STEPS, out_dtype="INT3", out_scale=1.0, out_bias=0.3),
    "MultiThreshold falling": threshold(IMAGE, STEPS, out_dtype="INT3", out_scale=-1.0, out_bias=3.0),
    "MultiThreshold NHWC": threshold({"x": (1, 6, 5, 3)}, STEPS, out_dtype="UINT3", data_layout="NHWC"),
    "MultiThreshold rank 3": threshold({"x": (1, 5, 3)}, STEPS, out_dtype="UINT3"),
    "MatMul": constants("MatMul", ROW, w=w(6, 4)),
    "MatMul rank 3": constants("MatMul", {"x": (1, 5, 6)}, w=w(6, 4)),
    "Gemm": constants("Gemm", ROW, w=w(6, 4), c=w(4)),
    "Gemm transB": constants("Gemm", ROW, attributes={"transB": 1, "alpha": 0.5, "beta": 2.0}, w=w(4, 6), c=w(1, 4)),
    "Gemm no bias": constants("Gemm", ROW, w=w(6, 4)),
    "Gemm scalar bias": constants("Gemm", ROW, w=w(6, 4), c=np.array(0.5)),
    "Conv": constants("Conv", IMAGE, w=w(4, 3, 3, 3), c=w(4)),
    "Conv 1x1": constants("Conv", IMAGE, w=w(4, 3, 1, 1)),
    "Conv strided": constants(
        "Conv", IMAGE, attributes={"strides": [2, 1], "pads": [1, 0, 2, 1], "kernel_shape": [3, 2]}, w=w(4, 3, 3, 2)
    ),
    "Conv dilated": constants("Conv", IMAGE, attributes={"dilations": [2, 1], "pads": [2, 2, 2, 2]}, w=w(2, 3, 3, 3)),
    "Conv groups": constants("Conv", {"x": (1, 4, 5, 5)}, attributes={"group": 2}, w=w(6, 2, 3, 3)),
    "Conv depthwise": constants("Conv", IMAGE, attributes={"group": 3, "pads": [1, 1, 1, 1]}, w=w(6, 1, 3, 3), c=w(6)),
    "Conv same upper": constants(
        "Conv", IMAGE, attributes={"auto_pad": "SAME_UPPER", "strides": [2, 2]}, w=w(2, 3, 2, 3)
    ),
    "Conv same lower": constants("Conv", IMAGE, attributes={"auto_pad": "SAME_LOWER"}, w=w(2, 3, 2, 2)),
    "Conv valid": constants("Conv", IMAGE, attributes={"auto_pad": "VALID"}, w=w(2, 3, 2, 2)),
    "Conv 1-D": constants("Conv", {"x": (1, 3, 9)}, attributes={"strides": [2], "pads": [1, 1]}, w=w(4, 3, 3), c=w(4)),
    "MaxPool": simple("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "MaxPool padded": simple("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "MaxPool dilated": simple("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
    "MaxPool ceil without effect": simple("MaxPool", kernel_shape=[2, 1], strides=[2, 2], ceil_mode=1),
    "MaxPool 1-D": simple("MaxPool", {"x": (1, 3, 8)}, kernel_shape=[2], strides=[2]),
    "AveragePool": simple("AveragePool", kernel_shape=[2, 3]),
    "AveragePool padded": simple("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "GlobalAveragePool": simple("GlobalAveragePool"),
    "GlobalMaxPool": simple("GlobalMaxPool"),
    "ReduceMean": simple("ReduceMean", axes=[2, 3], keepdims=0),
    "ReduceMean 18": constants("ReduceMean", IMAGE, opset=18, a=np.array([-1, -2])),
    "Pad": constants("Pad", IMAGE, p=np.array([0, 0, 1, 2, 0, 0, 0, 1])),
    "Pad value": constants("Pad", IMAGE, p=np.array([0, 0, 1, 2, 0, 0, 0, 1]), v=np.array(1.5)),
    "Pad 10": simple("Pad", opset=10, pads=[0, 0, 1, 2, 0, 0, 0, 1], value=-1.0),
    "BatchNormalization": constants("BatchNormalization", IMAGE, attributes={"epsilon": 1e-3}, **BATCH_NORM),
    "BatchNormalization rows": constants("BatchNormalization", {"x": (1, 3)}, opset=9, **BATCH_NORM),
    "Add": constants("Add", IMAGE, c=w(3, 1, 1)),
    "Mul of places": constants("Mul", IMAGE, c=np.linspace(-2, 2, 90).reshape(3, 6, 5)),
    "Mul with its sigmoid": model([node("Sigmoid", ["x"], "s"), node("Mul", ["x", "s"])], IMAGE),
    "Add of ranks": constants("Add", IMAGE, c=w(1, 3, 6, 1)),
    "Add broadcasts up": constants("Add", {"x": (1, 3, 1, 1)}, c=w(6, 5)),
    "Add two": model([node("Relu", ["x"], "r"), node("Add", ["r", "x"])], IMAGE),
    "Sub": constants("Sub", IMAGE, c=w(5)),
    "Sub from": model([node("Sub", ["c", "x"])], IMAGE, {"c": w(3, 1, 1)}),
    "Mul": constants("Mul", IMAGE, c=np.array(0.5)),
    "Mul two": model([node("GlobalAveragePool", ["x"], "g"), node("Mul", ["x", "g"])], IMAGE),
    "Div": constants("Div", IMAGE, c=np.array([3.0, 4.0, 5.0]).reshape(1, 3, 1, 1)),
    "Pow": constants("Pow", IMAGE, c=np.array(2.0)),
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
    "Reshape": constants("Reshape", IMAGE, s=np.array([0, -1, 5])),
    "Flatten": simple("Flatten"),
    "Squeeze": constants("Squeeze", {"x": (1, 3, 1, 1)}, a=np.array([2, 3])),
    "Squeeze 12": simple("Squeeze", {"x": (1, 3, 1)}, opset=12, axes=[-1]),
    "Unsqueeze": constants("Unsqueeze", ROW, a=np.array([1, -1])),
    "Unsqueeze 12": simple("Unsqueeze", ROW, opset=12, axes=[2]),
    "Transpose": simple("Transpose", perm=[0, 3, 1, 2]),
    "Concat": model([node("Relu", ["x"], "r"), node("Concat", ["x", "r"], axis=1)], IMAGE),
    "Concat rows": model(
        [node("Transpose", ["x"], "r", perm=[0, 1, 3, 2]), node("Concat", ["r", "r"], axis=-1)], IMAGE
    ),
    "Softmax": simple("Softmax", axis=1),
    "Softmax 12": simple("Softmax", ROW, opset=12),
    "LogSoftmax": simple("LogSoftmax", ROW),
    "ArgMax": simple("ArgMax", axis=1),
    "ArgMax dropped axis": simple("ArgMax", axis=-1, keepdims=0),
    "ArgMin": simple("ArgMin", ROW, axis=1),
}

CASES |= {
    "FloatQuant": model(
        [
            node(
                "FloatQuant",
                ["x", "s", "e", "m", "b", "l"],
                domain=QONNX,
                has_inf=0,
                has_nan=1,
                has_subnormal=1,
                saturation=1,
                rounding_mode="round",
            )
        ],
        IMAGE,
        {"s": np.array(0.25), "e": np.array(3.0), "m": np.array(2.0), "b": np.array(3.0), "l": np.array(14.0)},
    ),
    "ConvTranspose": constants(
        "ConvTranspose",
        {"x": (1, 4, 5, 4)},
        attributes={"strides": [2, 3], "pads": [1, 0, 2, 1], "group": 2, "output_padding": [1, 0]},
        w=w(4, 3, 3, 2),
        c=w(6),
    ),
    "ConvTranspose 1-D": constants("ConvTranspose", {"x": (1, 2, 7)}, attributes={"dilations": [2]}, w=w(2, 3, 3)),
    "ConvTranspose cut into the image": constants(
        "ConvTranspose", {"x": (1, 2, 4, 5)}, attributes={"strides": [2, 1], "pads": [2, 1, 3, 2]}, w=w(2, 3, 2, 2)
    ),
    "ConvTranspose same": constants(
        "ConvTranspose", {"x": (1, 2, 3, 2)}, attributes={"strides": [2, 2], "auto_pad": "SAME_UPPER"}, w=w(2, 1, 3, 3)
    ),
    "MatMul batched": constants("MatMul", {"x": (1, 3, 4, 6)}, w=w(3, 6, 2)),
    "MatMul batched from the left": model([node("MatMul", ["c", "x"])], {"x": (1, 3, 4, 5)}, {"c": w(1, 3, 2, 4)}),
    "MatMul of more batches": constants("MatMul", {"x": (1, 2, 3, 4, 5)}, w=w(2, 3, 5, 2)),
    "MatMul of batches spread": constants("MatMul", {"x": (1, 1, 4, 6)}, w=w(3, 6, 2)),
    "MatMul from the left of more": model([node("MatMul", ["c", "x"])], {"x": (1, 2, 4, 5)}, {"c": w(3, 4)}),
    "MatMul from the left": model([node("MatMul", ["c", "x"])], {"x": (1, 3, 4)}, {"c": w(2, 3)}),
    "MatMul of two": model(
        [node("Transpose", ["x"], "t", perm=[0, 2, 1]), node("MatMul", ["x", "t"])], {"x": (1, 3, 4)}
    ),
    "MatMul of one sample": model(
        [node("Transpose", ["x"], "t"), node("MatMul", ["t", "x"], "m"), node("Flatten", ["m"], axis=0)], ROW
    ),
    "Gemm of one sample": model([node("Gemm", ["x", "x"], transB=1)], ROW),
    "AveragePool without padding": simple("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "AveragePool ceil and padded": simple(
        "AveragePool", opset=19, kernel_shape=[2, 3], strides=[2, 2], pads=[1, 1, 0, 1], ceil_mode=1
    ),
    "AveragePool 1-D": simple("AveragePool", {"x": (1, 3, 8)}, kernel_shape=[3], pads=[1, 1], strides=[2]),
    "AveragePool ceil": simple("AveragePool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    "MaxPool ceil": simple("MaxPool", kernel_shape=[4, 4], strides=[4, 4], ceil_mode=1),
    "MaxPool last": model(
        [
            node(
                "MaxPool",
                ["x"],
                domain="qonnx.custom_op.channels_last",
                kernel_shape=[2, 2],
                strides=[2, 2],
                pads=[0, 0, 0, 0],
            )
        ],
        {"x": (1, 6, 4, 3)},
    ),
    "ReduceMean channels": simple("ReduceMean", axes=[1]),
    "ReduceSum": constants("ReduceSum", IMAGE, a=np.array([2, 3])),
    "ReduceMax": simple("ReduceMax", axes=[2, 3], keepdims=0),
    "ReduceMin": simple("ReduceMin", axes=[-1, 1]),
    "ReduceMax everything": simple("ReduceMax", ROW),
    "ReduceSum channels of a sequence": constants("ReduceSum", {"x": (1, 4, 7)}, a=np.array([1])),
    "ReduceMean rows": simple("ReduceMean", axes=[2]),
    "ReduceMax columns": simple("ReduceMax", axes=[3], keepdims=0),
    "ReduceMean of a sample": simple("ReduceMean", axes=[1, 2, 3]),
    "ReduceMin rows and channels": simple("ReduceMin", axes=[1, 2]),
    "Pad channels": constants("Pad", IMAGE, p=np.array([0, 2, 0, 0, 0, 1, 0, 0])),
    "Pad reflected": constants("Pad", IMAGE, attributes={"mode": "reflect"}, p=np.array([0, 0, 1, 2, 0, 0, 3, 1])),
    "Pad edge": constants("Pad", ROW, attributes={"mode": "edge"}, p=np.array([0, 2, 0, 1])),
    "Pad wrapped": constants("Pad", {"x": (1, 2, 4, 5)}, 19, {"mode": "wrap"}, p=np.array([0, 0, 1, 5, 0, 0, 2, 0])),
    "Pad everywhere": constants("Pad", {"x": (1, 4, 2, 3, 2)}, p=np.array([0, 2, 0, 1, 1, 0, 0, 1, 0, 2])),
    "Pad channels of a sequence": constants("Pad", {"x": (1, 4, 7)}, p=np.array([0, 2, 0, 0, 4, 1])),
    "Pad edge of channels": constants("Pad", IMAGE, attributes={"mode": "edge"}, p=np.array([0, 2, 0, 0, 0, 1, 0, 1])),
    "Pad negative reflected": constants(
        "Pad", IMAGE, attributes={"mode": "reflect"}, p=np.array([0, 0, -1, 3, 0, 0, 2, -1])
    ),
    "Pad negative": constants("Pad", IMAGE, p=np.array([0, 0, -1, 1, 0, -1, 0, 0])),
    "Pad sequence": constants("Pad", {"x": (1, 3, 7)}, p=np.array([0, 0, 2, 0, 0, 0])),
    "Resize": model(
        [
            node(
                "Resize",
                ["x", "", "s"],
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        ],
        IMAGE,
        {"s": np.array([1.0, 1.0, 2.0, 3.0])},
    ),
    "Resize down": model(
        [node("Resize", ["x", "", "", "s"], mode="nearest", nearest_mode="round_prefer_ceil")],
        IMAGE,
        {"s": np.array([1, 3, 4, 3])},
    ),
    "Upsample": constants("Upsample", IMAGE, opset=9, s=np.array([1.0, 1.0, 2.0, 1.0])),
    "DepthToSpace": simple("DepthToSpace", {"x": (1, 12, 2, 3)}, blocksize=2),
    "DepthToSpace CRD": simple("DepthToSpace", {"x": (1, 12, 2, 3)}, blocksize=2, mode="CRD"),
    "SpaceToDepth": simple("SpaceToDepth", {"x": (1, 3, 4, 6)}, blocksize=2),
    "Min": model([node("Min", ["x", "c", "r"]), node("Relu", ["x"], "r")], IMAGE, {"c": w(5)}),
    "Max": model([node("Max", ["c", "x"])], IMAGE, {"c": w(3, 1, 1)}),
    "PRelu": constants("PRelu", IMAGE, c=w(3, 1, 1)),
    "PRelu of one slope": constants("PRelu", IMAGE, c=w(1)),
    "Pow each": constants("Pow", ROW, c=np.array([0.0, 1.0, 2.0, 3.0, 2.0, 1.0])),
    "Elu": simple("Elu", alpha=0.5),
    "Celu": simple("Celu", alpha=0.5),
    "Selu": simple("Selu"),
    "ThresholdedRelu": simple("ThresholdedRelu", alpha=0.25),
    "Gelu": simple("Gelu", opset=20),
    "Gelu tanh": simple("Gelu", opset=20, approximate="tanh"),
    **{op: simple(op, opset=18) for op in ("HardSwish", "Softplus", "Softsign", "Mish")},
    "Add of ranks, one sample": model([node("ReduceMax", ["x"], "m", keepdims=0), node("Sub", ["x", "m"])], ROW),
    "Concat constant": constants("Concat", ROW, attributes={"axis": 1}, c=w(1, 4)),
    "Split": model(
        [helper.make_node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2), node("Sub", ["b", "a"])],
        {"x": (1, 4, 3)},
        opset=18,
    ),
    "Slice": constants(
        "Slice", IMAGE, s=np.array([-1, 1]), e=np.array([-100, 3]), a=np.array([2, 3]), t=np.array([-2, 1])
    ),
    "Slice 9": simple("Slice", opset=9, starts=[1], ends=[100], axes=[1]),
    "Expand": constants("Expand", {"x": (1, 3, 1)}, s=np.array([3, 4])),
    "Tile": constants("Tile", {"x": (1, 3, 2)}, s=np.array([1, 2, 1])),
    "Hardmax": simple("Hardmax", axis=1),
    "LogSoftmax of large numbers": model(
        [node("Mul", ["x", "c"], "l"), node("LogSoftmax", ["l"])], ROW, {"c": np.array(1000.0)}
    ),
    "ArgMax last of equals": simple("ArgMax", axis=1, select_last_index=1),
    "Transpose of samples": model(
        [node("Transpose", ["x"], "t"), node("Softmax", ["t"], "s", axis=0), node("Transpose", ["s"])], ROW
    ),
    "Squeeze samples": model(
        [node("Squeeze", ["x", "a"], "s"), node("Mul", ["s", "s"], "m"), node("Unsqueeze", ["m", "a"])],
        ROW,
        {"a": np.array([0])},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, tmp_path: Path) -> None:
    check(CASES[name], tmp_path)


def test_every_row_has_a_case() -> None:
    tested = {name.split()[0] for name in CASES} | {"TopK"}
    elsewhere = {name for name in ROWS if ROWS[name].integers == HANDLED}  # test_importer_qoperator.py
    assert tested | elsewhere | {"Weights"} == set(ROWS)  # of compressed files: test_compress_storage.py
