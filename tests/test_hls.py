"""`codesign hls`: projects equal to the emulator, one clear line for every mistake, nothing half-written."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from codesign.cli import main
from codesign.flow import Build
from codesign.formats import Int
from hw.hls import check, emulation
from hw.hls.lower import lower
from hw.hls.project import Device, convert, write
from tests import models
from tests.hls_reports import csynth_xml
from tests.test_cli import fails


@pytest.fixture(scope="module")
def mlp(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("hls"), models.mlp)


@pytest.fixture(scope="module")
def cnn(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("hls"), models.cnn)


def built(folder: Path, make) -> Path:
    assert main(["compile", str(make(folder / "model.onnx")), "-o", str(folder / "build")]) == 0
    return folder / "build"


def hls(capsys, *argv: object) -> dict:
    """What a successful `codesign hls` says."""
    capsys.readouterr()
    assert main(["hls", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def results(build: Path) -> dict:
    return json.loads((build / "manifest.json").read_text())["results"]


def test_a_perceptron_equals_the_emulator(mlp, tmp_path, capsys) -> None:
    x, project = tmp_path / "x.npy", tmp_path / "project"
    np.save(x, np.random.default_rng(0).uniform(0, 4, (200, 6)).astype(np.float32))
    result = hls(capsys, mlp, "-o", project, "--emulate", "--inputs", x)
    assert result["emulated"]["mismatches"] == 0 and result["emulated"]["words"] == 600
    assert result["io"] == "io_parallel" and result["project"] == str(project)
    assert results(mlp)["hls"]["emulated"] == result["emulated"]
    assert {layer["kind"] for layer in result["layers"]} == {"Input", "Dense", "threshold"}


def test_the_project_carries_golden_words_for_its_own_test_bench(mlp, tmp_path, capsys) -> None:
    hls(capsys, mlp, "-o", tmp_path / "project")
    network = Build.open(mlp).network
    given = check.seeded_inputs(network.core, 16)
    golden = network.core.run(given)[network.core.outputs[0]]
    data = tmp_path / "project" / "tb_data"
    np.testing.assert_array_equal(np.loadtxt(data / "tb_input_features.dat"), next(iter(given.values())))
    np.testing.assert_array_equal(np.loadtxt(data / "tb_output_predictions.dat"), golden)


def test_a_convolutional_network_equals_the_emulator(cnn, capsys) -> None:
    result = hls(capsys, cnn, "--emulate")
    assert result["io"] == "io_stream" and "project" not in result
    assert result["emulated"]["samples"] == 100 and result["emulated"]["mismatches"] == 0
    assert {"Conv2D", "DepthwiseConv2D", "Dense", "pad", "pool"} <= {layer["kind"] for layer in result["layers"]}


def test_no_format_is_left_to_a_default(mlp, cnn) -> None:
    """Every type in the C++ is one that the network's exact ranges give."""
    for build, io in ((mlp, "io_parallel"), (cnn, "io_stream")):
        network = lower(Build.open(build).network.core, io, 100)
        for layer in network.layers:
            needed = {
                "Dense": {"accum", "weight"},
                "Conv2D": {"accum", "weight"},
                "DepthwiseConv2D": {"accum", "weight"},
            }
            assert {"result", *needed.get(layer.kind, ())} <= set(layer.precision)
            assert set(layer.attributes.get("parameters", ())) <= set(layer.precision)


def test_the_same_build_gives_the_same_project(mlp, tmp_path, capsys, monkeypatch) -> None:
    for name, stamp in (("a", "0123abcd"), ("b", "12345678")):  # hls4ml's own is random, and may look like a number
        monkeypatch.setattr("uuid.uuid4", lambda stamp=stamp: UUID(stamp.zfill(32)))
        hls(capsys, mlp, "-o", tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert files and all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    told = [f for f in files if str(tmp_path).encode() in (tmp_path / "a" / f).read_bytes()]
    assert not told


def test_the_first_layer_that_differs_is_named_with_the_reason(mlp, tmp_path) -> None:
    core = Build.open(mlp).network.core
    network = lower(core, "io_parallel", 1)
    (first, *_) = (x for x in network.layers if x.kind == "Dense")
    narrow = dataclasses.replace(first, precision={**first.precision, "accum": Int(-4, 3), "result": Int(-4, 3)})
    wrong = dataclasses.replace(network, layers=tuple(narrow if x is first else x for x in network.layers))
    write(convert(wrong, "vitis", Device("xc7z020clg400-1", 100.0), tmp_path), tmp_path)
    compared = check.compare(core, emulation.build(wrong, tmp_path), check.seeded_inputs(core, 50))
    assert compared.mismatches
    assert compared.failed.startswith("layer 'fc1' (fc1_matmul, hls4ml's Dense) is the first that differs")
    assert "it wraps around: ap_int<3> of its result is too narrow" in compared.failed


def test_a_mismatch_ends_with_status_1(mlp, capsys, monkeypatch) -> None:
    difference = check.Compared(1, 3, 1, "layer 'fc1' is the first that differs")
    monkeypatch.setattr(check, "compare", lambda *_: difference)
    assert fails(capsys, 1, "hls", mlp, "--emulate", "--json") == "codesign: check failed: " + difference.failed


def test_a_report_is_read_back_and_stands_beside_the_rest(mlp, tmp_path, capsys) -> None:
    project = tmp_path / "project"
    hls(capsys, mlp, "-o", project)
    report = project / "accelerator_prj/solution1/syn/report/accelerator_csynth.xml"
    report.parent.mkdir(parents=True)
    report.write_text(csynth_xml())
    got = hls(capsys, mlp, "--read-report", project)["csynth"]
    assert (got["latency_cycles"], got["interval_cycles"], got["lut"], got["ff"], got["dsp"]) == (25, 8, 5678, 1234, 7)
    assert got["bram36"] == 1.5 and got["clock_mhz"] == 100 and got["fabric_fps"] == 12.5e6
    assert "Vitis HLS 2023.2" in got["source"]
    assert results(mlp)["hls"]["csynth"] == got and results(mlp)["hls"]["layers"]
    assert main(["report", str(mlp)]) == 0
    page = (mlp / "report.html").read_text()
    assert "5,678" in page and "Vitis HLS 2023.2" in page


def test_reports_of_vivado_and_of_unknown_latency(mlp, tmp_path, capsys) -> None:
    project = tmp_path / "project"
    hls(capsys, mlp, "-o", project)
    report = project / "accelerator_prj/solution1/syn/report/csynth.xml"
    report.parent.mkdir(parents=True)
    report.write_text(csynth_xml(version="2019.2", dsp="DSP48E", latency="undef"))
    got = hls(capsys, mlp, "--read-report", project)["csynth"]
    assert got["dsp"] == 7 and "Vivado HLS 2019.2" in got["source"] and got["latency_cycles"] is None


def test_reports_that_are_none(mlp, cnn, tmp_path, capsys) -> None:
    project = tmp_path / "project"
    assert "is no folder" in fails(capsys, 2, "hls", mlp, "--read-report", project)
    hls(capsys, mlp, "-o", project)
    assert "vitis-run --tcl build_prj.tcl" in fails(capsys, 2, "hls", mlp, "--read-report", project)
    report = project / "accelerator_prj/solution1/syn/report/csynth.xml"
    report.parent.mkdir(parents=True)
    for text, why in (
        ("<profile>", "is not a csynth.xml"),
        ("<profile/>", "has no UserAssignments/TopModelName"),
        (csynth_xml(top="other"), "is the report of 'other'"),
    ):
        report.write_text(text)
        assert why in fails(capsys, 2, "hls", mlp, "--read-report", project)
    report.write_text(csynth_xml())
    assert "was made from another model" in fails(capsys, 2, "hls", cnn, "--read-report", project)
    (project / "codesign.json").unlink()
    assert "was not made by `codesign hls`" in fails(capsys, 2, "hls", mlp, "--read-report", project)


def test_arguments_that_do_not_fit(mlp, tmp_path, capsys) -> None:
    assert "name a folder with -o PROJECT" in fails(capsys, 2, "hls", mlp)
    assert "exists already" in fails(capsys, 2, "hls", mlp, "-o", tmp_path)
    assert "--emulate, which is not given" in fails(capsys, 2, "hls", mlp, "-o", tmp_path / "p", "--inputs", "x.npy")
    assert "goes without -o" in fails(capsys, 2, "hls", mlp, "-o", tmp_path / "p", "--read-report", tmp_path)
    assert "is not a build folder" in fails(capsys, 2, "hls", tmp_path / "none", "-o", tmp_path / "p")
    assert "does not exist" in fails(capsys, 2, "hls", mlp, "--emulate", "--inputs", tmp_path / "none.npy")


def test_what_is_missing_is_said_and_nothing_is_half_written(mlp, tmp_path, capsys, monkeypatch) -> None:
    project = tmp_path / "project"
    with monkeypatch.context() as without:
        without.setattr(emulation.shutil, "which", lambda _: None)
        assert "g++ is missing" in fails(capsys, 2, "hls", mlp, "-o", project, "--emulate")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "hls4ml", None)
        assert "pip install 'codesign[hls]'" in fails(capsys, 2, "hls", mlp, "-o", project)
    with monkeypatch.context() as broken:
        broken.setattr(emulation, "FLAGS", ("-no-such-flag",))
        assert "g++ does not compile" in fails(capsys, 2, "hls", mlp, "-o", project, "--emulate")
    assert not list(tmp_path.iterdir())


def test_backends_that_lack_something_are_refused_by_name(cnn, mlp, tmp_path, capsys) -> None:
    assert "takes --io parallel only" in fails(capsys, 2, "hls", cnn, "-o", tmp_path / "p", "--backend", "catapult")
    argv = ("hls", cnn, "-o", tmp_path / "p", "--backend", "quartus", "--io", "parallel")
    assert "node 'conv' (Conv): convolutions are laid out here for vitis and vivado only" in fails(capsys, 2, *argv)
    assert not list(tmp_path.iterdir())


def test_a_name_taken_by_another_extension_is_said(mlp, tmp_path, capsys, monkeypatch) -> None:
    from hls4ml.model.layers import Input, layer_map

    monkeypatch.setitem(layer_map, "CodesignOperator", Input)
    assert "has registered a layer named CodesignOperator" in fails(capsys, 2, "hls", mlp, "-o", tmp_path / "p")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ("catapult", "quartus"))
def test_a_perceptron_for_other_backends_equals_the_emulator(mlp, backend, capsys) -> None:
    assert hls(capsys, mlp, "--emulate", "--backend", backend)["emulated"]["mismatches"] == 0
