"""`codesign diff`: what is broken on purpose is named at the right tensor; what is whole is equal everywhere."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign import flow, serialize
from codesign.build import read_manifest
from codesign.cli import main
from codesign.diff import Networks, compare
from codesign.errors import CheckFailed
from codesign.formats import Binary, Int
from codesign.fusion import Journal
from codesign.importer import import_model
from codesign.ops.elementwise import Add
from codesign.passes import run_passes
from codesign.passes.check import sample_input
from codesign.passes.inputs import quantize_inputs
from codesign.passes.split import Model, split
from codesign.report import write_report
from codesign.unrounded import float_network, without_rounding
from sim import edges
from sim.toolchain import ToolMissing
from tests import models
from tests.pass_graphs import Net
from tests.test_joins import residual


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A quantized CNN, folded so far that its weights lie in memories; x.npy beside it."""
    folder = tmp_path_factory.mktemp("diff")
    np.save(folder / "x.npy", np.random.default_rng(0).uniform(0, 4, (20, 2, 8, 8)).astype(np.float32))
    model = models.cnn(folder / "m.onnx")
    assert main(["compile", str(model), "-o", str(folder / "build"), "--target-fps", "1000"]) == 0
    return folder / "build"


@pytest.fixture
def copy(built, tmp_path) -> Path:
    """A build that a test may damage."""
    shutil.copytree(built, tmp_path / "build")
    return tmp_path / "build"


def difference(build: Path, x: Path, capsys, *options: str, status: int = 0) -> tuple[dict, str]:
    """The JSON of `codesign diff`, and what it says on standard error."""
    capsys.readouterr()
    assert main(["diff", str(build), "--inputs", str(x), "--json", *options]) == status
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def samples(built: Path) -> Path:
    return built.parent / "x.npy"


def change(build: Path, tensor: str, **changes: np.ndarray) -> None:
    """Other attributes for one operator of the accelerator's integer graph."""
    model: Model = serialize.load(build / "model.npz")
    core = model.core
    nodes = [replace(n, op=replace(n.op, **changes)) if n.name == tensor else n for n in core.nodes]  # type: ignore[type-var]
    serialize.save(Model(model.before, core.replace(nodes), model.after), build / "model.npz")


def threshold(build: Path, tensor: str) -> np.ndarray:
    return serialize.load(build / "model.npz").core.by_name[tensor].op.thresholds


def test_a_sound_build_is_equal_everywhere(built, capsys):
    result, said = difference(built, samples(built), capsys)
    assert not said and result["first"] is None and not result["ties"] and not result["failed"]
    rows = {r["tensor"]: r for r in result["rows"]}
    assert rows["t3"]["fused_into"] == "t4.1" and rows["t3"]["integer"] is None
    assert all(r["integer"] or r["fused_into"] for r in rows.values() if not r["same_elements"])
    assert not any(e["differing"] for r in rows.values() for e in (r["integer"], r["rtl"]) if e)
    assert rows["t7"]["integers"] == "t7_int" and rows["t9.1"]["rtl"]["values"] >= 20 * 2 * 2 * 4
    assert result["rtl"]["samples"] == 20 and result["rtl"]["edges"] == len(read_manifest(built)["rtl"]["edges"])
    assert read_manifest(built)["results"]["diff"]["source"] == result["source"]


def test_a_changed_weight_in_the_rtl_is_named(copy, built, capsys):
    rtl = copy / "rtl/accelerator.v"
    text, used = rtl.read_text(), r"module \\accelerator\.t9_1_activation\.core\.timed\.sums .*?(netlist_\w+) netlist"
    (name,) = re.findall(used, text, re.DOTALL)
    place = text.index("`else", text.index(f"module {name}("))  # what is simulated
    (table,) = re.findall(r"64'h([0-9a-f]+) >>", text[place:])[:1]  # a bit of the weights, by fold
    changed = text[place:].replace(table, f"{int(table, 16) ^ 0b111:x}", 1)
    rtl.write_text(text[:place] + changed)
    result, said = difference(copy, samples(built), capsys, status=1)
    first = result["first"]
    assert (first["tensor"], first["between"]) == ("t9.1", ["integer", "RTL"]) and "t9_1_activation →" in first["edge"]
    assert "tensor 't9.1' (layer 'Quant:t9')" in said
    assert re.search(r"sample \d+, index \(\d, \d, \d\) is \d+ \(RTL\), should be \d+ \(integer\)", said)
    rows = {r["tensor"]: r for r in result["rows"]}
    assert not rows["t5"]["rtl"]["differing"] and not rows["t9.1"]["integer"]["differing"]
    assert rows["t9.1"]["rtl"]["first"]["wanted"] == first["wanted"] != first["got"]
    assert rows["t7"]["rtl"] is None  # the depthwise product ends inside of the stage that quantizes it


def test_a_changed_threshold_of_the_integer_network_is_named(copy, built, capsys):
    marks = threshold(copy, "t9.1").copy()
    marks[:, 4] += 2
    change(copy, "t9.1", thresholds=np.sort(marks))
    result, said = difference(copy, samples(built), capsys, "--no-rtl", status=1)
    first = result["first"]
    assert (first["tensor"], first["between"]) == ("t9.1", ["quantized", "integer"])
    assert (first["wanted"], first["got"]) == (5, 4) and "should be 5 (quantized)" in said
    assert not result["ties"] and result["rtl"]["missing"] == "switched off by --no-rtl"


def test_a_badly_calibrated_layer_adds_most_noise(built):
    """A quantizer of a range that its tensor leaves stands out, not the layers behind it."""
    quantized = serialize.load(built / "source.npz")
    bad = [
        replace(n, op=replace(n.op, scale=(n.op.scale[0] / 16,))) if n.name == "t9.1" else n  # type: ignore[type-var]
        for n in quantized.nodes
    ]
    broken = quantized.replace(bad)
    real = without_rounding(quantized)
    networks = Networks(real, broken, split(run_passes(broken)[0]))
    rows, ties = compare(networks, {"x": np.load(samples(built))})
    added = {r.tensor: r.added.sqnr_db for r in rows if r.added}
    assert min(added, key=lambda name: added[name]) == "t9.1" and added["t9.1"] < 3 < min(added["t4.1"], added["t12.1"])
    assert not ties and not any(r.integer.differing for r in rows if r.integer)


def test_a_difference_at_a_rounding_tie_is_counted_and_excused(copy, built, tmp_path, capsys):
    x = np.load(samples(built))
    x[5, 0, 0, 0] = 0.125  # half a step of the first quantizer, where thresholds may lie on either side
    np.save(tmp_path / "x.npy", x)
    model: Model = serialize.load(copy / "model.npz")
    (name,) = [n.name for n in model.before.nodes if hasattr(n.op, "thresholds")]
    op = model.before.by_name[name].op
    marks = op.thresholds.copy()  # type: ignore[attr-defined]
    marks[0, 0] = 0.125 if marks[0, 0] > 0.125 else np.nextafter(np.float32(0.125), np.float32(1))
    nodes = [replace(n, op=replace(op, thresholds=marks)) if n.name == name else n for n in model.before.nodes]  # type: ignore[type-var]
    serialize.save(Model(model.before.replace(nodes), model.core, model.after), copy / "model.npz")
    result, _ = difference(copy, tmp_path / "x.npy", capsys, "--no-rtl")
    assert result["ties"] == [5] and result["first"] is None
    assert sum(r["integer"]["ties"] for r in result["rows"] if r["integer"]) > 0


def test_without_a_compiler_the_networks_are_still_compared(built, capsys, monkeypatch):
    def missing(*programs: str) -> None:
        raise ToolMissing(f"{programs[0]} is missing")

    monkeypatch.setattr(edges, "require_compiler", missing)
    result, _ = difference(built, samples(built), capsys)
    assert result["rtl"] == {"samples": 0, "edges": 0, "values": 0, "missing": "g++ is missing"}
    assert main(["diff", str(built), "--inputs", str(samples(built))]) == 0
    assert "RTL: not compared: g++ is missing" in capsys.readouterr().out


def test_a_design_that_stalls_is_said_beside_the_networks(built, capsys, monkeypatch):
    def stalls(*_: object) -> None:
        raise CheckFailed("the design stalled at cycle 7")

    monkeypatch.setattr(flow, "record_edges", stalls)
    result, said = difference(built, samples(built), capsys, status=1)
    assert "the design stalled at cycle 7" in said and result["rtl"]["missing"] == "the design stalled at cycle 7"
    assert result["first"] is None and any(r["integer"] for r in result["rows"])


def test_verilog_that_cannot_be_read_is_the_input_s_fault(copy, built, capsys):
    (copy / "rtl/accelerator.v").write_text("module accelerator(")
    assert main(["diff", str(copy), "--inputs", str(samples(built))]) == 2
    assert "cannot be built" in capsys.readouterr().err


def test_the_table_and_the_report_say_the_same(built, capsys):
    assert main(["diff", str(built), "--inputs", str(samples(built)), "--no-rtl"]) == 0
    text, page = capsys.readouterr().out, write_report(built).read_text()
    for words in ("Quant:t12", "◀ noise 1", "by its own rounding", "first divergence: none", "activations clipped"):
        assert words in text and words in page


def test_a_calibrated_build_is_compared_with_its_float_network(tmp_path, capsys):
    m, rng = models.Model("batch", 4), np.random.default_rng(0)
    hidden = m.add("Relu", m.add("MatMul", "x", m.constant(rng.normal(size=(4, 8))), name="fc1"))
    path = m.save(tmp_path / "m.onnx", m.add("MatMul", hidden, m.constant(rng.normal(size=(8, 3))), name="fc2"))
    np.save(tmp_path / "x.npy", rng.normal(size=(200, 4)).astype(np.float32))
    build = tmp_path / "build"
    assert main(["compile", str(path), "-o", str(build), "--calibration", str(tmp_path / "x.npy")]) == 0
    result, _ = difference(build, tmp_path / "x.npy", capsys, "--no-rtl")
    assert "before quantization" in result["float"]
    real, x = serialize.load(build / "float.npz"), np.load(tmp_path / "x.npy")
    row = result["rows"][-1]
    wanted = import_model(path).graph.run({"x": x})[real.outputs[0]]
    got = serialize.load(build / "source.npz").run({"x": x})[real.outputs[0]]
    noise = ((wanted - got) ** 2).sum()
    assert row["tensor"] == real.outputs[0] and row["sqnr_db"] == pytest.approx(
        10 * np.log10((wanted**2).sum() / noise), abs=0.1
    )
    worst = np.unravel_index(np.abs(wanted - got).argmax(), wanted.shape)
    at = row["largest_error"]
    assert (at["sample"], *at["index"]) == tuple(worst) and at["got"] == pytest.approx(got[worst])


def test_rounding_is_bypassed_and_clipping_kept():
    net = Net(3)
    low = net.quantize("x", Int.of(4, signed=True), (0.5,), (-8,))  # a ReLU folded into the range, as int8 models do
    sign = net.quantize(low, Binary(), (1.0,))
    graph = net.graph(low, sign)
    real = without_rounding(graph)
    assert real is not None
    x = np.array([[-3.0, 0.3, 99.0]])
    clipped, signs = (real.run({"x": x})[o] for o in real.outputs)
    np.testing.assert_array_equal(clipped, [[0.0, 0.3, 7.5]])
    np.testing.assert_array_equal(signs, [[1, 1, 1]])
    twice = without_rounding(net.graph(net.quantize(low, Int.of(2, signed=True), (1.0,))))
    assert twice is not None
    np.testing.assert_array_equal(twice.run({"x": x})[twice.outputs[0]], [[0.0, 0.3, 1.0]])
    only_signs = Net(3)
    assert float_network(only_signs.graph(only_signs.quantize("x", Binary(), (1.0,))), None)[0] is None


QDQ = ("kws/kws_dscnn_int8_qdq.onnx", "cifar10/ic_residual_int8_qdq.onnx", "mnist/TFC_1W1A.onnx", "mnist/TFC_2W2A.onnx")


@pytest.mark.parametrize("model", QDQ)
def test_a_name_means_the_same_number_in_every_graph(shared_data, model):
    """What `diff` rests on: no pass gives an old name to another number."""
    quantized = quantize_inputs(import_model(shared_data / "models" / model).graph, Journal())
    networks = Networks(None, quantized, split(run_passes(quantized)[0]))
    feeds = {i.name: sample_input(i, 2, seed=0) for i in quantized.inputs}
    rows, ties = compare(networks, feeds)
    assert not ties and not [r.tensor for r in rows if r.integer and r.integer.differing]
    assert sum(r.integer is not None for r in rows) >= len(networks.integer.core.outputs) + 5


def test_every_sum_that_stands_for_another_has_a_name_of_its_own():
    """Joins of scales without a common step compute other numbers than the sum, with the same results behind it."""
    graph = residual(Add(), 0.11806323, -7, 0.1593415, 10, 0.18202087, 2, ("relu",))
    networks = Networks(None, graph, split(run_passes(graph)[0]))
    feeds = {i.name: sample_input(i, 50, seed=k) for k, i in enumerate(graph.inputs)}
    rows, _ = compare(networks, feeds)
    assert not [r.tensor for r in rows if r.integer and r.integer.differing]
    assert any(r.fused_into and isinstance(graph.by_name[r.tensor].op, Add) for r in rows)
