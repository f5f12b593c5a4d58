"""Binarization by ADMM, hashing and two steps is no worse than signs and mean magnitudes: chosen on one split of the
samples, scored on another."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from benchmarks import cases
from codesign.accuracy import accuracy_of
from codesign.compress.binarize import Binarize, admm, best, hashing, project, sign_and_scale
from codesign.compress.report import outputs
from codesign.compress.step import Data, rounded
from codesign.compress.storing import literal
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.quantize.canonical import fold_norms, layers_of
from codesign.quantize.statistics import Statistics
from codesign.quantize.weight_formats import weight_format

BY_SAMPLES = ("admm", "hashing", "two-step")
SCORED = 2000  # at most


def statistics(seed: int, inputs: int = 12, outputs: int = 5) -> tuple[np.ndarray, Statistics]:
    """Real weights, and what correlated inputs give."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, inputs)) @ rng.normal(size=(inputs, inputs)) + 1
    w = rng.normal(size=(inputs, outputs))
    y = x @ w
    n = len(x)
    return w, Statistics((x.T @ x / n)[None], (x.T @ y / n)[None], x.mean(axis=0)[None], y.mean(axis=0)[None])


def error(real: np.ndarray, w: np.ndarray, s: Statistics) -> np.ndarray:
    """Of each output's result around its mean."""
    form, _ = s.covariance
    gap = real - w
    return (gap * (form[0] @ gap)).sum(axis=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", [admm, hashing])
def test_signs_by_samples_give_results_nearer_than_signs_of_weights(method, seed):
    w, s = statistics(seed)
    plain, found = sign_and_scale(w), method(weight_format("binary"))(w, s)
    assert set(np.unique(found.codes)) <= {-1.0, 1.0} and (found.scale > 0).all()
    fitted = best([plain], w, s)
    assert error(found.real, w, s).sum() < error(fitted.real, w, s).sum() <= error(plain.real, w, s).sum() * 1.05


def test_a_projection_cannot_be_improved_by_its_scale_or_its_levels():
    w = np.random.default_rng(3).normal(size=(1, 30, 4))
    for name in ("binary", "ternary", "int3"):
        codes, scale = project(w, weight_format(name))
        assert set(np.unique(codes)) <= set(weight_format(name).levels.members.tolist())  # type: ignore[attr-defined]
        least = ((codes * scale - w) ** 2).sum(axis=1)
        for factor in (0.98, 1.02):
            assert (((codes * scale * factor - w) ** 2).sum(axis=1) > least).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "kws"])
@pytest.mark.parametrize("method", BY_SAMPLES)
def test_no_worse_than_plain_on_other_samples(shared_data, monkeypatch, name, method):
    monkeypatch.setattr(cases, "DATA", shared_data)
    accuracies = {m: accuracy(name, m) for m in ("plain", method)}
    errors = {m: layer_errors(name, m) for m in ("plain", method)}
    print(f"{name}, {method}: accuracy {accuracies}, errors {errors}")
    assert accuracies[method] >= accuracies["plain"]
    for label, plain in errors["plain"].items():
        assert errors[method][label] <= plain, label


@cache
def given(name: str) -> tuple[Graph, Data, dict[str, np.ndarray], np.ndarray]:
    """A network, samples to choose by, others to score, and the labels of these."""
    case = cases.CASES[name]()
    graph = rounded(import_model(case.model).graph)
    i = graph.inputs[0].name
    return graph, Data({i: case.calibration}), {i: case.x[:SCORED]}, case.labels[:SCORED]


@cache
def accuracy(name: str, method: str) -> float:
    """With all layers binary."""
    graph, data, scored, labels = given(name)
    found, _ = Binarize(method).apply(graph, data)
    return accuracy_of(next(iter(outputs(found, scored).values())), labels)["accuracy"]


@cache
def layer_errors(name: str, method: str) -> dict[str, float]:
    """Of each layer's result where it alone is binary, as a share of its power; on samples that chose nothing."""
    graph, data, scored, _ = given(name)
    some = {k: v[:300] for k, v in scored.items()}
    layers = layers_of(fold_norms(graph))
    wanted = graph.run(some, [layer.result for layer in layers])
    errors = {}
    for layer in layers:
        found, _ = Binarize(method, literal(layer.label)).apply(graph, data)
        got = found.run(some, [layer.result])[layer.result]
        errors[layer.label] = float(((got - wanted[layer.result]) ** 2).sum() / (wanted[layer.result] ** 2).sum())
    return errors
