"""Small floats: their codes, and between layers, where an activation becomes thresholds and a table of integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.formats import Int, MiniFloat
from codesign.graph import Dequantize, Graph
from codesign.ops.elementwise import Add, Mul, Rectify
from codesign.ops.round_to_float import RoundToFloat
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes import run_passes
from tests.models import QONNX, Model
from tests.pass_graphs import Net
from tests.test_blocks import SAMPLES, check

E4M3, E5M2 = MiniFloat(4, 3, 7, 448.0), MiniFloat(5, 2, 15, 57344.0)
E3M2, E2M3, E2M1, E1M0 = MiniFloat(3, 2, 3), MiniFloat(2, 3, 1), MiniFloat(2, 1, 1), MiniFloat(1, 0, 0)
FORMATS = [E4M3, E5M2, E3M2, E2M3, E2M1, E1M0]


def after_an_integer(fmt: MiniFloat, bits: int, functions: list[str], rng: np.random.Generator, scale) -> Graph:
    """Integers of `bits` bits, functions of them, rounded to a small float: two channels."""
    net = Net(2)
    x = net.quantize("x", Int.of(bits, signed=True), (1.0,))
    x = net.add(Mul(), x, net.constant(rng.choice([-1, 1], 2) * fmt.largest * 3.0 ** rng.uniform(-3, 1) / 2**bits))
    for function in functions:
        if function == "shift":
            x = net.add(Add(), x, net.constant(rng.normal(size=2)))
        elif function == "rectify":
            x = net.add(Rectify(), x, net.constant(rng.normal(size=2)))
        else:
            x = net.add(Unary(function), x)
    return net.graph(net.add(Dequantize(), net.add(RoundToFloat(fmt, scale), x)))


@settings(max_examples=60, deadline=None)
@given(
    fmt=st.sampled_from(FORMATS),
    bits=st.sampled_from([3, 8, 13]),
    functions=st.lists(st.sampled_from(["shift", "relu", "rectify", "tanh", "hard_swish"]), max_size=3),
    scale=st.sampled_from([(1.0,), (0.37,), (0.5, 1.7)]),
    seed=st.integers(0, 1000),
)
def test_every_integer_gets_the_same_small_float(fmt, bits, functions, scale, seed):
    before = after_an_integer(fmt, bits, functions, np.random.default_rng(seed), scale)
    after, _ = run_passes(before, off=["input"])
    assert not any(isinstance(n.op, RoundToFloat) for n in after.nodes)
    every = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))[:, None].repeat(2, axis=1).astype(np.float32)
    np.testing.assert_array_equal(
        before.run({"x": every})[before.outputs[0]], after.run({"x": every})[after.outputs[0]]
    )


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_bisection_finds_every_level(fmt, monkeypatch):
    before = after_an_integer(fmt, 14, ["shift"], np.random.default_rng(1), (0.5, 1.7))
    monkeypatch.setattr("codesign.passes.staircase.MOST_EVALUATIONS", 0)
    after, _ = run_passes(before)
    ops = [n.op for n in after.nodes if isinstance(n.op, (Threshold, Table))]
    assert [type(op) for op in ops] == [Threshold, Table]
    every = np.arange(-(1 << 13), 1 << 13)[:, None].repeat(2, axis=1).astype(np.float32)
    np.testing.assert_array_equal(
        before.run({"x": every})[before.outputs[0]], after.run({"x": every})[after.outputs[0]]
    )


def test_all_values_of_a_format_are_its_levels():
    for fmt in FORMATS:
        every = fmt.to_int(np.arange(1 << fmt.bits, dtype=np.uint64))
        np.testing.assert_array_equal(fmt.levels, np.unique(every[np.abs(every) <= fmt.hi]))


def float_quant(m: Model, x: str, fmt: MiniFloat, scale: float) -> str:
    numbers = (scale, fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, fmt.largest)
    inputs = [x, *(m.constant(float(n)) for n in numbers)]
    return m.add("FloatQuant", *inputs, domain=QONNX, has_inf=0, has_nan=1, has_subnormal=1, saturation=1,
                 rounding_mode="ROUND")  # fmt: skip


@pytest.mark.parametrize("fmt", [E4M3, E3M2, E2M1], ids=str)
def test_a_network_of_small_floats(fmt, tmp_path: Path, capsys):
    """Weights and activations; one layer with a bias and slopes of both signs, a sum of two branches."""
    m, rng = Model(1, 6), np.random.default_rng(2)

    def layer(x: str, k: int, n: int) -> str:
        w = float_quant(m, m.constant(rng.normal(size=(k, n))), fmt, 0.3 if fmt is E2M1 else 1 / 16)
        return m.add("Add", m.add("MatMul", x, w), m.constant(rng.normal(size=n)))

    step = 2.0 if fmt is E2M1 else 1 / 16
    x = float_quant(m, "x", fmt, 0.7)
    a = float_quant(m, m.add("PRelu", layer(x, 6, 4), m.constant([0.25, -0.5, 0.0, 1.5])), fmt, step)
    b = float_quant(m, layer(x, 6, 4), fmt, step)
    y = float_quant(m, layer(m.add("Add", a, b), 4, 3), fmt, step)
    path = m.save(tmp_path / "small.onnx", y)
    feeds = {"x": (rng.normal(size=(SAMPLES, 6)) * 2).astype(np.float32)}
    feeds["x"][0], feeds["x"][1] = -0.0, 1e6  # signed zero, saturation
    check(path, feeds, [y], tmp_path, capsys)


@given(st.integers(1, 5), st.integers(0, 6), st.integers(-3, 12), st.integers(0, (1 << 12) - 1))
def test_small_floats(exponent: int, mantissa: int, bias: int, raw: int) -> None:
    """Codes and integers are one to one (but for two zeros), and in order."""
    fmt = MiniFloat(exponent, mantissa, bias)
    code = np.array([raw % (1 << fmt.bits)], dtype=np.uint64)
    value = fmt.to_int(code)
    assert fmt.lo <= value[0] <= fmt.hi and fmt.contains(value)
    assert fmt.to_int(fmt.encode(value)) == value and (value == 0 or fmt.encode(value) == code)
    size = int(code[0]) & ((1 << (fmt.bits - 1)) - 1)
    by_definition = (size % 2**mantissa + 2**mantissa * (size >> mantissa > 0)) * 2.0 ** max((size >> mantissa) - 1, 0)
    assert abs(value[0]) == by_definition


def test_a_small_float_by_its_table() -> None:
    """float8 e4m3 of the OCP: smallest 2**-9, largest 448."""
    fmt = MiniFloat(4, 3, 7, 448.0)
    assert (fmt.bits, fmt.frac, fmt.largest, fmt.hi) == (8, 9, 448.0, 448 * 512)
    assert fmt.encode(np.array([448 * 512, 1 << 30])).tolist() == [0x7E, 0x7E]
    assert fmt.encode(np.array([512, -512, 1])).tolist() == [0x38, 0xB8, 1]
