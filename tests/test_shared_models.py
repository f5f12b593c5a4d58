"""Networks by others through the whole path: equal to an independent execution, and to their RTL in simulation."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from codesign.cli import main

MOST_TIES = 0.001  # of the samples may differ from a float32 execution, and only where a value is near a tie
FPS = "50000"


def mnist(shared: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Test images (count, 1, 28, 28) as 0..255, and labels."""
    images, labels = (
        gzip.decompress((shared / f"mnist/t10k-{name}-ubyte.gz").read_bytes())
        for name in ("images-idx3", "labels-idx1")
    )
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28)[:count]
    return pixels.astype(np.float32), np.frombuffer(labels, np.uint8, offset=8)[:count].astype(np.int64)


def independent(path: Path, x: np.ndarray, batch: int) -> np.ndarray:
    """The first output by the qonnx package's executor, in batches."""
    model = _qonnx_model(path, batch)
    name, result = model.graph.input[0].name, model.graph.output[0].name
    parts = [execute_onnx(model, {name: x[n : n + batch]})[result] for n in range(0, len(x), batch)]
    return np.concatenate(parts)


@lru_cache
def _qonnx_model(path: Path, batch: int) -> ModelWrapper:
    proto = onnx.load(path)
    constants = {i.name for i in proto.graph.initializer}
    for value in (*proto.graph.input, *proto.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in constants and dims:
            dims[0].dim_value = batch
    return cleanup_model(ModelWrapper(proto))


def check(
    path: Path, x: np.ndarray, expected: np.ndarray, simulated: int, folder: Path, capsys, fps: str = FPS
) -> Path:
    """compile, run on all of x, simulate some with stalls; the build folder."""
    build, xs, few, y, z = (folder / n for n in ("build", "x.npy", "few.npy", "y.npy", "z.npy"))
    np.save(xs, x)
    np.save(few, x[:simulated])
    call("compile", path, "-o", build, "--target-fps", fps)
    capsys.readouterr()
    call("run", build, "--inputs", xs, "-o", y, "--ties", "--json")
    ties = set(json.loads(capsys.readouterr().out)["ties"])
    got = np.load(y).reshape(expected.shape)
    differing = np.flatnonzero(~np.isclose(got, expected, rtol=1e-4, atol=1e-4).reshape(len(x), -1).all(axis=1))
    assert set(differing.tolist()) <= ties and len(differing) <= MOST_TIES * len(x)
    call("simulate", build, "--inputs", few, "-o", z, "--stall-seed", 11, "--json")
    assert json.loads(capsys.readouterr().out)["mismatches"] == 0
    np.testing.assert_array_equal(np.load(z), np.load(y)[:simulated])
    return build


def call(*argv: object) -> None:
    assert main([str(a) for a in argv]) == 0


@pytest.mark.parametrize(("name", "accuracy"), [("TFC_1W1A", 0.932), ("TFC_1W2A", 0.948), ("TFC_2W2A", 0.966)])
def test_tfc(shared_data, tmp_path, capsys, name, accuracy):
    path = shared_data / f"models/mnist/{name}.onnx"
    pixels, labels = mnist(shared_data, 10_000)
    x = pixels / np.float32(255)
    expected = independent(path, x, 1000)
    check(path, x, expected, 1000, tmp_path, capsys)
    assert abs((np.load(tmp_path / "y.npy").argmax(axis=1) == labels).mean() - accuracy) < 0.003


def test_finn_tfc_with_its_own_vectors(shared_data, tmp_path, capsys):
    folder = shared_data / "models/finn_tfc"
    x, expected = np.load(folder / "input.npy"), np.load(folder / "expected_output.npy")
    check(folder / "model.onnx", x, expected, 4, tmp_path, capsys)


def test_jet_tagging_on_its_input_grid(shared_data, tmp_path, capsys):
    path = shared_data / "models/jets/qkeras_jettagging.onnx"
    x = (np.random.default_rng(5).integers(-(2**12), 2**12, (10_000, 16)) / 1024).astype(np.float32)
    check(path, x, independent(path, x, 1000), 1000, tmp_path, capsys)


@pytest.mark.parametrize("name", ["bnn_simple_model", "sint_simple_noscale_model"])
def test_small_qonnx_models(shared_data, tmp_path, capsys, name):
    path = shared_data / f"models/qonnx/{name}.onnx"
    x = (np.random.default_rng(6).integers(-(2**12), 2**14, (1000, 3)) / 1024).astype(np.float32)
    check(path, x, independent(path, x, 1), 1000, tmp_path, capsys)


def test_a_binary_layer_of_hls4ml(shared_data, tmp_path, capsys):
    path = shared_data / "models/hls4ml/bnn_model_fc_1layer.onnx"
    x = np.random.default_rng(7).normal(size=(1000, 3)).astype(np.float32)
    check(path, x, independent(path, x, 1), 1000, tmp_path, capsys)


@pytest.mark.parametrize("name", ["digits_mlp_w4a4", "synth16_mlp_w6a6", "mnist_cnn_w4a4"])
def test_benchmark_networks_have_exact_integer_logits(shared_data, tmp_path, capsys, name):
    folder = shared_data / "models/bench"
    with np.load(folder / f"{name}_vectors.npz") as v:
        expected = v["y_int"] * v["y_scale"]
        check(folder / f"{name}_qonnx.onnx", v["x"], expected, 200, tmp_path, capsys)
