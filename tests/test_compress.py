"""Recipes, the command, and what it reports, against counts in the file that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codesign.cli import main
from codesign.compress import STEPS
from codesign.compress.count import count
from codesign.compress.neurons import nonzero_shares, rectified
from codesign.compress.recipe import read_recipe, recipe_of, written
from codesign.compress.step import Data, products, rounded, with_weights
from codesign.errors import UserError
from codesign.exporter import export_model
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.ops.elementwise import Add
from tests.models import Model
from tests.onnx_count import count_file


def small_cnn(folder: Path) -> Path:
    """conv 3x3 - batch norm - relu - depthwise - pointwise - pool - two fc layers, with float weights."""
    rng = np.random.default_rng(1)
    m = Model(1, 2, 8, 8)

    def w(*shape: int) -> str:
        return m.constant(rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])))

    c = m.add("Conv", "x", w(8, 2, 3, 3), pads=[1, 1, 1, 1], name="conv")
    norm = [
        m.constant(v) for v in (rng.uniform(0.5, 2, 8), rng.normal(size=8), rng.normal(size=8), rng.uniform(0.5, 2, 8))
    ]
    c = m.add("Relu", m.add("BatchNormalization", c, *norm, name="norm"))
    d = m.add("Relu", m.add("Conv", c, w(8, 1, 3, 3), w(8), group=8, pads=[1, 1, 1, 1], name="depthwise"))
    p = m.add("Relu", m.add("Conv", d, w(8, 8, 1, 1), w(8), name="pointwise"))
    f = m.add("Flatten", m.add("MaxPool", p, kernel_shape=[4, 4], strides=[4, 4]), axis=1)
    h = m.add("Relu", m.add("Gemm", f, w(32, 16), w(16), name="fc1"))
    return m.save(folder / "cnn.onnx", m.add("Gemm", h, w(16, 4), w(4), name="fc2"))


@pytest.fixture(scope="module")
def cnn(tmp_path_factory) -> Path:
    return small_cnn(tmp_path_factory.mktemp("cnn"))


@pytest.fixture(scope="module")
def graph(cnn) -> Graph:
    return rounded(import_model(cnn).graph)


@pytest.fixture(scope="module")
def data(graph) -> Data:
    x = np.random.default_rng(2).normal(size=(64, 2, 8, 8)).astype(np.float32)
    return Data({graph.inputs[0].name: x})


PRUNED = {"prune": {"sparsity": 0.6, "layers": "conv, @pointwise, fc1"}}
RECIPES = {
    "prune": [{"prune": {"sparsity": 0.6}}],
    "prune-global": [{"prune": {"sparsity": 0.6, "scope": "global"}}],
    "csr": [PRUNED, "csr"],
    "csr-huffman": [PRUNED, {"csr": {"huffman": True}}],
    "bcsr": [PRUNED, {"bcsr": {"block": "2x2"}}],
    "n-of-m": ["n-of-m"],
    "blocks": [{"blocks": {"sparsity": 0.5, "simd": 4, "pe": 2, "layers": "conv, fc1"}}],
    "apoz": [{"apoz": {"sparsity": 0.4}}],
    "share": [{"share": {"bits": 3}}],
    "share-wide": [{"share": {"bits": 5, "start": "density"}}],
    "share-pruned": [PRUNED, {"share": {"bits": 2, "start": "random"}}, "huffman"],
    "circulant": [{"circulant": {"block": 4}}],
    "uniform": [{"uniform": {"bits": 4}}],
    "stochastic": [{"uniform": {"bits": 6, "stochastic": True, "layers": "fc*"}}],
    "balanced": [{"balanced": {"bits": 2}}],
    "int4": [{"quantize": {"weights": "int4"}}, {"huffman": {"layers": "fc*"}}],
    "uint5": [{"quantize": {"weights": "uint5"}}],
    "pow2": [{"quantize": {"weights": "pow2(4)"}}],
    "csd": [{"quantize": {"weights": "csd(8, digits=2)"}}],
    "ternary": [{"quantize": {"weights": "ternary", "layers": "@fc"}}, {"csr": {"layers": "@fc"}}],
    "fp8": [{"quantize": {"weights": "fp8_e4m3"}}],
    "bfp": [{"quantize": {"weights": "bfp(6, block=8)"}}],
    "posit": [{"quantize": {"weights": "posit(8, 0)"}}],
    "bfloat16": [{"quantize": {"weights": "bfloat16"}}],
    "binary": [{"binarize": {"layers": "point*"}}],
    "binary-admm": [{"binarize": {"method": "admm"}}],
    "binary-hashing": [{"binarize": {"method": "hashing", "layers": "fc1"}}],
    "binary-two-step": [{"binarize": {"method": "two-step", "activations": 4}}],
    "admm": [{"admm": {"weights": "int2"}}],
    "huffman": [PRUNED, {"huffman": {"layers": "@fc"}}],
    "svd": [{"svd": {"rank": 2, "layers": "conv, fc1"}}],
    "svd-input": [{"svd": {"rank": 2, "form": "input", "layers": "conv"}}],
    "svd-separable": [{"svd": {"energy": 0.7, "form": "separable", "layers": "conv"}}],
    "svd-responses": [{"svd": {"share": 0.7, "responses": True}}],
    "kronecker": [{"kronecker": {"rank": 1, "layers": "conv, pointwise"}}],
    "kronecker-fc": [{"kronecker": {"error": 0.8, "layers": "@fc", "responses": True}}],
    "cp": [{"cp": {"rank": 3, "layers": "conv"}}],
    "tucker": [{"tucker": {"rank": 2, "layers": "conv"}}],
    "tensor-train": [{"tensor-train": {"rank": 2, "layers": "conv"}}],
    "tensor-train-fc": [{"tensor-train": {"rank": 2, "layers": "fc1", "responses": True}}],
    "tensor-ring": [{"tensor-ring": {"rank": 2, "layers": "conv"}}],
    "tensor-ring-fc": [{"tensor-ring": {"rank": 2, "parts": 2, "layers": "fc*"}}],
    "block-term": [{"block-term": {"rank": 2, "layers": "conv"}}],
    "filter-norm": [{"filter-norm": {"sparsity": 0.4, "norm": "l2"}}],
    "geometric-median": [{"geometric-median": {"sparsity": 0.4, "multiple": 2}}],
    "slimming": [{"slimming": {"sparsity": 0.4, "layers": "conv"}}],
    "thinet": [{"thinet": {"sparsity": 0.4}}],
    "lasso": [{"lasso": {"sparsity": 0.4}}],
    "surgeon": [{"surgeon": {"sparsity": 0.4, "scope": "global"}}, {"svd": {"rank": 2, "layers": "fc1"}}],
}


@pytest.mark.parametrize("name", RECIPES)
def test_counts_equal_those_of_the_file(graph, data, tmp_path, name):
    found = graph
    for step in recipe_of(RECIPES[name]):
        found, notes = step.apply(found, data)
        found = rounded(found)
        assert notes
    export_model(found, tmp_path / "y.onnx")
    counted, reported = count_file(tmp_path / "y.onnx"), count(found)
    assert (counted.parameters, counted.macs, counted.bytes) == (reported.parameters, reported.macs, reported.bytes)
    again, x = import_model(tmp_path / "y.onnx").graph, data.samples
    np.testing.assert_array_equal(again.run(x)[again.outputs[0]], found.run(x)[found.outputs[0]])


def test_every_step_is_among_the_recipes() -> None:
    used = {s.name for r in RECIPES.values() for s in recipe_of(r)}
    assert used == {s.name for s in STEPS}


def test_pruning_removes_the_smallest(graph):
    (step,) = recipe_of([{"prune": {"sparsity": 0.75, "layers": "fc*"}}])
    after = {p.label: p.value for p in products(step.apply(graph, None)[0])}
    for p in products(graph):
        gone = after[p.label] == 0
        if not p.label.startswith("fc"):
            np.testing.assert_array_equal(after[p.label], p.value)
        else:
            assert gone.sum() == 0.75 * p.value.size
            assert np.abs(p.value[gone]).max() <= np.abs(p.value[~gone]).min()


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ([], "holds no step; known are prune"),
        (["shrink"], "step 1: 'shrink' is no step; known are prune"),
        ([{"prune": {}}], "'prune' needs 'sparsity'"),
        ([{"prune": {"sparsity": 2}}], "it must be from 0 to 1"),
        ([{"prune": {"sparsity": True}}], "it must be a number"),
        ([{"prune": {"sparsity": 0.5, "layer": "x"}}], "no parameter 'layer'; it has sparsity, layers"),
        (["csr", {"prune": [1]}], "step 2: 'prune' takes parameters by name"),
        ([{"csr": {}, "prune": {}}], "a step is its name and its parameters"),
        ([{"bcsr": {"block": "0x4"}}], "not of the form 4x4"),
    ],
)
def test_recipes_are_checked(recipe, words):
    with pytest.raises(UserError, match=words):
        recipe_of(recipe)


def test_layers_that_are_not_there_are_told(graph):
    for layers, words in (("konv*", "match no layer; the layers are conv"), ("@dense", "kinds of layers are @conv")):
        (step,) = recipe_of([{"prune": {"sparsity": 0.5, "layers": layers}}])
        with pytest.raises(UserError, match=words):
            step.apply(graph, None)


def test_a_recipe_is_written_as_it_is_read(tmp_path):
    steps = recipe_of([{"prune": {"sparsity": 0.5, "layers": "conv, @fc"}}, "csr"])
    (tmp_path / "r.yaml").write_text(written(steps))
    assert read_recipe(tmp_path / "r.yaml") == steps
    (tmp_path / "r.yaml").write_text("prune: 0.5")
    with pytest.raises(UserError, match="must hold one list"):
        read_recipe(tmp_path / "r.yaml")
    with pytest.raises(UserError, match="cannot read"):
        read_recipe(tmp_path / "missing.yaml")


def test_the_command_reports_every_step(cnn, data, tmp_path, capsys):
    x = next(iter(data.samples.values()))
    np.save(tmp_path / "x.npy", x[:48])
    np.save(tmp_path / "e.npy", x[40:])
    np.save(tmp_path / "l.npy", np.zeros(24, np.int64))
    (tmp_path / "r.yaml").write_text("steps: [{prune: {sparsity: 0.5}}, csr]")
    argv = ["compress", cnn, "-o", tmp_path / "y.onnx", "--recipe", tmp_path / "r.yaml"]
    for option, name in (("--calibration", "x"), ("--evaluation", "e"), ("--labels", "l")):
        argv += [option, tmp_path / f"{name}.npy"]
    assert main([str(a) for a in [*argv, "--json"]]) == 0
    out = capsys.readouterr()
    result = json.loads(out.out)
    assert "8 of the samples scored are calibration samples" in out.err
    given, pruned, stored = result["steps"]
    assert given["sqnr_db"] > 120 and pruned["sqnr_db"] < 40 and stored["sqnr_db"] == pruned["sqnr_db"]
    assert stored["count"]["bytes"] < pruned["count"]["bytes"] == given["count"]["bytes"]
    assert all(s["hardware"]["figures"]["lut"] > 0 and s["hardware"]["energy_pj"] > 0 for s in result["steps"])
    assert count_file(tmp_path / "y.onnx").bytes == stored["count"]["bytes"]
    assert main([str(a) for a in argv]) == 0
    shown = capsys.readouterr().out
    assert "prune" in shown and "cycles a frame" in shown and "estimate, 45 nm" in shown.replace("\n", " ")


def test_labels_alone_are_refused(cnn, tmp_path, capsys):
    (tmp_path / "r.yaml").write_text("steps: [{prune: {sparsity: 0.5}}]")
    argv = ["compress", cnn, "-o", tmp_path / "y.onnx", "--recipe", tmp_path / "r.yaml", "--labels", "l.npy"]
    assert main([str(a) for a in argv]) == 2
    assert "--evaluation" in capsys.readouterr().err


def test_the_channel_that_is_never_used_goes_first(graph, data):
    """An offset far below zero keeps a rectified channel at zero."""
    name = next(n.inputs[1] for n in graph.nodes if n.origin == "norm" and isinstance(n.op, Add))
    offset = graph.constants[name].copy()
    offset.reshape(-1)[5] = -1000.0
    silent = with_weights(graph, {name: offset})
    end = rectified(silent, products(silent)[0].node.name)
    assert nonzero_shares(silent, [end], data.samples)[end][5] == 0
    smaller, notes = recipe_of([{"apoz": {"sparsity": 0.125, "layers": "conv"}}])[0].apply(silent, data)
    assert notes == ("conv: 7 of 8 channels stay",)
    before, after = (next(p.value for p in products(g) if p.label == "depthwise") for g in (silent, smaller))
    np.testing.assert_array_equal(after, np.delete(before, 5, axis=-1))
