"""`compile --calibration`: a float model to RTL that equals its quantized graph; faults in one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codesign import serialize
from codesign.cli import main
from tests.models import Model, mlp
from tests.test_cli import fails


@pytest.fixture(scope="session")
def network(tmp_path_factory) -> Path:
    """A float convolution, pool and dense layer."""
    m, rng = Model("batch", 2, 8, 8), np.random.default_rng(0)
    w = m.constant(rng.normal(size=(4, 2, 3, 3)))
    c = m.add("Relu", m.add("Conv", "x", w, m.constant(rng.normal(size=4)), pads=[1, 1, 1, 1], name="conv"))
    f = m.add("Flatten", m.add("MaxPool", c, kernel_shape=[4, 4], strides=[4, 4]), axis=1)
    y = m.add("MatMul", f, m.constant(rng.normal(size=(16, 3))), name="fc")
    return m.save(tmp_path_factory.mktemp("float") / "net.onnx", y)


@pytest.fixture(scope="session")
def x(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "x.npy"
    np.save(path, np.random.default_rng(1).normal(size=(100, 2, 8, 8)).astype(np.float32))
    return path


@pytest.fixture(scope="session")
def built(network: Path, x: Path, tmp_path_factory) -> Path:
    build = tmp_path_factory.mktemp("builds") / "net"
    assert main(["compile", str(network), "-o", str(build), "--calibration", str(x), "--precision", "w4a8"]) == 0
    return build


def test_the_manifest_says_how_and_at_what_cost(built):
    found = json.loads((built / "manifest.json").read_text())["quantization"]
    assert (found["precision"], found["observer"], found["samples"]) == ("w4a8", "mse", 100)
    assert found["steps"] == ["equalize", "rounding", "bias"] and found["calibration"] == "x.npy"
    layers = [(r["layer"], r["weights"], r["activations"]) for r in found["layers"]]
    assert layers == [("conv", "int4", "uint8"), ("fc", "int4", "accumulator")]
    assert all(r["sqnr_db"] > 15 for r in found["layers"])


def test_the_emulator_equals_the_quantized_graph(built, network, x, tmp_path):
    y, real = tmp_path / "y.npy", tmp_path / "real.npy"
    assert main(["run", str(built), "--inputs", str(x), "-o", str(y)]) == 0
    assert main(["run", str(network), "--inputs", str(x), "-o", str(real)]) == 0
    source = serialize.load(built / "source.npz")
    wanted = source.run({source.inputs[0].name: np.load(x)})[source.outputs[0]]
    np.testing.assert_allclose(np.load(y), wanted, rtol=1e-5, atol=1e-5)
    noise = ((np.load(y) - np.load(real)) ** 2).mean() / (np.load(real) ** 2).mean()
    assert 0 < noise < 10**-1.5


def test_the_rtl_equals_the_emulator(built, x, tmp_path, capsys):
    few = tmp_path / "few.npy"
    np.save(few, np.load(x)[:20])
    assert main(["simulate", str(built), "--inputs", str(few), "--stall-seed", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mismatches"] == 0


def test_a_precision_file(network, x, tmp_path):
    path, build = tmp_path / "p.yaml", tmp_path / "b"
    path.write_text("conv: {weights: ternary, activations: uint4}\n'*': {weights: 'pow2(4)'}\n")
    arguments = ["--calibration", x, "--precision", path, "--observer", "entropy"]
    assert main(["compile", str(network), "-o", str(build), *map(str, arguments)]) == 0
    found = json.loads((build / "manifest.json").read_text())["quantization"]
    assert [r["weights"] for r in found["layers"]] == ["ternary", "pow2(4)"] and found["observer"] == "entropy"


@pytest.fixture(scope="session")
def scored(network: Path, x: Path, tmp_path_factory) -> Path:
    """A build with labels: what the float network answers, but for ten of 60 samples."""
    folder = tmp_path_factory.mktemp("scored")
    fresh = np.random.default_rng(2).normal(size=(60, 2, 8, 8)).astype(np.float32)
    fresh[:3] = np.load(x)[:3]
    np.save(folder / "e.npy", fresh)
    assert main(["run", str(network), "--inputs", str(folder / "e.npy"), "-o", str(folder / "y.npy")]) == 0
    labels = np.load(folder / "y.npy").argmax(axis=1)
    labels[:10] = (labels[:10] + 1) % 3
    np.save(folder / "l.npy", labels)
    return folder


def compile_scored(network: Path, x: Path, scored: Path, *more: str) -> int:
    samples = ["--calibration", x, "--evaluation", scored / "e.npy", "--labels", scored / "l.npy", "--without", "bias"]
    return main(["compile", str(network), "-o", str(scored / "b"), *map(str, samples), *more])


def test_accuracy_before_and_after_on_the_named_samples(network, x, scored, tmp_path, capsys):
    assert compile_scored(network, x, scored) == 0
    shown = capsys.readouterr()
    assert "float 83.33%" in shown.out and "60 samples of e.npy" in shown.out
    assert "3 of the 60 samples scored (e.npy) are among the calibration samples (x.npy)" in shown.err
    manifest = json.loads((scored / "b/manifest.json").read_text())
    found, result = manifest["quantization"]["accuracy"], manifest["results"]["accuracy"]
    assert found["float"] == 50 / 60 and found["samples"] == 60 and found["in_calibration"] == 3
    assert manifest["quantization"]["steps"] == ["equalize", "rounding"]
    assert json.loads((scored / "b/report.json").read_text())["quantization"]["accuracy"] == found
    arguments = ["--inputs", scored / "e.npy", "-o", tmp_path / "y.npy", "--labels", scored / "l.npy", "--json"]
    assert main(["run", str(scored / "b"), *map(str, arguments)]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == found["quantized"] == result["accuracy"]
    page = (scored / "b/report.html") if main(["report", str(scored / "b")]) == 0 else None
    assert page is not None and "float 83.33%" in page.read_text() and "3 of the 60" in page.read_text()


def test_samples_to_score_go_with_labels_and_calibration(network, x, scored, tmp_path, capsys):
    start = ("compile", network, "-o", tmp_path / "b")
    e, labels = ("--evaluation", scored / "e.npy"), ("--labels", scored / "l.npy")
    for lacking in ((*e, *labels), ("--calibration", x, *e), ("--calibration", x, *labels)):
        assert "go together" in fails(capsys, 2, *start, *lacking)
    assert "for each of the 100" in fails(capsys, 2, *start, "--calibration", x, "--evaluation", x, *labels)
    assert "with --calibration" in fails(capsys, 2, *start, "--without", "rounding")


def test_mixed_precision_leaves_a_file_that_gives_the_same_circuit(network, x, tmp_path, capsys):
    mixed, again = tmp_path / "mixed", tmp_path / "again"
    start = ["compile", str(network), "--calibration", str(x), "--target-fps", "500000", "--budget", "lut=500"]
    assert main([*start, "-o", str(mixed), "--precision", "mixed"]) == 0
    assert main([*start, "-o", str(again), "--precision", str(mixed / "precision.yaml")]) == 0
    assert (mixed / "rtl/accelerator.v").read_bytes() == (again / "rtl/accelerator.v").read_bytes()
    manifest = json.loads((mixed / "manifest.json").read_text())
    found = manifest["quantization"]["mixed"]
    assert found["budget"]["lut"] == manifest["board"]["budget"]["lut"] == 500 > manifest["estimated"]["lut"]
    assert found["estimated"]["lut"] == manifest["estimated"]["lut"]
    assert any(k["chosen"] not in ("int8", "uint8") for k in found["knobs"])
    assert [k["layers"] for k in found["knobs"]] == [["conv"], ["fc"], ["conv"]]
    capsys.readouterr()
    tight = ("compile", network, "-o", tmp_path / "b", "--calibration", x, "--precision", "mixed", "--budget", "lut=60")
    assert "LUT binds" in fails(capsys, 1, *tight)
    assert "is not of the form" in fails(capsys, 2, *tight[:-1], "lut")
    assert "with --calibration" in fails(capsys, 2, "compile", network, "-o", tmp_path / "b", "--precision", "mixed")


def test_a_float_model_alone_is_refused(network, tmp_path, capsys):
    message = fails(capsys, 2, "compile", network, "-o", tmp_path / "b")
    assert "not quantized" in message and "'conv'" in message and "--calibration" in message
    assert not (tmp_path / "b").exists()


def test_faults_in_one_line(network, x, tmp_path, capsys):
    start = ("compile", network, "-o", tmp_path / "b")
    assert "with --calibration" in fails(capsys, 2, *start, "--precision", "int8")
    assert "does not exist" in fails(capsys, 2, *start, "--calibration", tmp_path / "none.npy")
    assert "'int5' is unknown" in fails(capsys, 2, *start, "--calibration", x, "--precision", "int5")
    flat = tmp_path / "flat.npy"
    np.save(flat, np.zeros((10, 2, 8, 8), np.float32))
    assert "collapses" in fails(capsys, 2, *start, "--calibration", flat)
    np.save(flat, np.zeros((10, 2, 8), np.float32))
    assert "has shape (10, 2, 8)" in fails(capsys, 2, *start, "--calibration", flat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :, :4], "has shape (100, 2, 4, 8); it must be (samples, 2, 8, 8)"),
        (lambda x: x[0], "it must be (samples, 2, 8, 8)"),
        (lambda x: x[:0], "holds no sample"),
        (lambda x: np.where(x > 2, np.nan, x), "holds NaN"),
        (lambda x: x.astype(np.float64) * 1e60, "beyond float32"),
        (lambda x: x.astype(complex), "it must be numbers"),
        (lambda x: x * 0 - 0.0, "'x' is 0 everywhere, so its range collapses"),
        (lambda x: x * np.float32(1e-30), "so much alike that layer 'fc' gives the same for all of them"),
        (lambda x: {"y": x}, "no array for input 'x'; it holds y"),
        (lambda x: {}, "no array for input 'x'; it holds none"),
    ],
)
def test_faulty_calibration_files_are_refused_in_one_line(network, x, tmp_path, capsys, change, message):
    found = change(np.load(x))
    path = tmp_path / ("c.npz" if isinstance(found, dict) else "c.npy")
    np.savez(path, **found) if isinstance(found, dict) else np.save(path, found)
    assert message in fails(capsys, 2, "compile", network, "-o", tmp_path / "b", "--calibration", path)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(99, int), "for each of the 100 samples; these are int64 of shape (99,)"),
        (np.zeros(100), "these are float64 of shape (100,)"),
        (np.zeros((100, 3), int), "of shape (100, 3)"),
        (np.zeros(100, int) - 1, "classes are counted from 0"),
        (np.zeros(100, int) + 3, "the network tells only 3 classes apart"),
        ({"labels": np.zeros(100, int)}, "not as .npz"),
    ],
)
def test_faulty_labels_are_refused_in_one_line(network, x, tmp_path, capsys, labels, message):
    path = tmp_path / ("l.npz" if isinstance(labels, dict) else "l.npy")
    np.savez(path, **labels) if isinstance(labels, dict) else np.save(path, labels)
    arguments = ("--calibration", x, "--evaluation", x, "--labels", path)
    assert message in fails(capsys, 2, "compile", network, "-o", tmp_path / "b", *arguments)


def test_a_quantized_model_needs_no_calibration(tmp_path, capsys):
    model, path = mlp(tmp_path / "q.onnx"), tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32))
    assert "already" in fails(capsys, 2, "compile", model, "-o", tmp_path / "b", "--calibration", path)
