"""The layer table, its arithmetic (shared/KNOWN_ANSWERS.md, rows 1, 2, 3 and 14), and what fusion leaves."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from rich.console import Console

from codesign.energy import add_pj, multiply_pj, read_pj
from codesign.errors import UserError
from codesign.inspect import Inspection, inspect_model, print_tables
from codesign.layers import Layer
from tests.onnx_models import model, saved

Constants = dict[str, np.ndarray]
CNN = Path(__file__).parents[1] / "examples/mnist_cnn_w4a4.onnx"


def named(op: str, name: str, inputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [f"{name}_out"], name=name, **attributes)


def conv(
    name: str, source: str, weights: np.ndarray, bias: np.ndarray | None = None, **attributes: Any
) -> tuple[onnx.NodeProto, Constants]:
    """A Conv node, and its constants by name."""
    constants = {f"{name}_w": weights} | ({} if bias is None else {f"{name}_b": bias})
    return named("Conv", name, [source, *constants], **attributes), constants


def inspected(tmp_path: Path, nodes: list[onnx.NodeProto], constants: Constants, shape: tuple[int, ...]) -> Inspection:
    proto = model(nodes, {"x": shape}, constants, [nodes[-1].output[0]])
    return inspect_model(saved(proto, tmp_path))


def layer(inspection: Inspection, name: str) -> Layer:
    return next(x for x in inspection.before if x.name == name)


def svhn(tmp_path: Path) -> Inspection:
    """The network of row 1, as float ONNX."""
    zeros = np.zeros
    nodes, constants, source = [], {}, "x"

    def add(node: onnx.NodeProto, given: Constants | None = None) -> None:
        nonlocal source
        nodes.append(node)
        constants.update(given or {})
        source = node.output[0]

    add(*conv("conv0", source, zeros((24, 3, 5, 5)), zeros(24)))
    add(named("Relu", "relu0", [source]))
    add(named("MaxPool", "pool0", [source], kernel_shape=[2, 2], strides=[2, 2]))
    add(*conv("conv1", source, zeros((32, 24, 3, 3)), zeros(32)))
    add(*conv("conv2", source, zeros((32, 32, 3, 3)), zeros(32)))
    add(named("MaxPool", "pool2", [source], kernel_shape=[2, 2], strides=[2, 2]))
    add(*conv("conv3", source, zeros((64, 32, 3, 3)), zeros(64)))
    add(named("Flatten", "flat", [source]))
    for name, shape in (("fc0", (512, 1600)), ("fct", (10, 512))):
        given = {f"{name}_w": zeros(shape), f"{name}_b": zeros(shape[0])}
        add(named("Gemm", name, [source, *given], transB=1), given)
    return inspected(tmp_path, nodes, constants, (1, 3, 40, 40))


def test_layer_table_of_the_svhn_network(tmp_path: Path) -> None:
    found = svhn(tmp_path)
    rows = {x.name: (x.output.shape, x.weights, x.biases, x.macs) for x in found.before if x.parameters}
    assert rows == {
        "conv0": ((24, 36, 36), 1_800, 24, 2_332_800),
        "conv1": ((32, 16, 16), 6_912, 32, 1_769_472),
        "conv2": ((32, 14, 14), 9_216, 32, 1_806_336),
        "conv3": ((64, 5, 5), 18_432, 64, 460_800),
        "fc0": ((512,), 819_200, 512, 819_200),
        "fct": ((10,), 5_120, 10, 5_120),
    }
    assert layer(found, "conv0").inputs[0].shape == (3, 40, 40)
    assert layer(found, "pool0").output.shape == (24, 18, 18)
    totals = found.to_dict()["before"]["totals"]
    assert (totals["parameters"], totals["macs"]) == (861_354, 7_193_728)
    assert totals["macs"] + sum(layer(found, n).biases for n in ("fc0", "fct")) == 7_194_250
    assert totals["memory_bits"] == 861_354 * 32


def test_the_share_of_the_first_full_layer(tmp_path: Path) -> None:
    found = svhn(tmp_path).to_dict()["before"]
    shares = {x["name"]: x["weights"] / found["totals"]["parameters"] for x in found["layers"]}
    assert round(100 * shares["fc0"], 2) == 95.11
    assert sum(x["share"] for x in found["layers"]) == pytest.approx(1)


def test_convolution_arithmetic(tmp_path: Path) -> None:
    node, given = conv("stem", "x", np.zeros((64, 3, 7, 7)), strides=[2, 2], pads=[3] * 4)
    stem = layer(inspected(tmp_path, [node], given, (1, 3, 224, 224)), "stem")
    assert (stem.parameters, stem.output.shape, stem.macs) == (9_408, (64, 112, 112), 118_013_952)


def test_mobilenet_layer_common_and_separable(tmp_path: Path) -> None:
    node, given = conv("whole", "x", np.zeros((512, 512, 3, 3)), pads=[1] * 4)
    whole = layer(inspected(tmp_path, [node], given, (1, 512, 14, 14)), "whole")
    assert (whole.macs, whole.weights) == (462_422_016, 2_359_296)
    deep, given = conv("deep", "x", np.zeros((512, 1, 3, 3)), pads=[1] * 4, group=512)
    point, more = conv("point", "deep_out", np.zeros((512, 512, 1, 1)))
    found = inspected(tmp_path, [deep, point], given | more, (1, 512, 14, 14))
    totals = found.to_dict()["before"]["totals"]
    assert (totals["macs"], totals["weights"]) == (52_283_392, 266_752)
    assert layer(found, "deep").operator == "Conv 3×3 depthwise"


def test_separable_against_common_convolution(tmp_path: Path) -> None:
    node, given = conv("whole", "x", np.zeros((256, 3, 5, 5)))
    whole = layer(inspected(tmp_path, [node], given, (1, 3, 12, 12)), "whole")
    assert (whole.parameters, whole.output.shape) == (19_200, (256, 8, 8))
    deep, given = conv("deep", "x", np.zeros((3, 1, 5, 5)), group=3)
    point, more = conv("point", "deep_out", np.zeros((256, 3, 1, 1)))
    found = inspected(tmp_path, [deep, point], given | more, (1, 3, 12, 12))
    assert [x.parameters for x in found.before] == [75, 768]
    assert round(19_200 / 843, 1) == 22.8


def test_energy_follows_the_table() -> None:
    assert multiply_pj(32, 32) == 3.1 and multiply_pj(None, None) == 3.7 and multiply_pj(8, None) == 3.7
    assert multiply_pj(8, 4) == pytest.approx(3.1 * 32 / 1024)
    assert add_pj(32) == 0.1 and add_pj(None) == 0.9 and add_pj(8) == pytest.approx(0.025)
    assert read_pj(32) == read_pj(None) == 5.0 and read_pj(1) == pytest.approx(5 / 32)


def test_energy_of_a_float_layer(tmp_path: Path) -> None:
    node, given = conv("stem", "x", np.zeros((64, 3, 7, 7)), strides=[2, 2], pads=[3] * 4)
    stem = layer(inspected(tmp_path, [node], given, (1, 3, 224, 224)), "stem")
    assert stem.energy_pj == pytest.approx(118_013_952 * (3.7 + 0.9 + 5.0))


def test_a_float_model_says_why_there_is_no_integer_network(tmp_path: Path) -> None:
    node, given = conv("stem", "x", np.random.default_rng(1).normal(size=(2, 3, 1, 1)))
    found = inspected(tmp_path, [node, named("Relu", "relu", ["stem_out"])], given, (1, 3, 4, 4))
    assert found.after == () and "stem" in found.after_missing and "not quantized" in found.after_missing
    assert found.to_dict()["after"] is None


def test_a_batch_norm_is_a_layer_before_fusion_and_thresholds_after() -> None:
    found = inspect_model(CNN)
    norm = layer(found, "norm1")
    assert (norm.operator, norm.weights, norm.biases, norm.output.shape) == ("BatchNormalization", 8, 8, (8, 28, 28))
    assert not any(x.name == "norm1" for x in found.after)
    fused = next(x for x in found.after if x.name == "act1")
    assert fused.also == ("norm1", "relu1") and fused.operator == "Threshold"
    assert fused.thresholds == 8 * 15 and fused.where == "accelerator"


def test_quantized_layers_show_formats_memory_and_energy() -> None:
    found = inspect_model(CNN)
    conv2 = layer(found, "conv2")
    assert (conv2.inputs[0].format, conv2.weight_format, conv2.inputs[0].shape) == ("uint4", "int[-7,7]", (8, 14, 14))
    assert conv2.memory_bits == 72 * 4
    after = next(x for x in found.after if x.name == "conv2")
    width = 11  # of int[-270,540]
    assert after.output.format == "int[-270,540]"
    each = 3.1 * 4 * 4 / 1024 + 0.1 * width / 32 + 5.0 * 4 / 32
    assert after.energy_pj == conv2.energy_pj == pytest.approx(conv2.macs * each)
    totals = found.to_dict()
    assert totals["after"]["totals"]["macs"] == totals["before"]["totals"]["macs"] == 103_488


def test_every_layer_before_is_found_after() -> None:
    found = inspect_model(CNN)
    kept = [name for x in found.after for name in (x.name, *x.also)]
    assert {x.name for x in found.before} <= set(kept)


def test_tables_print_names_that_look_like_markup(tmp_path: Path) -> None:
    node, given = conv("[red]a/[/b]", "x", np.zeros((2, 3, 1, 1)))
    result = inspected(tmp_path, [node], given, (1, 3, 4, 4)).to_dict()
    print_tables(result, Console(file=(file := StringIO())))
    text = file.getvalue()
    assert "[red]a/[/b]" in text and "2×4×4" in text and "not this chip" in text


def test_a_missing_file_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        inspect_model(tmp_path / "none.onnx")
