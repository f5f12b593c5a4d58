"""The command line: exit status, one clear line for every mistake, nothing half-written."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from codesign.cli import main
from tests import models


@pytest.fixture(scope="session")
def mlp(tmp_path_factory) -> Path:
    return models.mlp(tmp_path_factory.mktemp("models") / "mlp.onnx")


@pytest.fixture(scope="session")
def built(mlp: Path, tmp_path_factory) -> Path:
    build = tmp_path_factory.mktemp("builds") / "mlp"
    assert main(["compile", str(mlp), "-o", str(build), "--target-fps", "5e6"]) == 0
    return build


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).uniform(0, 4, (20, 6)).astype(np.float32))
    return path


def fails(capsys, status: int, *argv: object) -> str:
    """The one line that a failing command prints."""
    assert main([str(a) for a in argv]) == status
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith("codesign: ") and len(message) < 400
    return message


def test_run_and_simulate_agree(built, samples, tmp_path, capsys):
    y, z = tmp_path / "y.npy", tmp_path / "z.npy"
    assert main(["run", str(built), "--inputs", str(samples), "-o", str(y)]) == 0
    capsys.readouterr()
    argv = ["simulate", str(built), "--inputs", str(samples), "-o", str(z), "--stall-seed", "3", "--json"]
    assert main(argv) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["mismatches"] == 0 and result["samples"] == 20
    np.testing.assert_array_equal(np.load(y), np.load(z))
    assert np.load(y).shape == (20, 3)


def test_a_model_file_runs_as_it_is(mlp, built, samples, tmp_path, capsys):
    for source, result in ((mlp, "real.npy"), (built, "integer.npy")):
        assert main(["run", str(source), "--inputs", str(samples), "-o", str(tmp_path / result)]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "real.npy"), np.load(tmp_path / "integer.npy"), rtol=1e-6)


def test_a_reader_that_leaves_early_is_no_error(mlp):
    command = f"{sys.executable} -m codesign.cli inspect {mlp} --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_synth_reports_use_beside_the_estimate(built, capsys):
    assert main(["synth", str(built), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {"lut", "lut_paired", "ff", "dsp", "bram36", "carry4"} <= set(result)
    assert 0 < result["lut_paired"] <= result["lut"]


@pytest.mark.parametrize("kept", [0, 1, 40, 200])
def test_truncated_files_are_refused(mlp, tmp_path, capsys, kept):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(mlp.read_bytes()[:kept])
    assert "broken.onnx" in fails(capsys, 2, "compile", broken, "-o", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_file_that_is_no_onnx_is_refused(tmp_path, capsys):
    (tmp_path / "text.onnx").write_text("this is a letter, not a network\n" * 20)
    assert "text.onnx" in fails(capsys, 2, "compile", tmp_path / "text.onnx", "-o", tmp_path / "b")
    assert "nowhere.onnx" in fails(capsys, 2, "compile", tmp_path / "nowhere.onnx", "-o", tmp_path / "b")


def test_an_unsupported_operator_is_refused_by_name(tmp_path, capsys):
    m = models.Model(1, 6)
    path = m.save(tmp_path / "m.onnx", m.add("LSTM", m.quant("x"), m.constant(0), m.constant(0), name="memory"))
    assert "LSTM" in fails(capsys, 2, "compile", path, "-o", tmp_path / "b")


def test_an_unsupported_attribute_is_refused_by_name(tmp_path, capsys):
    m = models.Model(1, 6)
    path = m.save(tmp_path / "m.onnx", m.add("Gemm", m.quant("x"), m.weight(6, 4), transA=1, name="fc"))
    message = fails(capsys, 2, "compile", path, "-o", tmp_path / "b")
    assert "fc" in message and "transA" in message


def test_a_missing_shape_is_refused(tmp_path, capsys):
    m = models.Model(1, "width")
    path = m.save(tmp_path / "m.onnx", m.add("MatMul", m.quant("x"), m.weight(6, 4)))
    assert "width" in fails(capsys, 2, "compile", path, "-o", tmp_path / "b")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(mlp, tmp_path, capsys, value):
    proto = onnx.load(mlp)
    first = next(i for i in proto.graph.initializer if len(i.dims) == 2)
    array = numpy_helper.to_array(first).copy()
    array[0, 0] = value
    first.CopyFrom(numpy_helper.from_array(array, first.name))
    onnx.save(proto, tmp_path / "m.onnx")
    assert first.name in fails(capsys, 2, "compile", tmp_path / "m.onnx", "-o", tmp_path / "b")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((20, 7), np.float32), "shape"),
        (np.zeros(6, np.float32), "shape"),
        (np.zeros((0, 6), np.float32), "no sample"),
        (np.array([["a"] * 6]), "type"),
        (np.full((2, 6), np.nan, np.float32), "NaN"),
        (np.full((2, 6), 1e300), "beyond float32"),
    ],
)
def test_wrong_inputs_are_refused(built, tmp_path, capsys, array, reason):
    np.save(tmp_path / "x.npy", array)
    for command in ("run", "simulate"):
        argv = (command, built, "--inputs", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
        message = fails(capsys, 2, *argv)
        assert reason in message and "x.npy" in message
    assert not (tmp_path / "y.npy").exists()


def test_inputs_outside_of_an_assumed_format_are_refused(tmp_path, capsys):
    m = models.Model(1, 4)
    path = m.save(tmp_path / "m.onnx", m.add("MatMul", "x", m.weight(4, 2)))
    assert main(["compile", str(path), "-o", str(tmp_path / "b")]) == 0
    np.save(tmp_path / "x.npy", np.full((1, 4), 40.0, np.float32))
    message = fails(capsys, 2, "run", tmp_path / "b", "--inputs", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert "range" in message and "fixed<16,6>" in message
    np.save(tmp_path / "x.npy", np.full((1, 4), 0.0001, np.float32))
    assert main(["run", str(tmp_path / "b"), "--inputs", str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")]) == 0
    assert "are rounded" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["manifest.json", "rtl/accelerator.v", "model.npz"])
def test_an_incomplete_build_is_refused(built, samples, tmp_path, capsys, missing):
    copy = copied(built, tmp_path)
    (copy / missing).unlink()
    message = fails(capsys, 2, "simulate", copy, "--inputs", samples)
    assert Path(missing).name in message and "compile" in message


@pytest.mark.parametrize("key", ["rtl", "folding", "estimated"])
def test_a_manifest_without_a_part_is_refused(built, samples, tmp_path, capsys, key):
    copy = copied(built, tmp_path)
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest[key]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    for command in (("simulate", copy, "--inputs", samples), ("synth", copy), ("report", copy)):
        assert f"lacks '{key}'" in fails(capsys, 2, *command)


def test_truncated_verilog_is_refused(built, samples, tmp_path, capsys):
    copy = copied(built, tmp_path)
    (copy / "rtl/accelerator.v").write_bytes((copy / "rtl/accelerator.v").read_bytes()[:2000])
    for command in (("simulate", copy, "--inputs", samples), ("synth", copy)):
        message = fails(capsys, 2, *command)
        assert "RTL" in message and "compile" in message


def test_a_build_of_another_version_is_refused(built, samples, tmp_path, capsys):
    copy = copied(built, tmp_path)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["tool"]["version"] = "0.0.0"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert "0.0.0" in fails(capsys, 2, "run", copy, "--inputs", samples, "-o", tmp_path / "y.npy")


def test_a_damaged_model_is_refused(built, samples, tmp_path, capsys):
    copy = copied(built, tmp_path)
    (copy / "model.npz").write_bytes((copy / "model.npz").read_bytes()[:300])
    assert "model.npz" in fails(capsys, 2, "run", copy, "--inputs", samples, "-o", tmp_path / "y.npy")


def test_outputs_that_cannot_be_written_are_refused(mlp, built, samples, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert "file" in fails(capsys, 2, "compile", mlp, "-o", tmp_path / "file/build")
    assert "file" in fails(capsys, 2, "compile", mlp, "-o", tmp_path / "file")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    assert "other files" in fails(capsys, 2, "compile", mlp, "-o", tmp_path / "mine")
    assert "nowhere" in fails(capsys, 2, "run", built, "--inputs", samples, "-o", tmp_path / "nowhere/y.npy")


@pytest.mark.parametrize("engine", ["verilator", "cocotb"])
def test_a_waveform_that_cannot_be_written_is_refused(built, samples, capsys, engine):
    waves = ("--engine", engine, "--waves", "nowhere/w.vcd")
    assert "nowhere" in fails(capsys, 2, "simulate", built, "--inputs", samples, *waves)


def test_a_rate_that_is_no_number_is_refused(mlp, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["compile", str(mlp), "-o", str(tmp_path / "b"), "--target-fps", "fast"])
    assert "fast is not a positive number" in capsys.readouterr().err


def test_a_rate_out_of_reach_fails_and_says_what_binds(mlp, tmp_path, capsys):
    m = models.Model(1, 512)
    path = m.save(tmp_path / "m.onnx", m.add("MatMul", m.quant("x", bits=8), m.weight(512, 512, bits=8), name="big"))
    message = fails(capsys, 1, "compile", path, "-o", tmp_path / "b", "--target-fps", "5e7")
    assert "LUT" in message and "big" in message
    assert "cycle" in fails(capsys, 1, "compile", mlp, "-o", tmp_path / "b", "--target-fps", "1e9")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("argv", [["compile"], ["melt", "x"], ["compile", "m", "-o", "b", "--target-fps", "fast"]])
def test_wrong_arguments_get_one_line(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_unknown_boards_and_fusions_are_refused(mlp, tmp_path, capsys):
    assert "pynq-z2" in fails(capsys, 2, "compile", mlp, "-o", tmp_path / "b", "--board", "pynq-z9")
    assert "argmax" in fails(capsys, 2, "compile", mlp, "-o", tmp_path / "b", "--no-fuse", "magic")


@pytest.mark.parametrize("step", ["hw.rtlil.rtlil.convert", "codesign.flow.write_vectors"])
def test_an_interrupted_compile_leaves_the_old_build(mlp, built, tmp_path, monkeypatch, step):
    build = copied(built, tmp_path)
    before = (build / "manifest.json").read_bytes()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(step, interrupt)
    assert main(["compile", str(mlp), "-o", str(build)]) == 130
    assert main(["compile", str(mlp), "-o", str(tmp_path / "fresh")]) == 130
    assert (build / "manifest.json").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [build.name]


def test_the_same_model_gives_the_same_bytes(mlp, built, tmp_path):
    assert main(["compile", str(mlp), "-o", str(tmp_path / "again"), "--target-fps", "5e6"]) == 0
    for file in ("rtl/accelerator.v", "model.txt", "model.npz", "vectors/outputs_0.npy"):
        assert (tmp_path / "again" / file).read_bytes() == (built / file).read_bytes()


def copied(build: Path, folder: Path) -> Path:
    return Path(shutil.copytree(build, folder / "copy"))
