"""How imported graphs are laid out: channels last, integer weights, folded constants, names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from codesign.formats import Binary, Int
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.ops.layout import Transpose
from codesign.ops.quantize import Quantize
from tests.onnx_models import IMAGE, ROW, check, constants, model, node, saved, tensor
from tests.onnx_models import weights as w
from tests.operator_functions import BATCH_NORM
from tests.operator_quantizers import quant


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
    value = tensor(1.0, 2.0)
    nodes = [
        node("Constant", [], "c", value=value),
        node("ConstantOfShape", ["n"], "k", value=tensor(3.0)),
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


def test_inputs_of_two_shapes(tmp_path: Path) -> None:
    nodes = [node("Add", ["a", "b"], "y"), node("Mul", ["a", "b"], "z")]
    check(model(nodes, {"a": (1, 3, 4, 4), "b": (1, 3, 1, 1)}, outputs=["y", "z"]), tmp_path)


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
