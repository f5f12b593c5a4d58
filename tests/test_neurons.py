"""Truth-table neurons: enumerated, shared, chosen by cost; and the styles that a user may ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cli import main
from codesign.formats import Binary, Format, Int
from hw.netlist.cells import Lut, Netlist
from hw.netlist.dense import Dense, dense
from hw.netlist.neurons import MOST_BITS, from_table
from hw.netlist.run import run
from hw.netlist.verilog import module
from hw.stages.unrolled import Unrolled
from hw.stream import StreamType
from hw.yosys import run_yosys
from tests.models import Model
from tests.stage_harness import check_stage
from tests.test_netlist import bits_of, codes, golden, number_of, random_layer


def sparse(layer: Dense, inputs: int, seed: int) -> Dense:
    """Every neuron reads at most so many inputs."""
    rng, weights = np.random.default_rng(seed), layer.weights.copy()
    for column in weights.T:
        column[rng.permutation(len(column))[inputs:]] = 0
    return replace(layer, weights=weights)


def every(x: Format, inputs: int) -> np.ndarray:
    """All vectors of so many inputs."""
    values = np.arange(x.lo, x.hi + 1)[:: 2 if isinstance(x, Binary) else 1]
    return np.stack(np.meshgrid(*[values] * inputs, indexing="ij"), axis=-1).reshape(-1, inputs)


def made(layer: Dense, x: Format, gates: str) -> Netlist:
    n = Netlist()
    bits = n.input("x", len(layer.weights) * x.bits)
    inputs = [bits[k * x.bits : (k + 1) * x.bits] for k in range(len(layer.weights))]
    n.output("y", [bit for code in dense(n, layer, inputs, x, gates) for bit in code])
    return n


def luts(n: Netlist) -> int:
    return sum(isinstance(cell, Lut) for cell in n.cells)


@settings(deadline=None, max_examples=25)
@given(size=st.integers(1, 10), width=st.integers(1, 4), kinds=st.integers(1, 40), seed=st.integers(0, 1 << 16))
def test_a_table_is_its_values(size: int, width: int, kinds: int, seed: int) -> None:
    """From few different values, which decompose, to random ones; every row."""
    rng, n = np.random.default_rng(seed), Netlist()
    table = rng.integers(0, 1 << width, kinds)[np.sort(rng.integers(0, kinds, 1 << size))]
    n.output("y", from_table(n, table, width, n.input("x", size)))
    found = run(n, {"x": bits_of(np.arange(1 << size), size)})["y"]
    assert (number_of(found) == table).all()
    if size <= 6:
        assert luts(n) <= width


@settings(deadline=None, max_examples=25)
@given(
    x=st.sampled_from([Int(0, 15), Int(-8, 7), Int(0, 5), Int(0, 1), Binary()]), levels=st.sampled_from([0, 1, 3, 15]),
    gates=st.sampled_from(["auto", "table", "unrolled"]), seed=st.integers(0, 1 << 16),
)  # fmt: skip
def test_a_sparse_layer_is_its_golden_model_on_every_input(x: Format, levels: int, gates: str, seed: int) -> None:
    inputs = 3 if x.bits > 1 else 8
    layer = sparse(random_layer(x, (inputs, 5), levels, "any", seed), 3 if x.bits > 1 else 6, seed)
    values = every(x, inputs)
    found = run(made(layer, x, gates), {"x": codes(values, x)})["y"]
    assert (found == codes(golden(layer, values), layer.output)).all()


def test_the_cheaper_is_taken_neuron_by_neuron() -> None:
    """Never dearer than either; here cheaper than sums by far."""
    x = Int(0, 3)
    layer = sparse(random_layer(x, (20, 16), 3, "any", 4), 3, 4)
    by_style = {gates: luts(made(layer, x, gates)) for gates in ("auto", "table", "unrolled")}
    assert by_style["auto"] <= min(by_style["table"], by_style["unrolled"]) < by_style["unrolled"] / 2
    assert by_style["table"] <= 2 * 16  # six bits: a table a bit of the result


def test_a_wide_neuron_beside_narrow_ones_stays_a_sum() -> None:
    x = Int(0, 15)
    layer = sparse(random_layer(x, (8, 6), 3, "any", 2), 2, 2)
    weights = layer.weights.copy()
    weights[:, 0] = np.arange(1, 9)
    values = np.random.default_rng(0).integers(0, 16, (200, 8))
    wide = replace(layer, weights=weights)
    found = run(made(wide, x, "auto"), {"x": codes(values, x)})["y"]
    assert 8 * x.bits > MOST_BITS and (found == codes(golden(wide, values), wide.output)).all()


def test_its_words_under_stalls_are_the_golden_ones() -> None:
    x = Int(-2, 1)
    first = sparse(random_layer(x, (6, 8), 3, "any", 1), 3, 1)
    second = sparse(random_layer(first.output, (8, 4), 0, "any", 2), 3, 2)
    stage = Unrolled(StreamType((6,), x, 6), (first, second), gates="table")
    check_stage(stage, list(every(x, 6)[::97]))


def test_primitives_of_a_table_equal_the_sums() -> None:
    """Proven by SAT in Yosys over all inputs: neurons of twelve bits as tables against the same as adder graphs."""
    x = Int(0, 15)
    layer = random_layer(x, (3, 4), 3, "any", 7)
    files = {f"{gates}.v": module(made(layer, x, gates), gates) for gates in ("table", "unrolled")}
    script = """
read_verilog +/xilinx/cells_sim.v
read_verilog table.v
prep -flatten -top table
design -stash table
read_verilog -D CODESIGN_GENERIC unrolled.v
prep -flatten -top unrolled
design -stash unrolled
design -copy-from table -as table table
design -copy-from unrolled -as unrolled unrolled
miter -equiv -flatten table unrolled miter
hierarchy -top miter
sat -verify -prove trigger 0 miter
"""
    run_yosys(script, files, timeout_s=300)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six codes of two bits, two layers whose neurons read three of them."""
    m = Model(1, 6)
    rng = np.random.default_rng(5)
    x = m.quant("x", 1.0, bits=2)
    for k, (inputs, outputs) in enumerate(((6, 8), (8, 4))):
        weights = rng.integers(-3, 4, (inputs, outputs)).astype(np.float32)
        for column in weights.T:
            column[rng.permutation(inputs)[3:]] = 0
        x = m.add("MatMul", x, m.quant(m.constant(weights), 1.0, 3, signed=1), name=f"layer{k}")
        x = m.quant(x, 2.0, bits=2)
    return m.save(tmp_path_factory.mktemp("sparse") / "sparse.onnx", x)


slow = pytest.mark.slow  # a Verilator build each


@pytest.mark.parametrize(
    "style", ["auto", pytest.param("folded", marks=slow), pytest.param("unrolled", marks=slow), "table"]
)
def test_every_style_gives_the_same_words(network: Path, style: str, tmp_path: Path, capsys) -> None:
    build, x = tmp_path / "b", tmp_path / "x.npy"
    np.save(x, every(Int(0, 3), 6)[::31].astype(np.float32))
    assert main(["compile", str(network), "-o", str(build), "--style", style, "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert style == "auto" or any(s["kind"] == "Unrolled" for s in stages) == (style != "folded")
    assert main(["simulate", str(build), "--inputs", str(x), "--stall-seed", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mismatches"] == 0


def test_a_style_that_a_layer_cannot_have_is_refused_with_the_reason(tmp_path: Path, capsys) -> None:
    """The neuron and its bits for `table`, the layer's kind for both; nothing is written."""
    model, build = tmp_path / "m.onnx", tmp_path / "b"
    m = Model(1, 6)
    m.save(model, m.add("MatMul", m.quant("x"), m.weight(6, 4), name="fc"))
    assert main(["compile", str(model), "-o", str(build), "--style", "table"]) == 2
    said = capsys.readouterr().err
    assert "layer 'fc'" in said and "24 bits in all" in said and not build.exists()
    m = Model(1, 400, 6, 6)
    m.save(model, m.add("Conv", m.quant("x"), m.weight(400, 1, 3, 3), group=400, name="dw"))
    for style, circuit in (("unrolled", "unrolled circuit"), ("table", "circuit of tables")):
        assert main(["compile", str(model), "-o", str(build), "--style", style]) == 2
        wanted = f"layer 'dw': a depthwise convolution of so many channels has no {circuit}"
        assert wanted in capsys.readouterr().err and not build.exists()


def test_a_depthwise_convolution_as_gates_equals_the_emulator(tmp_path: Path, capsys) -> None:
    model, build, x = tmp_path / "m.onnx", tmp_path / "b", tmp_path / "x.npy"
    m = Model(1, 3, 6, 6)
    m.save(model, m.add("Conv", m.quant("x"), m.weight(3, 1, 3, 3), group=3, name="dw"))
    assert main(["compile", str(model), "-o", str(build), "--style", "unrolled"]) == 0
    np.save(x, np.random.default_rng(0).normal(size=(4, 3, 6, 6)).astype(np.float32))
    capsys.readouterr()
    assert main(["simulate", str(build), "--inputs", str(x), "--stall-seed", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mismatches"] == 0
