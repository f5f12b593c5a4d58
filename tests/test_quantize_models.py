"""Post-training quantization of networks by others stays within the points of accuracy it may lose.

Scored on samples that took no part in calibration (see benchmarks/cases.py for which).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import cases
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.split import split
from codesign.quantize import quantize, read_precision

SCORED = 2000  # samples at most: enough to tell, in seconds


@pytest.mark.parametrize("name", cases.CASES)
def test_accuracy_after_quantization(shared_data, monkeypatch, name):
    monkeypatch.setattr(cases, "DATA", shared_data)
    case = cases.CASES[name]()
    case = replace(case, x=case.x[:SCORED], labels=case.labels[:SCORED])
    graph = import_model(case.model).graph
    real = cases.percent(cases.answers(graph, case), case)
    for precision, allowed in case.allowed.items():
        found = quantize(graph, {graph.inputs[0].name: case.calibration}, read_precision(precision))
        assert real - cases.percent(cases.answers(found.graph, case), case) <= allowed
        assert found.report.samples == len(case.calibration) and len(found.report.worst()) == 3


def test_a_separable_network_becomes_integers_that_equal_it(shared_data, monkeypatch):
    monkeypatch.setattr(cases, "DATA", shared_data)
    case = cases.kws()
    graph = import_model(case.model).graph
    name, out = graph.inputs[0].name, graph.outputs[0]
    quantized = quantize(graph, {name: case.calibration[:50]}, read_precision("w4a4"), steps=("bias",)).graph
    model = split(run_passes(quantized)[0])
    few = {name: case.x[:50]}
    assert abs(model.run(few)[out] - quantized.run(few)[out]).max() < 1e-6
