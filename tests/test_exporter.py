"""Graph -> ONNX: import(export(g)) computes what g does, and so does a runtime that this project did not write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from codesign.compress.step import rounded
from codesign.errors import UserError
from codesign.exporter import export_model, model_of
from codesign.formats import Binary, Int
from codesign.graph import Constant, Dequantize, Graph, Input, Node, TensorType
from codesign.importer import import_model
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add
from codesign.ops.matmul import MatMul
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.quantize import is_quantized
from tests.models import Model
from tests.onnx_node_cases import cases, graph_of

AT_LEAST = 0.9  # of the operators' node tests that the importer takes
FLOAT_MODELS = (
    "mnist/mnist-8", "kws/kws_dscnn_float", "cifar10/ic_residual_float", "cifar10/squeezenet_cifar10",
    "hls4ml/conv1d_small_keras", "qonnx/residual_block_clean", "qonnx/bsd300x3-espcn/subpixel/float_model",
)  # fmt: skip
PARTS = ("gelu", "hard_swish")  # written as several operators, with constants that float32 rounds
QUANTIZED_MODELS = ("mnist/TFC_2W2A", "jets/qkeras_jettagging", "kws/kws_dscnn_int8_qdq")


def feeds_of(graph: Graph, samples: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {i.name: rng.normal(size=(samples, *i.type.shape)).astype(np.float32) for i in graph.inputs}


def check(graph: Graph, folder: Path, feeds: dict[str, np.ndarray] | None = None) -> onnx.ModelProto:
    """Exactly the same numbers after export and import; the same up to float32 in onnxruntime where it is plain."""
    graph, path = rounded(graph), folder / "exported.onnx"
    size = export_model(graph, path)
    assert path.stat().st_size == size
    feeds = feeds_of(graph) if feeds is None else feeds
    wanted, again = graph.run(feeds), import_model(path).graph
    got = again.run(feeds)
    made_of_parts = any(isinstance(n.op, Unary) and n.op.function in PARTS for n in graph.nodes)
    for name in graph.outputs:
        np.testing.assert_allclose(got[name], wanted[name], rtol=0, atol=1e-6 if made_of_parts else 0)
    proto = onnx.load(path)
    if not any(n.domain for n in proto.graph.node):
        onnx.checker.check_model(proto, full_check=True)
        results = onnxruntime.InferenceSession(str(path)).run(list(graph.outputs), feeds)
        for name, result in zip(graph.outputs, results, strict=True):
            np.testing.assert_allclose(result, wanted[name], rtol=1e-4, atol=1e-5 * np.abs(wanted[name]).max())
    return proto


@pytest.mark.parametrize("name", FLOAT_MODELS + QUANTIZED_MODELS)
def test_networks_by_others(shared_data, tmp_path, name):
    graph = import_model(shared_data / f"models/{name}.onnx").graph
    proto = check(graph, tmp_path)
    assert any(n.domain for n in proto.graph.node) == is_quantized(graph)


def test_layers_keep_their_names_and_biases_their_place(shared_data, tmp_path):
    graph = import_model(shared_data / "models/kws/kws_dscnn_float.onnx").graph
    proto = check(graph, tmp_path)
    kinds = [n.op_type for n in proto.graph.node]
    assert "Transpose" not in kinds and "Pad" not in kinds and "Add" not in kinds
    again = import_model(tmp_path / "exported.onnx").graph
    named = [[n.origin for n in g.nodes if isinstance(n.op, Conv)] for g in (graph, again)]
    assert named[0] == named[1]


@pytest.mark.slow
def test_operators_by_the_node_tests_of_onnx(tmp_path):
    """What the importer takes, the exporter writes: all but a few, which it refuses by name."""
    counts = {"same": 0, "refused": 0}
    for case in cases():
        found = graph_of(case, tmp_path)
        if found is None or is_quantized(found[0]):
            continue
        try:
            check(found[0], tmp_path, found[1])
            counts["same"] += 1
        except UserError as e:
            assert "form in ONNX" in str(e)
            counts["refused"] += 1
    print(f"exported: {counts}")
    assert counts["same"] > 150 and counts["same"] >= AT_LEAST * sum(counts.values())


def weighted(kind: TensorType, codes: Any) -> Graph:
    """A convolution of integer weights (3, 3, 2, 4) times a scale."""
    nodes = (
        Node("codes", Constant(kind, codes)),
        Node("w", Dequantize(), ("codes",)),
        Node("c", Conv(), ("x", "w"), "conv"),
        Node("b", Constant.real(np.arange(4) / 8)),
        Node("y", Add(), ("c", "b"), "conv"),
    )
    return Graph((Input("x", TensorType((5, 6, 2))),), nodes, ("y",))


@pytest.mark.parametrize("fmt", [Binary(), Int(-1, 1), Int(-7, 7), Int(-3, 9), Int(0, 13), Int(-448 * 512, 448 * 512)])
@pytest.mark.parametrize("channels", [1, 4])
def test_integer_weights_travel_exactly(tmp_path, fmt, channels):
    rng = np.random.default_rng(3)
    codes = rng.choice([-1, 1], (3, 3, 2, 4)) if fmt == Binary() else rng.integers(fmt.lo, fmt.hi + 1, (3, 3, 2, 4))
    scale = tuple(map(float, rng.uniform(0.01, 3, channels).astype(np.float32)))
    graph = weighted(TensorType((3, 3, 2, 4), fmt, scale), codes)
    check(graph, tmp_path)
    stored = [n for n in import_model(tmp_path / "exported.onnx").graph.nodes if n.op.__class__ is Constant]
    found = next(n.op for n in stored if isinstance(n.op, Constant) and n.op.type.is_integer)
    np.testing.assert_array_equal(found.value, codes)
    assert found.type.scale == scale


def test_an_operator_without_a_form_in_onnx_is_named(shared_data):
    nodes = (Node("y", Threshold(np.zeros((1, 1)), Int(0, 1), np.zeros(1), np.ones(1)), ("x",), "stairs"),)
    with pytest.raises(UserError, match=r"'stairs'.*Threshold"):
        model_of(Graph((Input("x", TensorType((4,))),), nodes, ("y",)))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    graph = Graph((Input("x", TensorType((4,))),), (Node("y", Unary("relu"), ("x",)),), ("y",))
    with pytest.raises(UserError, match="cannot write"):
        export_model(graph, tmp_path / "missing" / "y.onnx")


def test_two_convolutions_may_share_padding(tmp_path):
    m = Model(1, 2, 6, 6)
    padded = m.add("Pad", "x", m.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    one, two = (m.add("Conv", padded, m.constant(np.ones((3, 2, 3, 3)))) for _ in range(2))
    graph = import_model(m.save(tmp_path / "m.onnx", m.add("Concat", one, two, axis=1))).graph
    assert [n.op_type for n in check(graph, tmp_path).graph.node] == ["Conv", "Conv", "Concat", "Identity"]


@pytest.mark.parametrize("storage", ["csr", "csr+huffman", "huffman", "circulant(3)", "pow2(4)", "bfp(4, block=2)"])
@pytest.mark.parametrize("defect", ["short", "missing", "shape", "storage"])
def test_damaged_weights_are_refused(tmp_path, storage, defect):
    value = np.tile([[1.0, -2.0, 4.0]], (6, 1)) if storage == "pow2(4)" else np.diag([1.0, 2.0, 3.0])
    kind = TensorType(value.shape, Int(-7, 7))
    nodes = (
        Node("codes", Constant(kind, value, storage)),
        Node("w", Dequantize(), ("codes",)),
        Node("y", MatMul(), ("x", "w"), "fc"),
    )
    proto = model_of(Graph((Input("x", TensorType((len(value),))),), nodes, ("y",)))
    node = next(n for n in proto.graph.node if n.op_type == "Weights")
    if defect == "short":
        tensor = next(t for t in proto.graph.initializer if t.name == node.input[0])
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:0], tensor.name))
    elif defect == "missing":
        del node.input[-1]
    else:
        attribute = next(a for a in node.attribute if a.name == defect)
        attribute.CopyFrom(helper.make_attribute(defect, [0, 3] if defect == "shape" else "zip"))
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(UserError, match="Weights"):
        import_model(tmp_path / "m.onnx")
