"""Every step's output compiles, and its RTL equals the integer model; kept weights reach the hardware unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codesign.cli import main
from codesign.compress.recipe import recipe_of
from codesign.compress.step import Data, products, rounded
from codesign.exporter import export_model
from codesign.importer import import_model
from codesign.quantize import quantize, read_precision
from tests.models import Model
from tests.test_compress import RECIPES

SLOW = ("--target-fps", "2000")  # everything folded: small designs
QUICK = ("bcsr", "blocks", "bfp", "binary-two-step", "tensor-ring-fc")  # of the others, minutes in all: `make test-all`


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> tuple[Path, Path]:
    """A model with the layer names of the recipes, and samples."""
    folder, rng = tmp_path_factory.mktemp("tiny"), np.random.default_rng(1)
    m = Model(1, 4, 4, 4)

    def w(*shape: int) -> str:
        return m.constant(rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])))

    c, norm = m.add("Conv", "x", w(4, 4, 3, 3), w(4), name="conv"), [m.constant(v) for v in np.eye(4) + 0.5]
    c = m.add("Relu", m.add("BatchNormalization", c, *norm))
    d = m.add("Relu", m.add("Conv", c, w(4, 1, 1, 1), w(4), group=4, name="depthwise"))
    p = m.add("Relu", m.add("Conv", d, w(8, 4, 1, 1), w(8), name="pointwise"))
    h = m.add("Relu", m.add("Gemm", m.add("Flatten", p, axis=1), w(32, 8), w(8), name="fc1"))
    path = m.save(folder / "tiny.onnx", m.add("Gemm", h, w(8, 4), w(4), name="fc2"))
    np.save(folder / "x.npy", rng.normal(size=(64, 4, 4, 4)).astype(np.float32))
    return path, folder / "x.npy"


def compressed(tiny: tuple[Path, Path], name: str, folder: Path) -> Path:
    graph = rounded(import_model(tiny[0]).graph)
    data = Data({graph.inputs[0].name: np.load(tiny[1])})
    for step in recipe_of(RECIPES[name]):
        graph = rounded(step.apply(graph, data)[0])
    export_model(graph, folder / "small.onnx")
    return folder / "small.onnx"


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else (pytest.mark.slow,)) for n in RECIPES])
def test_what_a_recipe_gives_compiles_and_its_rtl_equals_the_integers(tiny, tmp_path, capsys, name):
    build, few = tmp_path / "build", tmp_path / "few.npy"
    np.save(few, np.load(tiny[1])[:4])
    model = compressed(tiny, name, tmp_path)
    argv = ["compile", model, "-o", build, "--calibration", tiny[1], "--without", "rounding", *SLOW]
    assert main([str(a) for a in argv]) == 0
    capsys.readouterr()
    assert main(["simulate", str(build), "--inputs", str(few), "--stall-seed", "3", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["mismatches"] == 0 and shown["samples"] == 4


@pytest.mark.parametrize("name", [n for n in RECIPES if n not in ("uniform", "stochastic", "share-wide")])
def test_what_was_quantized_or_pruned_stays_so(tiny, tmp_path, name):
    """Integers of a recipe are those of the hardware, times a factor for each channel; zeros stay zeros."""
    graph = import_model(compressed(tiny, name, tmp_path)).graph
    samples = {graph.inputs[0].name: np.load(tiny[1])}
    found = {p.label: p for p in products(quantize(graph, samples, read_precision("int8")).graph)}
    for p in products(graph):
        given, made = p.columns, found[p.label].columns
        if p.quantized:
            factor = (made * given).sum(axis=0) / np.maximum((given**2).sum(axis=0), 1e-30)
            np.testing.assert_allclose(made, given * factor, rtol=1e-6, atol=1e-9)
        assert not made[given == 0].any()
