"""Every operator of the importer's table against the qonnx package or onnxruntime with graph optimizations off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from codesign.formats import Binary, Int
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.importer.handlers import ROWS
from codesign.ops.layout import Transpose
from codesign.ops.quantize import Quantize
from tests.onnx_models import model, node, reference, saved

RNG = np.random.default_rng(7)
QONNX, BREVITAS, FINN = "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"
IMAGE = {"x": (1, 3, 6, 5)}
ROW = {"x": (1, 6)}


def w(*shape: int) -> np.ndarray:
    """Random multiples of 1/8, so that float32 sums are exact."""
    return RNG.integers(-8, 9, shape) / 8


def simple(op: str, shape: dict[str, tuple[int, ...]] = IMAGE, opset: int = 13, **attributes: Any):
    """One node with one input."""
    return model([node(op, ["x"], **attributes)], shape, opset=opset)


def constants(op: str, shape: dict[str, tuple[int, ...]], opset: int = 13, attributes=None, **values: Any):
    """One node whose further inputs are constants."""
    names = ["x", *values]
    return model([node(op, names, **(attributes or {}))], shape, values, opset=opset)


def quant(inputs: tuple[str, ...] = ("x", "s", "z", "b"), domain: str = QONNX, output: str = "y", **attributes: Any):
    full = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    return node("Quant", inputs, output, domain, **full)


def quantizer(scale: Any = 0.25, zero: Any = 0.0, bits: Any = 4.0, shape=IMAGE, domain: str = QONNX, **attributes: Any):
    return model([quant(domain=domain, **attributes)], shape, {"s": scale, "z": zero, "b": bits})


def trunc(version: int, **attributes: Any):
    values = {"s": 0.125, "z": 0.0, "b": 8.0, "so": 0.5, "bo": 5.0}
    if version == 1:
        del values["so"]
    front = node("Quant", ["x", "s", "z", "b"], "q", QONNX, signed=1, narrow=0, rounding_mode="ROUND")
    proto = model([front, node("Trunc", ["q", *values], "y", QONNX, **attributes)], IMAGE, values)
    proto.opset_import[1].version = version
    return proto


def threshold(shape, values: np.ndarray, domain: str = FINN, **attributes: Any):
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


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, tmp_path: Path) -> None:
    check(CASES[name], tmp_path)


def check(proto: Any, folder: Path, samples: int = 4) -> Graph:
    """Import, run on random samples, compare with the reference."""
    graph = import_model(saved(proto, folder)).graph
    feeds = {i.name: RNG.standard_normal((samples, *i.type.shape)) for i in graph.inputs}
    feeds = {k: np.round(v * 16) / 16 for k, v in feeds.items()}  # exact in float32; many ties
    results = graph.run(feeds)
    for name, expected in zip(graph.outputs, reference(proto, feeds), strict=True):
        assert results[name].shape == expected.shape
        np.testing.assert_allclose(results[name], expected, rtol=1e-5, atol=1e-5)
    return graph


def test_every_row_has_a_case() -> None:
    tested = {name.split()[0] for name in CASES} | {"TopK"}
    assert tested == set(ROWS)


def test_top_k(tmp_path: Path) -> None:
    proto = model([node("TopK", ["x", "k"], "v")], ROW, {"k": np.array([1])}, outputs=["i"])
    proto.graph.node[0].output.append("i")
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    check(proto, tmp_path)


def test_channels_last_domain(tmp_path: Path) -> None:
    """Conv and MaxPool of qonnx's channels-last domain: no transposition at all."""
    last = "qonnx.custom_op.channels_last"
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1]}
    nodes = [
        node("Conv", ["x", "w", "c"], "h", last, group=1, **window),
        node("MaxPool", ["h"], "y", last, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0]),
    ]
    proto = model(nodes, {"x": (1, 6, 4, 3)}, {"w": w(4, 3, 3, 3), "c": w(4)})
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("h", 1, [1, 6, 4, 4]))
    graph = check(proto, tmp_path)
    assert not transposes(graph)


def test_keras_transposes_cancel(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], "a", perm=[0, 3, 1, 2]),
        node("Conv", ["a", "w"], "b", pads=[1, 1, 1, 1]),
        node("Transpose", ["b"], "y", perm=[0, 2, 3, 1]),
    ]
    graph = check(model(nodes, {"x": (1, 6, 5, 3)}, {"w": w(4, 3, 3, 3)}), tmp_path)
    assert not transposes(graph)


def test_transposition_of_an_image_comes_first(tmp_path: Path) -> None:
    """Elementwise operators before a convolution work on the channels-last image."""
    nodes = [node("Relu", ["x"], "a"), node("Mul", ["a", "c"], "b"), node("Conv", ["b", "w"])]
    graph = check(model(nodes, IMAGE, {"w": w(4, 3, 3, 3), "c": w(3, 1, 1)}), tmp_path)
    assert isinstance(graph.nodes[0].op, Transpose)
    assert len(transposes(graph)) == 2  # and back to the output's axes


def transposes(graph: Graph) -> list[str]:
    return [n.name for n in graph.nodes if isinstance(n.op, Transpose)]


def test_squeezed_batch_norm_needs_no_layout_node(tmp_path: Path) -> None:
    nodes = [
        node("Unsqueeze", ["x", "a"], "u"),
        node("BatchNormalization", ["u", *BATCH_NORM], "n"),
        node("Squeeze", ["n", "a"]),
    ]
    graph = check(model(nodes, {"x": (1, 3)}, {"a": np.array([2]), **BATCH_NORM}), tmp_path)
    assert [type(n.op).__name__ for n in graph.nodes if n.inputs] == ["Mul", "Add"]


def weights_model(op: str, scale: Any, shape: tuple[int, ...], moved: list[Any], bits: float = 4.0):
    """Quantized weights, moved by constant operators, then used."""
    nodes = [quant(("w", "s", "z", "b"), output="q"), *moved]
    values = {"w": w(*shape), "s": scale, "z": 0.0, "b": bits}
    inputs = IMAGE if op == "Conv" else ROW
    return model([*nodes, node(op, ["x", "m"])], inputs, values)


@pytest.mark.parametrize("scale", [0.25, np.array([[0.25], [0.5], [1.0], [0.125]])])
def test_quantized_weights_stay_integers(scale: Any, tmp_path: Path) -> None:
    moved = [node("Transpose", ["q"], "m", perm=[1, 0])]
    graph = check(weights_model("MatMul", scale, (4, 6), moved), tmp_path)
    kinds = [t for t in graph.types.values() if t.is_integer]
    assert [k.format for k in kinds] == [Int(-8, 7)]
    assert kinds[0].scale == tuple(np.ravel(scale))


def test_quantized_weights_keep_their_integers_through_a_product(tmp_path: Path) -> None:
    moved = [node("Mul", ["q", "f"], "m")]
    proto = weights_model("Conv", np.array([0.25, 0.5]).reshape(2, 1, 1, 1), (2, 3, 3, 3), moved)
    proto.graph.initializer.append(model([], {}, {"f": np.array(3.0)}).graph.initializer[0])
    graph = check(proto, tmp_path)
    assert [t.scale for t in graph.types.values() if t.is_integer] == [(0.75, 1.5)]


def test_one_bit_weights_are_binary(tmp_path: Path) -> None:
    graph = check(weights_model("MatMul", 0.5, (6, 4), [node("Identity", ["q"], "m")], bits=1.0), tmp_path)
    assert [t.format for t in graph.types.values() if t.is_integer] == [Binary()]


def test_quantized_bias_is_its_real_value(tmp_path: Path) -> None:
    nodes = [quant(("c", "s", "z", "b"), output="q"), node("Gemm", ["x", "w", "q"])]
    check(model(nodes, ROW, {"c": w(4), "s": 0.25, "z": 0.0, "b": 4.0, "w": w(6, 4)}), tmp_path)


def test_shape_arithmetic_is_folded(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], "s"),
        node("Gather", ["s", "zero"], "g", axis=0),
        node("Unsqueeze", ["g", "axes"], "u"),
        node("Concat", ["u", "rest"], "t", axis=0),
        node("Reshape", ["x", "t"]),
    ]
    values = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])}
    graph = check(model(nodes, IMAGE, values), tmp_path)
    assert [type(n.op).__name__ for n in graph.nodes] == ["Reshape"]


def test_constants_are_folded_in_double_precision(tmp_path: Path) -> None:
    nodes = [node("Pow", ["v", "half"], "r"), node("Div", ["x", "r"])]
    graph = import_model(saved(model(nodes, ROW, {"v": np.array([2.0]), "half": np.array(0.5)}), tmp_path)).graph
    assert next(iter(graph.constants.values())) == np.sqrt(2.0)


def test_constant_nodes(tmp_path: Path) -> None:
    value = onnx.numpy_helper.from_array(np.float32([1.0, 2.0]))
    nodes = [
        node("Constant", [], "c", value=value),
        node("ConstantOfShape", ["n"], "k", value=onnx.numpy_helper.from_array(np.float32([3.0]))),
        node("Add", ["x", "c"], "a"),
        node("Mul", ["a", "k"]),
    ]
    check(model(nodes, {"x": (1, 2)}, {"n": np.array([2])}), tmp_path)


def test_constant_outputs_are_dropped_with_a_note(tmp_path: Path) -> None:
    proto = model([node("Relu", ["x"]), node("Log", ["c"], "k")], ROW, {"c": np.array(2.0)}, outputs=["y", "k"])
    imported = import_model(saved(proto, tmp_path))
    assert imported.graph.outputs == ("y",)
    assert imported.notes == ("output 'k' is constant and was dropped",)


def test_several_outputs_and_inputs(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "z"], "a"), node("Conv", ["a", "w"], "y"), node("Identity", ["a"], "b")]
    proto = model(nodes, {"x": (1, 3, 4, 4), "z": (1, 3, 4, 4)}, {"w": w(2, 3, 2, 2)}, outputs=["y", "a", "b"])
    assert check(proto, tmp_path).outputs == ("y", "a", "b")


def test_output_that_is_an_input(tmp_path: Path) -> None:
    proto = model([node("Identity", ["x"]), node("Relu", ["x"], "r")], ROW, outputs=["y", "r"])
    check(proto, tmp_path)


def test_dynamic_and_fixed_batches(tmp_path: Path) -> None:
    """The sample axis is no part of the graph, whatever its length."""
    nodes = [node("Reshape", ["x", "s"], "f"), node("MatMul", ["f", "w"])]
    graphs = []
    for batch, target in (("N", [-1, 12]), (1, [1, 12]), (5, [5, 12]), (5, [-1, 12]), (5, [0, 12])):
        proto = model(nodes, {"x": (batch, 3, 4)}, {"s": np.array(target), "w": np.ones((12, 2))})
        graphs.append(str(import_model(saved(proto, tmp_path)).graph))
    assert len(set(graphs)) == 1


def test_initializers_listed_as_inputs_are_constants(tmp_path: Path) -> None:
    proto = constants("Add", ROW, c=w(6))
    proto.graph.input.append(onnx.helper.make_tensor_value_info("c", 1, [6]))
    assert [i.name for i in check(proto, tmp_path).inputs] == ["x"]


def test_nodes_know_their_origin(tmp_path: Path) -> None:
    proto = model(
        [
            quant(),
        ],
        IMAGE,
        {"s": 0.25, "z": 0.0, "b": 4.0},
    )
    proto.graph.node[0].name = ""
    graph = import_model(saved(proto, tmp_path)).graph
    assert {n.origin for n in graph.nodes} == {"Quant:y"}
    assert isinstance(graph.nodes[0].op, Quantize)


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21, 24])
def test_opsets(opset: int, tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], "c"),
        node("Relu", ["c"], "r"),
        node("Flatten", ["r"], "f"),
        node("Softmax", ["f"]),
    ]
    check(model(nodes, IMAGE, {"w": w(2, 3, 2, 2)}, opset=opset), tmp_path, samples=2)
