"""QDQ and QOperator models: QuantizeLinear, DequantizeLinear, the QLinear operators, integers as inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from codesign.formats import Int, MiniFloat
from codesign.graph import Constant, Graph
from codesign.importer import import_model
from codesign.importer.handlers import HANDLED, ROWS
from codesign.ops.quantize import Quantize
from tests.onnx_models import node, saved

RNG = np.random.default_rng(5)
MICROSOFT = "com.microsoft"
LSB_OF_A_TIE = 1e-4  # float32 sums of some hundred steps


def typed(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[type, tuple[int, ...]]],
    constants: Mapping[str, np.ndarray],
    output: type,
    opset: int = 21,
) -> onnx.ModelProto:
    """A model whose inputs and constants have the types given."""
    infos = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(np.dtype(t)), s)
        for k, (t, s) in inputs.items()
    ]
    result = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(output)), None)
    values = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(
        helper.make_graph(nodes, "t", infos, [result], values), opset_imports=opsets, ir_version=10
    )


def onnxruntime_result(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return np.asarray(onnxruntime.InferenceSession(proto.SerializeToString(), options).run(["y"], dict(feeds))[0])


def check(proto: onnx.ModelProto, folder: Path, steps: float = 0.0) -> Graph:
    """Equal to onnxruntime on random inputs of the right types; `steps`: how far a few (ties) may be off."""
    graph = import_model(saved(proto, folder)).graph
    feeds = {}
    for info in proto.graph.input:
        kind = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        small = np.round(RNG.standard_normal(shape) * 24) / 8  # many ties
        feeds[info.name] = (small if kind.kind == "f" else RNG.integers(*_limits(kind), shape, endpoint=True)).astype(
            kind
        )
    expected = onnxruntime_result(proto, feeds)
    found = graph.run({k: v.astype(np.float32) for k, v in feeds.items()})["y"]
    assert found.shape == expected.shape
    off = np.abs(found - expected.astype(np.float64))
    assert off.max() <= max(steps, 1e-5) and (off > 1e-5).mean() <= 0.02
    return graph


def _limits(kind: np.dtype) -> tuple[int, int]:
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


IMAGE = {"x": (np.float32, (1, 3, 6, 5))}
F = np.float32


def qdq(kind: type, zero: Any, scale: Any = 0.25, attributes: dict[str, Any] | None = None, opset: int = 21):
    """QuantizeLinear and DequantizeLinear."""
    pair = [node(op, [i, "s", "z"], o, **(attributes or {})) for op, i, o in
            (("QuantizeLinear", "x", "q"), ("DequantizeLinear", "q", "y"))]  # fmt: skip
    return typed(pair, IMAGE, {"s": np.asarray(scale, dtype=F), "z": np.asarray(zero, dtype=kind)}, F, opset)


@pytest.mark.parametrize("zero", [0, 3, 100])
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16])
def test_quantize_and_dequantize(kind: type, zero: int, tmp_path: Path) -> None:
    graph = check(qdq(kind, zero), tmp_path)
    (op,) = [n.op for n in graph.nodes if isinstance(n.op, Quantize)]
    assert op.format == Int.of(np.dtype(kind).itemsize * 8, np.dtype(kind).kind == "i") and op.zero_point == (zero,)
    assert [type(n.op).__name__ for n in graph.nodes] == ["Reshape", "Quantize", "Dequantize"][-2:]


@pytest.mark.parametrize("axis", [1, -3, 3])
def test_per_axis(axis: int, tmp_path: Path) -> None:
    channels = (1, 3, 6, 5)[axis]
    scales, zeros = F(2.0) ** -np.arange(1, channels + 1, dtype=F), np.arange(channels)
    check(qdq(np.int8, zeros, scales, {"axis": axis}), tmp_path)


def test_zero_point_is_added_after_rounding(tmp_path: Path) -> None:
    """0.5 steps and an odd zero point: round(0.5) + 1 = 1, not round(1.5) = 2."""
    graph = import_model(saved(qdq(np.int8, 1, F(1.0)), tmp_path)).graph
    x = np.full((1, 3, 6, 5), 0.5)
    assert graph.run({"x": x})["y"].ravel()[0] == 0.0


def test_default_type_is_uint8(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", ["x", "s"])]
    graph = check(typed(nodes, IMAGE, {"s": np.array(0.125, F)}, np.uint8), tmp_path)
    assert Int.of(8, False) in [t.format for t in graph.types.values()]


def test_stated_type(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", ["x", "s"], output_dtype=TensorProto.INT16)]
    check(typed(nodes, IMAGE, {"s": np.array(0.125, F)}, np.int16), tmp_path)


def weighted(weights: dict[str, np.ndarray], ops: list[onnx.NodeProto], opset: int = 21) -> onnx.ModelProto:
    """x behind a quantizer, times weights "w" that `ops` make."""
    front = [node("QuantizeLinear", ["x", "xs", "xz"], "xq"), node("DequantizeLinear", ["xq", "xs", "xz"], "xd")]
    values = {"xs": np.array(0.25, F), "xz": np.array(7, np.uint8), **weights}
    return typed([*front, *ops, node("MatMul", ["xd", "w"])], {"x": (F, (1, 6))}, values, F, opset)


INTEGERS = RNG.integers(-128, 128, (6, 4)).astype(np.int8)


@pytest.mark.parametrize("zero", [0, 5])
def test_stored_weights(zero: int, tmp_path: Path) -> None:
    scales = {"ws": F(2.0) ** -np.arange(4, 8, dtype=F), "wz": np.full(4, zero, np.int8)}
    graph = check(
        weighted({"wq": INTEGERS, **scales}, [node("DequantizeLinear", ["wq", "ws", "wz"], "w", axis=-1)]), tmp_path
    )
    (kept,) = [n.op for n in graph.nodes if isinstance(n.op, Constant)]
    np.testing.assert_array_equal(kept.value, INTEGERS)
    assert kept.type.format == Int.of(8, True) and set(kept.type.zero_point) == {zero}


def test_float_weights_behind_quantizers(tmp_path: Path) -> None:
    ops = [
        node("QuantizeLinear", ["wf", "ws", "wz"], "wq"),
        node("Clip", ["wq", "low", "high"], "wc"),
        node("DequantizeLinear", ["wc", "ws", "wz"], "w"),
    ]
    values = {"wf": RNG.standard_normal((6, 4)).astype(F), "ws": np.array(0.125, F), "wz": np.array(0, np.int8)}
    bounds = {"low": np.array(-7, np.int8), "high": np.array(7, np.int8)}
    graph = check(weighted({**values, **bounds}, ops), tmp_path)
    (kept,) = [n.op for n in graph.nodes if isinstance(n.op, Constant)]
    assert kept.type.format == Int.of(4, True)


def test_four_bit_weights(tmp_path: Path) -> None:
    tensor = helper.make_tensor("wq", TensorProto.INT4, (6, 4), RNG.integers(-8, 8, 24).tolist())
    proto = weighted({"ws": np.array(0.125, F)}, [node("DequantizeLinear", ["wq", "ws"], "w")])
    proto.graph.initializer.append(tensor)
    graph = check(proto, tmp_path)
    assert Int.of(4, True) in [t.format for t in graph.types.values()]


def test_blocks_of_weights(tmp_path: Path) -> None:
    scales = (F(2.0) ** -RNG.integers(3, 8, (3, 4))).astype(F)
    ops = [node("DequantizeLinear", ["wq", "ws"], "w", axis=0, block_size=2), node("Relu", ["xd"], "r")]
    proto = weighted({"wq": INTEGERS, "ws": scales}, ops)
    proto.graph.node[-1].input[0] = "r"
    # scales within a column differ: only as real weights, by an operation that ends their being integers
    ops.append(node("Add", ["w", "zero"], "wr"))
    proto.graph.node[-1].input[1] = "wr"
    proto.graph.node.insert(len(proto.graph.node) - 1, ops[-1])
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros((1,), F), "zero"))
    check(proto, tmp_path)


def test_biases_are_real_constants(tmp_path: Path) -> None:
    ops = [node("DequantizeLinear", ["wq", "ws"], "w"), node("DequantizeLinear", ["bq", "bs"], "b")]
    values = {"wq": INTEGERS, "ws": np.array(0.25, F), "bq": np.array([9, -3, 1 << 20, 0], np.int32)}
    proto = weighted({**values, "bs": np.array(0.0625, F)}, ops)
    proto.graph.node[-1].output[0] = "m"
    proto.graph.node.append(node("Add", ["m", "b"]))
    graph = check(proto, tmp_path)
    reals = [n.op.value for n in graph.nodes if isinstance(n.op, Constant) and not n.op.type.is_integer]
    assert [9 * 0.0625, -3 * 0.0625, (1 << 20) * 0.0625, 0.0] in [v.tolist() for v in reals]


def test_codes_are_moved_and_given_out(tmp_path: Path) -> None:
    """Pooling, transposition and reshaping of uint8 codes, which are also the result."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "q"),
        node("MaxPool", ["q"], "m", kernel_shape=[2, 2]),
        node("Transpose", ["m"], "t", perm=[0, 2, 3, 1]),
        node("Flatten", ["t"]),
    ]
    check(typed(nodes, IMAGE, {"s": np.array(0.25, F), "z": np.array(9, np.uint8)}, np.uint8), tmp_path)


def test_padding_and_joining_of_codes(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "q"),
        node("Pad", ["q", "p", "v"], "a"),
        node("Concat", ["a", "a"], "b", axis=1),
        node("DequantizeLinear", ["b", "s", "z"]),
    ]
    pads = {"p": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "v": np.array(5, np.uint8)}
    check(typed(nodes, IMAGE, {"s": np.array(0.25, F), "z": np.array(9, np.uint8), **pads}, F), tmp_path)


def parameters(scale: float, zero: int, kind: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    return np.array(scale, F), np.array(zero, kind)


def q_linear(
    op: str, x: tuple[int, ...], values: dict[str, Any], names: list[str], domain: str = "", output: type = np.uint8,
    **attributes: Any,
):  # fmt: skip
    """An operator whose first input x and result are uint8."""
    xs, xz = parameters(0.25, 120)
    ys, yz = parameters(1.0, 101)
    made = {"xs": xs, "xz": xz, "ys": ys, "yz": yz, **{k: np.asarray(v) for k, v in values.items()}}
    kept = {k: v for k, v in made.items() if k in names}
    return typed([node(op, names, "y", domain, **attributes)], {"x": (np.uint8, x)}, kept, output)


WEIGHTS = {"w": RNG.integers(-8, 8, (4, 3, 3, 3)).astype(np.int8), "ws": F(2.0) ** -np.arange(4, 8, dtype=F)}
COLUMNS = {"w": RNG.integers(-20, 20, (6, 4)).astype(np.int8), "ws": np.array(0.125, F), "wz": np.array(2, np.int8)}
X, Y = ["x", "xs", "xz"], ["ys", "yz"]
UNEVEN = {"ys": F(0.77)}  # onnxruntime adds the zero point before rounding here: no ties, please
Q_LINEAR: dict[str, Any] = {
    "QLinearConv": q_linear(
        "QLinearConv",
        (1, 3, 6, 5),
        {**WEIGHTS, "wz": np.zeros(4, np.int8), "b": np.array([5, -9, 100, 0], np.int32)},
        [*X, "w", "ws", "wz", *Y, "b"],
        pads=[1, 1, 1, 1],
    ),
    "QLinearMatMul": q_linear("QLinearMatMul", (1, 6), COLUMNS, [*X, "w", "ws", "wz", *Y]),
    "ConvInteger": q_linear("ConvInteger", (1, 3, 6, 5), WEIGHTS, ["x", "w", "xz"], output=np.int32, pads=[0, 1, 1, 1]),
    "MatMulInteger": q_linear("MatMulInteger", (1, 6), COLUMNS, ["x", "w", "xz", "wz"], output=np.int32),
    "QGemm": q_linear(
        "QGemm",
        (1, 6),
        {**COLUMNS, "c": np.array([1, -2, 30, 4], np.int32)},
        [*X, "w", "ws", "wz", "c", *Y],
        domain=MICROSOFT,
    ),
    "QGemm real": q_linear(
        "QGemm",
        (1, 6),
        {**COLUMNS, "w": COLUMNS["w"].T.copy()},
        [*X, "w", "ws", "wz"],
        output=F,
        transB=1,
        domain=MICROSOFT,
    ),
    "QLinearAdd": q_linear("QLinearAdd", (1, 6), UNEVEN, [*X, *X, *Y], domain=MICROSOFT),
    "QLinearMul": q_linear(
        "QLinearMul",
        (1, 6),
        {"w": np.arange(6, dtype=np.uint8), "ws": F(0.25), "wz": np.uint8(2), **UNEVEN},
        [*X, "w", "ws", "wz", *Y],
        domain=MICROSOFT,
    ),
    "QLinearConcat": q_linear("QLinearConcat", (1, 6), {}, [*Y, *X, *X], axis=1, domain=MICROSOFT),
    "QLinearGlobalAveragePool": q_linear(
        "QLinearGlobalAveragePool", (1, 3, 6, 5), {}, [*X, *Y], channels_last=0, domain=MICROSOFT
    ),
    "QLinearGlobalAveragePool last": q_linear(
        "QLinearGlobalAveragePool", (1, 6, 5, 3), {}, [*X, *Y], channels_last=1, domain=MICROSOFT
    ),
    "QLinearAveragePool": q_linear(
        "QLinearAveragePool", (1, 3, 6, 4), UNEVEN, [*X, *Y], kernel_shape=[2, 2], domain=MICROSOFT
    ),
    "QLinearLeakyRelu": q_linear("QLinearLeakyRelu", (1, 6), {}, [*X, *Y], alpha=0.125, domain=MICROSOFT),
    "QLinearSigmoid": q_linear("QLinearSigmoid", (1, 6), {"ys": F(1 / 128)}, [*X, *Y], domain=MICROSOFT),
}


@pytest.mark.parametrize("name", Q_LINEAR)
def test_integer_operators(name: str, tmp_path: Path) -> None:
    for _ in range(5):
        check(Q_LINEAR[name], tmp_path, steps=1.0)


def test_every_operator_on_integers_has_a_case() -> None:
    others = {"QuantizeLinear", "DequantizeLinear", "Pow", "Clip", "Cast"}
    assert {n.split()[0] for n in Q_LINEAR} | others == {n for n, r in ROWS.items() if r.integers == HANDLED}


def test_integer_input_and_sums(tmp_path: Path) -> None:
    """uint8 pixels, cast and scaled; int8 sums that overflow."""
    cast = [node("Cast", ["x"], "f", to=TensorProto.FLOAT), node("Mul", ["f", "s"])]
    check(typed(cast, {"x": (np.uint8, (1, 6))}, {"s": np.array(0.5, F)}, F), tmp_path)
    check(typed([node("Add", ["x", "x"])], {"x": (np.int8, (1, 50))}, {}, np.int8), tmp_path)
    check(typed([node("Max", ["x", "c"])], {"x": (np.int8, (1, 6))}, {"c": np.array(3, np.int8)}, np.int8), tmp_path)


def test_two_inputs_and_two_outputs(tmp_path: Path) -> None:
    nodes = [node("Add", ["a", "b"], "y"), node("Mul", ["a", "b"], "z")]
    proto = typed(nodes, {"a": (F, (1, 3, 4, 4)), "b": (F, (1, 3, 1, 1))}, {}, F)
    proto.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    graph = import_model(saved(proto, tmp_path)).graph
    a, b = RNG.standard_normal((2, 3, 4, 4)), RNG.standard_normal((2, 3, 1, 1))
    results = graph.run({"a": a, "b": b})
    np.testing.assert_allclose(results["y"], a + b)
    np.testing.assert_allclose(results["z"], a * b)


@given(st.integers(1, 5), st.integers(0, 6), st.integers(-3, 12), st.integers(0, (1 << 12) - 1))
def test_small_floats(exponent: int, mantissa: int, bias: int, raw: int) -> None:
    """Codes and integers are one to one (but for two zeros), and in order."""
    fmt = MiniFloat(exponent, mantissa, bias)
    code = np.array([raw % (1 << fmt.bits)], dtype=np.uint64)
    value = fmt.to_int(code)
    assert fmt.lo <= value[0] <= fmt.hi and fmt.contains(value)
    assert fmt.to_int(fmt.encode(value)) == value and (value == 0 or fmt.encode(value) == code)
    size = int(code[0]) & ((1 << (fmt.bits - 1)) - 1)
    by_definition = (size % 2**mantissa + 2**mantissa * (size >> mantissa > 0)) * 2.0 ** max((size >> mantissa) - 1, 0)
    assert abs(value[0]) == by_definition


def test_a_small_float_by_its_table() -> None:
    """float8 e4m3 of the OCP: smallest 2**-9, largest 448."""
    fmt = MiniFloat(4, 3, 7, 448.0)
    assert (fmt.bits, fmt.frac, fmt.largest, fmt.hi) == (8, 9, 448.0, 448 * 512)
    assert fmt.encode(np.array([448 * 512, 1 << 30])).tolist() == [0x7E, 0x7E]
    assert fmt.encode(np.array([512, -512, 1])).tolist() == [0x38, 0xB8, 1]


# Whole networks


def first_differences(path: Path, samples: np.ndarray, expected: np.ndarray) -> list[tuple[int, str, float]]:
    """For every sample that differs from `expected`: the first quantizer, and how far from a tie it rounds (LSB)."""
    proto = onnx.load(path)
    graph = import_model(path).graph
    source, result = graph.inputs[0].name, graph.outputs[0]
    found = np.concatenate(
        [graph.run({source: p})[result] for p in np.array_split(samples, max(len(samples) // 50, 1))]
    )
    names = [n.output[0] for n in proto.graph.node if n.op_type == "QuantizeLinear"]
    proto.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    differing = np.nonzero((np.abs(found - expected) > 1e-3).any(axis=1))[0]
    return [(int(k), *_first(graph, session, names, source, samples[k : k + 1])) for k in differing]


def _first(graph: Graph, session: Any, names: list[str], source: str, x: np.ndarray) -> tuple[str, float]:
    wanted = dict(zip(names, session.run(names, {source: x.astype(F)}), strict=True))
    nodes = [n for n in graph.nodes if isinstance(n.op, Quantize)]
    values = graph.run({source: x}, [n.name for n in nodes] + [n.inputs[0] for n in nodes])
    for n in nodes:
        assert isinstance(n.op, Quantize)
        ours, theirs = values[n.name], wanted[n.name.removesuffix(".1")]
        theirs = theirs.transpose(0, 2, 3, 1) if theirs.ndim == 4 == ours.ndim else theirs
        differ = theirs.reshape(ours.shape) != ours
        if differ.any():
            levels = n.op.levels(values[n.inputs[0]])[differ] - 0.5
            return n.name, float(np.abs(levels - np.rint(levels)).max())
    raise AssertionError("no quantizer differs, but the result does")


def check_but_for_ties(path: Path, samples: np.ndarray, expected: np.ndarray, most: float) -> None:
    """Where a sample differs, the first code that does was rounded from a tie of float32; at most a share of them."""
    found = first_differences(path, samples, expected)
    assert max((distance for _, _, distance in found), default=0.0) < LSB_OF_A_TIE
    assert len(found) <= most * len(samples)


def test_keyword_spotting(shared_data: Path) -> None:
    """All that differs starts at exact ties of the average pool (sums over 120, in steps of half), or float32's."""
    folder = shared_data / "models" / "kws"
    codes = np.load(shared_data / "kws" / "kws01_mfcc.npz")["mfcc_int8"][:300].astype(np.float64)
    expected = np.load(folder / "kws_dscnn_int8_qdq_expected.npy")[:300]
    samples = (0.5847029 * (codes - 83)).reshape(-1, 49, 10, 1)
    check_but_for_ties(folder / "kws_dscnn_int8_qdq.onnx", samples, expected, most=0.2)


def test_image_classification(shared_data: Path) -> None:
    folder = shared_data / "models" / "cifar10"
    images = np.load(shared_data / "cifar10" / "cifar10_train_first4000.npz")["images"][:200] / 255
    samples = (images - [0.4914, 0.4822, 0.4465]) / [0.2023, 0.1994, 0.2010]
    expected = np.load(folder / "ic_residual_int8_qdq_expected_first1000.npy")[:200]
    samples = samples.transpose(0, 3, 1, 2).astype(F).astype(np.float64)
    check_but_for_ties(folder / "ic_residual_int8_qdq.onnx", samples, expected, most=0.2)


@pytest.mark.parametrize("stem", ["digits_mlp_w4a4", "mnist_cnn_w4a4", "synth16_mlp_w6a6"])
def test_bench(stem: str, shared_data: Path) -> None:
    """Equal to the integer logits, and to the same network's QONNX form."""
    folder = shared_data / "models" / "bench"
    vectors = np.load(folder / f"{stem}_vectors.npz")
    x = vectors["x"].astype(np.float64)
    graphs = [import_model(folder / f"{stem}_{kind}.onnx").graph for kind in ("qdq", "qonnx")]
    ours, theirs = (g.run({g.inputs[0].name: x})[g.outputs[0]] for g in graphs)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours, vectors["y_int"] * float(vectors["y_scale"]))


def test_small_float_network(shared_data: Path) -> None:
    folder = shared_data / "models" / "qonnx" / "floatquant_exec"
    graph = import_model(folder / "qonnx_act_weight_fp8.onnx").graph
    x = np.load(folder / "test_data" / "input.npy").astype(np.float64)
    np.testing.assert_allclose(graph.run({"x.1": x})["11"], np.load(folder / "test_data" / "output.npy"), atol=1e-6)
