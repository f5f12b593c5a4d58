"""Whole networks of integers: equal to others' results, or first different where float32 cannot tell a tie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from benchmarks.cases import normalized
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.ops.quantize import Quantize
from tests.onnx_models import unoptimized

LSB_OF_A_TIE = 1e-4  # float32 sums of some hundred steps


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
    session = unoptimized(proto)
    differing = np.nonzero((np.abs(found - expected) > 1e-3).any(axis=1))[0]
    return [(int(k), *_first(graph, session, names, source, samples[k : k + 1])) for k in differing]


def _first(graph: Graph, session: Any, names: list[str], source: str, x: np.ndarray) -> tuple[str, float]:
    wanted = dict(zip(names, session.run(names, {source: x.astype(np.float32)}), strict=True))
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
    expected = np.load(folder / "ic_residual_int8_qdq_expected_first1000.npy")[:200]
    samples = normalized(images).astype(np.float64)
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
