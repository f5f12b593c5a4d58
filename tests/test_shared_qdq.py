"""QDQ networks by others: equal to their own expected outputs but for ties, and to their RTL in simulation.

The expected outputs are float32 executions. At 8 bits they do fall on the other side of ties: an average of 120
pixels is an exact tie once in 120 values. So every sample that differs must hold a value near a tie, and the
decision (the largest output) must be the same.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cases import normalized
from codesign.cli import main

KWS_SCALE, KWS_ZERO = 0.5847029, 83


def call(*argv: object) -> None:
    assert main([str(a) for a in argv]) == 0


def differing(
    path: Path, x: np.ndarray, expected: np.ndarray, simulated: int, folder: Path, capsys, beyond: int = 0
) -> int:
    """compile, run on all of x, simulate some with stalls; how many samples differ, all (but `beyond`) near a tie."""
    build, xs, few, y, z = (folder / n for n in ("build", "x.npy", "few.npy", "y.npy", "z.npy"))
    np.save(xs, x)
    np.save(few, x[:simulated])
    call("compile", path, "-o", build)
    capsys.readouterr()
    call("run", build, "--inputs", xs, "-o", y, "--ties", "--json")
    ties = set(json.loads(capsys.readouterr().out)["ties"])
    got = np.load(y).reshape(expected.shape)
    wrong = np.flatnonzero(~np.isclose(got, expected, rtol=1e-4, atol=1e-4).reshape(len(x), -1).all(axis=1))
    assert len(set(wrong.tolist()) - ties) <= beyond
    np.testing.assert_array_equal(got.argmax(axis=-1), expected.argmax(axis=-1))
    call("simulate", build, "--inputs", few, "-o", z, "--stall-seed", 11, "--json")
    assert json.loads(capsys.readouterr().out)["mismatches"] == 0
    np.testing.assert_array_equal(np.load(z).reshape(simulated, -1), got[:simulated].reshape(simulated, -1))
    return len(wrong)


def test_keyword_spotting(shared_data, tmp_path, capsys):
    folder = shared_data / "models/kws"
    with np.load(shared_data / "kws/kws01_mfcc.npz") as stored:
        codes = stored["mfcc_int8"].astype(np.float64)
    x = (KWS_SCALE * (codes - KWS_ZERO)).astype(np.float32)[..., None]
    expected = np.load(folder / "kws_dscnn_int8_qdq_expected.npy")
    assert differing(folder / "kws_dscnn_int8_qdq.onnx", x, expected, 50, tmp_path, capsys) < 0.2 * len(x)


@pytest.mark.parametrize("name", ["digits_mlp_w4a4", "synth16_mlp_w6a6", "mnist_cnn_w4a4"])
def test_benchmark_networks(shared_data, tmp_path, capsys, name):
    folder = shared_data / "models/bench"
    with np.load(folder / f"{name}_vectors.npz") as v:
        x, expected = v["x"], v["y_int"] * v["y_scale"]
    assert differing(folder / f"{name}_qdq.onnx", x, expected, 200, tmp_path, capsys) == 0


@pytest.mark.slow
def test_a_residual_network(shared_data, tmp_path, capsys):
    """In image 268 float32 errs by 1.27e-5 of a step in the first convolution, just beyond what counts as a tie."""
    folder = shared_data / "models/cifar10"
    with np.load(shared_data / "cifar10/cifar10_train_first4000.npz") as stored:
        pixels = stored["images"][:1000] / 255
    x = normalized(pixels)
    expected = np.load(folder / "ic_residual_int8_qdq_expected_first1000.npy")
    path = folder / "ic_residual_int8_qdq.onnx"
    assert differing(path, x, expected, 10, tmp_path, capsys, beyond=1) < 0.1 * len(x)
