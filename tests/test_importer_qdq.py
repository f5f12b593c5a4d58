"""QDQ models: QuantizeLinear, DequantizeLinear, integers as weights, inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from codesign.formats import Int
from codesign.graph import Constant
from codesign.importer import import_model
from codesign.ops.quantize import Quantize
from tests.onnx_integers import IMAGE, RNG, F, check, qdq, typed
from tests.onnx_models import node, saved


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


def weighted(weights: dict[str, np.ndarray], ops: list[onnx.NodeProto]) -> onnx.ModelProto:
    """x behind a quantizer, times weights "w" that `ops` make."""
    front = [node("QuantizeLinear", ["x", "xs", "xz"], "xq"), node("DequantizeLinear", ["xq", "xs", "xz"], "xd")]
    values = {"xs": np.array(0.25, F), "xz": np.array(7, np.uint8), **weights}
    return typed([*front, *ops, node("MatMul", ["xd", "w"])], {"x": (F, (1, 6))}, values, F)


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


def test_integer_input_and_sums(tmp_path: Path) -> None:
    """uint8 pixels, cast and scaled; int8 sums that overflow."""
    cast = [node("Cast", ["x"], "f", to=TensorProto.FLOAT), node("Mul", ["f", "s"])]
    check(typed(cast, {"x": (np.uint8, (1, 6))}, {"s": np.array(0.5, F)}, F), tmp_path)
    check(typed([node("Add", ["x", "x"])], {"x": (np.int8, (1, 50))}, {}, np.int8), tmp_path)
    check(typed([node("Max", ["x", "c"])], {"x": (np.int8, (1, 6))}, {"c": np.array(3, np.int8)}, np.int8), tmp_path)
