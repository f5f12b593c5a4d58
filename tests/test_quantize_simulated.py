"""Float networks by others, quantized and compiled by command: their RTL equals them; the noise that all bear."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cases, float_networks
from codesign.cli import main
from codesign.quantize import is_quantized, quantize, read_precision


@pytest.mark.slow
@pytest.mark.parametrize(("name", "images"), [("mnist", 50), ("kws", 10), ("squeezenet", 3), ("residual", 3)])
def test_eight_bits_compiled_and_simulated(shared_data, monkeypatch, tmp_path, capsys, name, images):
    monkeypatch.setattr(cases, "DATA", shared_data)
    case = cases.CASES[name]()
    files = {"cal": case.calibration[:100], "e": case.x[:300], "l": case.labels[:300], "few": case.x[:images]}
    for key, array in files.items():
        np.save(tmp_path / f"{key}.npy", array)
    build, file = str(tmp_path / "build"), {key: str(tmp_path / f"{key}.npy") for key in files}
    scored = ["--calibration", file["cal"], "--evaluation", file["e"], "--labels", file["l"], "--json"]
    assert main(["compile", str(case.model), "-o", build, *scored]) == 0
    accuracy = json.loads(capsys.readouterr().out)["quantization"]["accuracy"]
    assert accuracy["samples"] == 300 and accuracy["quantized"] > accuracy["float"] - 0.02
    assert main(["simulate", build, "--inputs", file["few"], "--stall-seed", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["samples"] == images and shown["mismatches"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["qonnx", "hls4ml"])
def test_every_float_network_keeps_30_db(shared_data, monkeypatch, folder):
    for module in (cases, float_networks):
        monkeypatch.setattr(module, "DATA", shared_data)
    # no weights; one whose shapes don't fit (ONNX Runtime refuses it, too); one that gives the same for every input
    refused = ("sdp.onnx", "three_layer_bn_keras.onnx", "dense_big_keras.onnx")
    paths: list[Path] = [p for p in float_networks.networks() if folder in p.parts and p.name not in refused]
    measured = 0
    for path in paths:
        graph = float_networks.read(path)
        if not is_quantized(graph):
            calibration, others = float_networks.inputs(str(path), graph)
            found = quantize(graph, calibration, read_precision("int8"))
            assert float_networks.outputs_db(graph, found, others) >= float_networks.BAR, path.name
            measured += 1
    assert measured >= 4
