"""Post-training quantization of small networks: what it costs, that integers come out, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.formats import Int
from codesign.ops.conv import Conv
from codesign.ops.quantize import Quantize
from codesign.passes import run_passes
from codesign.passes.split import split
from codesign.quantize import is_quantized, quantize, read_precision
from codesign.quantize.canonical import fold_norms, layers_of
from codesign.quantize.insert import quantized_name
from tests.quantize_graphs import NETWORKS, Net, samples, sequential


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", ["int8", "w4a4"])
def test_the_result_becomes_integers_that_equal_it(network, precision):
    graph = network()
    feeds = samples(graph)
    quantized = quantize(graph, feeds, read_precision(precision)).graph
    model = split(run_passes(quantized)[0])
    out = graph.outputs[0]
    np.testing.assert_allclose(model.run(feeds)[out], quantized.run(feeds)[out], rtol=1e-9, atol=1e-9)
    assert all(t.is_integer for t in model.core.types.values())
    assert not any(isinstance(n.op, Conv) for g in (model.before, model.after) for n in g.nodes)


@pytest.mark.parametrize("network", NETWORKS)
def test_eight_bits_keep_30_db_and_four_keep_less(network):
    graph = network()
    found = [quantize(graph, samples(graph), read_precision(p)).report for p in ("int8", "w4a4")]
    assert found[0].outputs[graph.outputs[0]] > 30 > found[1].outputs[graph.outputs[0]] > 8
    assert [r.layer for r in found[0].layers] == [layer.label for layer in layers_of(fold_norms(graph))]


def test_noise_in_the_report_is_that_of_other_samples_too():
    graph = sequential()
    result = quantize(graph, samples(graph), read_precision("int8"))
    fresh = {"x": np.random.default_rng(9).normal(size=(200, 8, 8, 2))}
    out = graph.outputs[0]
    wanted, got = graph.run(fresh)[out], result.graph.run(fresh)[out]
    measured = 10 * np.log10((wanted**2).sum() / ((wanted - got) ** 2).sum())
    assert abs(measured - result.report.outputs[out]) < 3


def test_the_last_layer_stays_an_accumulator():
    result = quantize(sequential(), samples(sequential()), read_precision("int8"))
    assert result.report.layers[-1].activations == "accumulator"
    assert quantized_name("fc") not in result.graph.types


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {}, "no samples for input 'x'"),
        (lambda x: {"x": x[:, :4]}, r"has shape \(64, 4, 8, 2\); it must be \(samples, 8, 8, 2\)"),
        (lambda x: {"x": x[0]}, "it must be"),
        (lambda x: {"x": x[:0]}, "holds no sample"),
        (lambda x: {"x": np.where(x > 2, np.nan, x)}, "NaN"),
        (lambda x: {"x": x * 0}, "collapses"),
        (lambda x: {"x": x * 0 + 3}, "'x' is 3 everywhere"),
        (lambda x: {"x": x.astype(str)}, "no numbers"),
        (lambda x: {"x": x * 1e-30}, "collapses|so much alike"),
        (lambda x: {"x": np.repeat(x[:1], 9, axis=0)}, "so much alike"),
        (lambda x: {"x": np.where(x > 2, np.inf, x)}, "infinity"),
    ],
)
def test_bad_calibration_is_refused_in_one_line(change, message):
    with pytest.raises(UserError, match=message) as e:
        quantize(sequential(), change(samples(sequential())["x"]), read_precision("int8"))
    assert "\n" not in str(e.value)


def test_networks_that_cannot_be_quantized():
    n = Net(4)
    with pytest.raises(UserError, match="no product"):
        quantize(n.graph(n.relu("x")), samples(n.graph("x")), read_precision("int8"))
    result = quantize(sequential(), samples(sequential()), read_precision("int8")).graph
    assert is_quantized(result) and not is_quantized(sequential())
    with pytest.raises(UserError, match="quantized already"):
        quantize(result, samples(sequential()), read_precision("int8"))


def test_progress_names_every_layer():
    said: list[str] = []
    quantize(sequential(), samples(sequential()), read_precision("int8"), progress=said.append)
    assert [s for s in said if "depthwise" in s] == ["fitting layer 2 of 3: depthwise"]


def test_each_layer_gets_its_own_format(tmp_path):
    path = tmp_path / "mixed.yaml"
    path.write_text("depthwise: {weights: ternary, activations: uint2}\n'*': {weights: 'posit(8, 0)'}\n")
    result = quantize(sequential(), samples(sequential()), read_precision(str(path)))
    assert [(r.weights, r.activations) for r in result.report.layers] == [
        ("posit(8, 0)", "uint8"), ("ternary", "uint2"), ("posit(8, 0)", "accumulator"),
    ]  # fmt: skip
    formats = [n.op.format for n in result.graph.nodes if isinstance(n.op, Quantize)]
    assert [f.hi for f in formats if isinstance(f, Int)] == [255, 255, 3, 3]
    split(run_passes(result.graph)[0])
