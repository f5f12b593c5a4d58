"""What cannot be imported is refused in one line that names it, the reason, and what would help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from codesign.importer import import_model
from tests.onnx_models import IMAGE, ROW, model, node, saved
from tests.onnx_refusals import QONNX, ROWS, W, one, quant, refusal


def weights_with_scale(scale: np.ndarray):
    quantizer = node("Quant", ["w", "s", "z", "b"], "q", QONNX, signed=1, narrow=0, rounding_mode="ROUND")
    values = {"w": np.ones((6, 4)), "s": scale, "z": 0.0, "b": 4.0}
    return model([quantizer, node("MatMul", ["x", "q"])], ROW, values)


def threshold(shape: Any = IMAGE, t: Any = ((0.0, 1.0),), **attributes: Any):
    full = {"out_dtype": "UINT2", **attributes}
    return model([node("MultiThreshold", ["x", "t"], domain=QONNX, **full)], shape, {"t": np.asarray(t)})


NORM = {k: np.ones(3) for k in "abcd"}

# (the model, the node that must be named, a word of the reason)
NODES: dict[str, tuple[onnx.ModelProto, str, str]] = {
    "unknown attribute": (one("Relu", fancy=1), "Relu_of_y", "fancy"),
    "wrong attribute type": (one("MaxPool", kernel_shape="2"), "MaxPool_of_y", "kernel_shape"),
    "missing attribute": (one("MaxPool"), "MaxPool_of_y", "kernel_shape"),
    "missing input": (one("Conv"), "Conv_of_y", "1 inputs"),
    "computed weights": (model([node("Conv", ["x", "x"])], IMAGE), "Conv_of_y", "computed"),
    "weights do not fit": (one("MatMul", ROW, {"w": np.ones((5, 4))}), "MatMul_of_y", "(5, 4)"),
    "transA": (one("Gemm", ROWS, {"w": np.ones((1, 4))}, transA=1), "Gemm_of_y", "transA"),
    "channels do not fit": (one("Conv", {"x": (1, 2, 6, 5)}, {"w": W}), "Conv_of_y", "(6, 5, 2)"),
    "kernel_shape differs": (one("Conv", IMAGE, {"w": W}, kernel_shape=[2, 2]), "Conv_of_y", "kernel_shape"),
    "kernel too large": (one("Conv", IMAGE, {"w": np.ones((1, 3, 7, 7))}), "Conv_of_y", "larger"),
    "negative padding": (one("Conv", IMAGE, {"w": W}, pads=[-1, 0, 0, 0]), "Conv_of_y", "pads"),
    "auto_pad": (one("Conv", IMAGE, {"w": W}, auto_pad="OTHER"), "Conv_of_y", "OTHER"),
    "three dimensions": (
        one("Conv", {"x": (1, 3, 6, 6, 6)}, {"w": np.ones((1, 3, 2, 2, 2))}), "Conv_of_y", "5 axes"
    ),
    "training": (one("BatchNormalization", IMAGE, NORM, opset=15, training_mode=1), "BatchNormalization_of_y", "eval"),
    "negative variance": (
        one("BatchNormalization", IMAGE, {**NORM, "d": -np.ones(3)}), "BatchNormalization_of_y", "variance"
    ),
    "parameters do not fit": (
        one("BatchNormalization", IMAGE, {k: np.ones(2) for k in "abcd"}), "BatchNormalization_of_y", "(3,)"
    ),
    "division by zero": (one("Div", ROW, {"c": np.zeros(6)}), "Div_of_y", "0"),
    "shapes do not broadcast": (one("Add", ROW, {"c": np.ones(5)}), "Add_of_y", "broadcast"),
    "constant differs by sample": (one("Add", ROWS, {"c": np.ones((2, 6))}), "Add_of_y", "samples"),
    "cast to integer": (one("Cast", ROW, to=TensorProto.INT32), "Cast_of_y", "float"),
    "sample axis transposed": (one("Transpose", ROWS, perm=[1, 0]), "Transpose_of_y", "sample axis"),
    "sample axis reshaped": (
        one("Reshape", {"x": ("N", 4, 3)}, {"s": np.array([4, 3])}), "Reshape_of_y", "sample axis"
    ),
    "sample axis squeezed": (one("Squeeze", ROWS, {"a": np.array([0])}), "Squeeze_of_y", "sample axis"),
    "squeeze without axes": (one("Squeeze", {"x": ("N", 3, 1)}), "Squeeze_of_y", "axes"),
    "squeeze of a long axis": (one("Squeeze", {"x": (1, 3, 1)}, {"a": np.array([1])}), "Squeeze_of_y", "length 1"),
    "sample axis unsqueezed": (one("Unsqueeze", ROWS, {"a": np.array([0])}), "Unsqueeze_of_y", "sample axis"),
    "sample axis joined": (model([node("Concat", ["x", "x"], axis=0)], ROWS), "Concat_of_y", "sample axis"),
    "computed product": (model([node("MatMul", ["x", "x"])], {"x": ("N", 3)}), "MatMul_of_y", "sample axis"),
    "samples of a window": (
        model([node("MaxPool", ["x"], "r", kernel_shape=[1, 1]), node("ReduceSum", ["r", "a"])],
              {"x": (2, 3, 4, 4)}, {"a": np.array([0])}),
        "ReduceSum_of_y", "sample axis",
    ),
    "padding mode": (one("Pad", IMAGE, {"p": np.ones(8, np.int64)}, mode="mirror"), "Pad_of_y", "mirror"),
    "too much reflection": (
        one("Pad", IMAGE, {"p": np.array([0, 0, 6, 0, 0, 0, 0, 0])}, mode="reflect"), "Pad_of_y", "reflect"
    ),
    "padding of samples": (one("Pad", ROWS, {"p": np.array([1, 0, 0, 0])}), "Pad_of_y", "samples"),
    "window in padding": (
        one("AveragePool", kernel_shape=[2, 2], pads=[2, 2, 0, 0]), "AveragePool_of_y", "padding"
    ),
    "resize mode": (one("Resize", IMAGE, {"r": np.ones(0), "s": np.ones(4)}, mode="best"), "Resize_of_y", "'mode'"),
    "resize coordinates": (
        one("Resize", IMAGE, {"r": np.ones(0), "s": np.ones(4)}, coordinate_transformation_mode="odd"),
        "Resize_of_y", "coordinate_transformation_mode",
    ),
    "too many of TopK": (one("TopK", ROW, {"k": np.array([7])}), "TopK_of_y", "k = 7"),
    "uneven split": (one("Split", ROW, {"s": np.array([4])}, axis=1), "Split_of_y", "[4]"),
    "empty slice": (one("Slice", ROW, {"s": np.array([0, 3]), "e": np.array([1, 3])}), "Slice_of_y", "no element"),
    "blocks of depth": (one("DepthToSpace", blocksize=2), "DepthToSpace_of_y", "3 channels"),
    "computed slopes": (model([node("PRelu", ["x", "x"])], ROW), "PRelu_of_y", "slopes"),
    "huge tensor": (
        one("Expand", {"x": (1, 1, 6)}, {"s": np.array([1, 1 << 40, 6])}), "Expand_of_y", "elements"
    ),
    "zero point of floats": (
        one("QuantizeLinear", ROW, {"s": 1.0, "z": 0.0}), "QuantizeLinear_of_y", "type float"
    ),
    "scale of a quantizer": (one("QuantizeLinear", ROW, {"s": -1.0}), "QuantizeLinear_of_y", "positive"),
    "scales that do not fit": (one("QuantizeLinear", ROW, {"s": np.ones(5)}), "QuantizeLinear_of_y", "(5,)"),
    "codes of floats": (one("DequantizeLinear", ROW, {"s": 1.0}), "DequantizeLinear_of_y", "float"),
    "arithmetic on codes": (
        model([node("QuantizeLinear", ["x", "s"], "q"), node("Sigmoid", ["q"])], ROW, {"s": 1.0}),
        "Sigmoid_of_y", "uint8",
    ),
    "reshape does not fit": (one("Reshape", ROW, {"s": np.array([1, 5])}), "Reshape_of_y", "[1, 5]"),
    "axis out of range": (one("Softmax", ROW, axis=4), "Softmax_of_y", "axis 4"),
    "softmax over several axes": (one("Softmax", IMAGE, opset=11), "Softmax_of_y", "opset 13"),
    "argmax over samples": (one("ArgMax", ROWS, axis=0), "ArgMax_of_y", "sample axis"),
    "bits": (quant(b=2.5), "Quant_of_y", "2.5"),
    "too many bits": (quant(b=40.0), "Quant_of_y", "40"),
    "scale of 0": (quant(s=0.0), "Quant_of_y", "positive"),
    "negative scale": (quant(s=np.array([0.5, -0.5, 1.0]).reshape(1, 3, 1, 1)), "Quant_of_y", "positive"),
    "fractional zero point": (quant(z=0.5), "Quant_of_y", "0.5"),
    "zero point of a sign": (quant(z=1.0, b=1.0), "Quant_of_y", "zero point"),
    "rounding": (quant(rounding_mode="STOCHASTIC"), "Quant_of_y", "STOCHASTIC"),
    "scales along two axes": (quant(s=np.ones((3, 6, 1)) * np.arange(1, 4)[:, None, None]), "Quant_of_y", "axis"),
    "scale along the inputs": (weights_with_scale(np.arange(1.0, 7).reshape(6, 1)), "MatMul_of_y", "output channel"),
    "scales do not fit": (weights_with_scale(np.ones(5)), "Quant_of_q", "(6, 4)"),
    "threshold channels": (threshold(t=np.zeros((2, 3))), "MultiThreshold_of_y", "2 channels"),
    "threshold layout": (threshold(data_layout="NC"), "MultiThreshold_of_y", "NC"),
    "threshold scale 0": (threshold(out_scale=0.0), "MultiThreshold_of_y", "out_scale"),
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_node_is_refused_by_name(name: str, tmp_path: Path) -> None:
    proto, origin, reason = NODES[name]
    message = refusal(proto, tmp_path)
    assert f"'{origin}'" in message
    assert reason in message.split(":", 1)[1]


def test_all_unsupported_operators_are_listed(tmp_path: Path) -> None:
    nodes = [node("LRN", ["x"], "a", size=3), node("STFT", ["a"], "b"), node("Mish", ["b"], "y", "com.example")]
    message = refusal(model(nodes, ROW, opset=20), tmp_path)
    assert all(name in message for name in ("LRN", "STFT_of_b", "com.example::Mish"))


def test_unsupported_operator_that_nothing_needs_is_ignored(tmp_path: Path) -> None:
    import_model(saved(model([node("LRN", ["x"], "a"), node("Relu", ["x"])], ROW), tmp_path))


def test_subgraphs_are_refused(tmp_path: Path) -> None:
    branch = model([node("Relu", ["x"], "b")], {}, outputs=["b"]).graph
    proto = model([node("If", ["c"], then_branch=branch, else_branch=branch)], ROW, {"c": np.array(True)})
    assert "'If_of_y'" in refusal(proto, tmp_path)


def test_local_functions_are_refused(tmp_path: Path) -> None:
    proto = one("Relu", ROW)
    proto.functions.append(helper.make_function("d", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], "b")], []))
    assert "Twice" in refusal(proto, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(value: float, tmp_path: Path) -> None:
    assert "'w'" in refusal(one("MatMul", ROW, {"w": np.full((6, 2), value)}), tmp_path)


def test_two_tensors_of_one_name(tmp_path: Path) -> None:
    assert "'y'" in refusal(model([node("Relu", ["x"]), node("Abs", ["x"])], ROW), tmp_path)


def test_cycle(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["a"])]
    assert "cycle" in refusal(model(nodes, ROW), tmp_path)


def test_tensor_that_nothing_computes(tmp_path: Path) -> None:
    assert "'ghost'" in refusal(model([node("Add", ["x", "ghost"])], ROW), tmp_path)
    assert "'ghost'" in refusal(model([node("Relu", ["x"])], ROW, outputs=["y", "ghost"]), tmp_path)


def test_dynamic_dimension(tmp_path: Path) -> None:
    message = refusal(one("Relu", {"x": (1, "width")}), tmp_path)
    assert "'x'" in message and "width" in message


def test_input_without_shape(tmp_path: Path) -> None:
    proto = one("Relu", ROW)
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    assert "'x' has no shape" in refusal(proto, tmp_path)


@pytest.mark.parametrize("kind", [TensorProto.BOOL, TensorProto.STRING, TensorProto.FLOAT8E4M3FN, 99])
def test_types_of_inputs(kind: int, tmp_path: Path) -> None:
    proto = one("Relu", ROW)
    proto.graph.input[0].type.tensor_type.elem_type = kind
    assert "'x' is of type" in refusal(proto, tmp_path)


def test_empty_and_huge_inputs(tmp_path: Path) -> None:
    assert "length 0" in refusal(one("Relu", {"x": (1, 0)}), tmp_path)
    assert "elements" in refusal(one("Relu", {"x": (1, 1 << 20, 1 << 20, 1 << 30)}), tmp_path)


def test_model_without_varying_outputs(tmp_path: Path) -> None:
    proto = model([node("Relu", ["x"], "r"), node("Abs", ["c"])], ROW, {"c": np.ones(2)})
    assert "no output" in refusal(proto, tmp_path)


@pytest.mark.parametrize("opset", [6, 99])
def test_opset_out_of_range(opset: int, tmp_path: Path) -> None:
    assert f"opset {opset}" in refusal(one("Relu", ROW, opset=opset), tmp_path)
