"""Netlists of primitives: tables, heaps, constant matrices, staircases, registers, and both written forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign import arithmetic
from codesign.formats import Binary, Format, Int
from codesign.graph import TensorType
from codesign.ops.threshold import Threshold
from hw.netlist.cells import TRUE, Netlist, Register
from hw.netlist.dense import Dense, dense, takes
from hw.netlist.matrix import Number, sum_ranges
from hw.netlist.patterns import GROUPS, pattern_sums
from hw.netlist.pipeline import pipelined
from hw.netlist.run import run
from hw.netlist.staircase import Stairs
from hw.netlist.sweep import swept
from hw.netlist.verilog import module
from hw.stream import StreamType, pack
from hw.yosys import run_yosys
from tests.miter import MITER


def bits_of(values: np.ndarray, width: int) -> np.ndarray:
    """(samples,) -> (samples, width), lowest first, two's complement."""
    return (values[:, None] >> np.arange(width) & 1).astype(np.uint8)


def number_of(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.int64) << np.arange(bits.shape[1])).sum(1)


def random_bits(width: int, samples: int = 64, seed: int = 0) -> np.ndarray:
    bits = np.random.default_rng(seed).integers(0, 2, (samples, width), dtype=np.uint8)
    bits[0], bits[1] = 0, 1
    return bits


@given(table=st.integers(0, 255), wired=st.lists(st.integers(0, 7), min_size=3, max_size=3))
def test_a_table_of_constants_inversions_and_repeats_is_the_function(table: int, wired: list[int]) -> None:
    """Literals 0..7: constants, and three nets, inverted or not."""
    n = Netlist()
    n.input("x", 3)
    n.output("y", [n.lut(table, wired)])
    x = bits_of(np.arange(8), 3)
    nets = np.concatenate([np.zeros((8, 1), np.uint8), x], axis=1)
    row = sum((nets[:, bit >> 1] ^ (bit & 1)).astype(int) << k for k, bit in enumerate(wired))
    assert (run(n, {"x": x})["y"][:, 0] == (table >> row & 1)).all()


@given(six=st.integers(0, 255), five=st.integers(0, 255), wired=st.lists(st.integers(0, 7), min_size=3, max_size=3))
def test_a_pair_is_its_two_functions(six: int, five: int, wired: list[int]) -> None:
    n = Netlist()
    n.input("x", 3)
    n.output("y", n.pair(six, five, wired))
    n.output("z", [n.lut(six, wired), n.lut(five, wired)])
    found = run(n, {"x": bits_of(np.arange(8), 3)})
    assert (found["y"] == found["z"]).all()


def test_the_same_table_is_made_once() -> None:
    n = Netlist()
    a, b = n.input("x", 2)
    assert n.lut(0b1000, (a, b)) == n.lut(0b1000, (b, a)) and len(n.cells) == 1
    assert n.lut(0b0110, (a, a)) == 0 and n.lut(0b0110, (a, TRUE)) == a ^ 1 and len(n.cells) == 1


formats = st.sampled_from([Int(0, 15), Int(-8, 7), Int(-7, 7), Int(0, 9), Int(0, 1), Binary()])


def random_layer(x: Format, shape: tuple[int, int], levels: int, kind: str, seed: int) -> Dense:
    """A layer with a staircase of so many levels (0: none)."""
    rng = np.random.default_rng(seed)
    weights, bias = rng.integers(-9, 10, shape), rng.integers(-20, 21, shape[1])
    sums = arithmetic.accumulator(x, weights, bias)
    if not levels:
        return Dense(weights, bias, sums)
    thresholds = _thresholds(rng, sums, levels, shape[1], kind)
    return Dense(weights, bias, sums, Threshold(thresholds, *_steps(rng, levels, shape[1])))


def _thresholds(rng: np.random.Generator, sums: Format, levels: int, channels: int, kind: str) -> np.ndarray:
    """Anywhere, or a power of two apart, or that with half going to even (odd counts late, or even ones)."""
    if kind == "any":
        return np.sort(rng.integers(sums.lo, sums.hi + 2, (channels, levels)), axis=1)
    step = int(rng.choice([2, 4, 8]))
    first = rng.integers(sums.lo - 2 * step, max(sums.hi - levels * step, sums.lo) + step, (channels, 1))
    row = first + step * np.arange(levels)
    row = row + {"even": 0, "late": np.arange(levels) % 2 == 0, "early": np.arange(levels) % 2}[kind]
    return np.clip(row, sums.lo, sums.hi + 1)


def _steps(rng: np.random.Generator, levels: int, channels: int) -> tuple[Format, np.ndarray, np.ndarray]:
    if levels == 1 and rng.integers(2):
        sign = rng.choice([-1, 1], channels)
        return Binary(), -sign, 2 * sign
    step = rng.choice([-1, 1], channels)
    lowest = int(rng.integers(-3, 3))
    return Int(lowest, lowest + levels), np.where(step > 0, lowest, lowest + levels), step


def golden(layer: Dense, x: np.ndarray) -> np.ndarray:
    sums = x @ layer.weights + layer.bias
    op = layer.activation
    return sums if op is None else op.run(TensorType((sums.shape[1],), op.format), sums).astype(np.int64)


def codes(values: np.ndarray, fmt: Format) -> np.ndarray:
    """(samples, elements) -> bits (samples, elements * bits) as a stream's beat has them."""
    words = pack(values, StreamType((values.shape[1],), fmt, values.shape[1]))[:, 0].astype("<u4")
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : values.shape[1] * fmt.bits]


def built(layer: Dense, x: Format) -> Netlist:
    n = Netlist()
    bits = n.input("x", len(layer.weights) * x.bits)
    inputs = [bits[k * x.bits : (k + 1) * x.bits] for k in range(len(layer.weights))]
    n.output("y", [bit for code in dense(n, layer, inputs, x) for bit in code])
    return n


def samples(x: Format, elements: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).integers(x.lo, x.hi + 1, (100, elements))
    drawn[0], drawn[1] = x.lo, x.hi
    return np.where(drawn > 0, 1, -1) if isinstance(x, Binary) else drawn


@settings(deadline=None, max_examples=150)
@given(
    x=formats, k=st.integers(1, 12), outputs=st.integers(1, 6), levels=st.sampled_from([0, 1, 2, 3, 5, 7, 15, 40]),
    kind=st.sampled_from(["any", "even", "late", "early"]), seed=st.integers(0, 1 << 16),
)  # fmt: skip
def test_a_dense_layer_is_its_golden_model(
    x: Format, k: int, outputs: int, levels: int, kind: str, seed: int
) -> None:  # fmt: skip
    layer = random_layer(x, (k, outputs), levels, kind, seed)
    assert takes(layer, x)
    values = samples(x, k, seed)
    whole = built(layer, x)
    for netlist in (whole, swept(whole)):
        found = run(netlist, {"x": codes(values, x)})["y"]
        assert (found == codes(golden(layer, values), layer.output)).all()


@settings(deadline=None, max_examples=60)
@given(
    k=st.integers(1, 90), outputs=st.integers(1, 12), group=st.sampled_from(GROUPS), unit=st.sampled_from([1, 2, 8]),
    zeros=st.floats(0, 0.9), seed=st.integers(0, 1 << 16),
)  # fmt: skip
def test_pattern_sums_are_the_sums(k: int, outputs: int, group: int, unit: int, zeros: float, seed: int) -> None:
    """Matrices of -u, 0 and u on bits, with second rounds where there are many groups."""
    rng = np.random.default_rng(seed)
    weights = rng.choice([-unit, unit], (k, outputs)) * (rng.random((k, outputs)) >= zeros)
    constants, n = rng.integers(-20, 20, outputs), Netlist()
    bits = [Number((bit,), 0, 0, 1) for bit in n.input("x", k)]
    lows, highs = sum_ranges(bits, weights, constants)
    if weights.any():
        for column, y in enumerate(pattern_sums(n, bits, weights, constants, lows, (lows, highs), group)):
            n.output(str(column), y.bits)
        x = random_bits(k, 64, seed)
        found = run(n, {"x": x})
        sums = x.astype(int) @ weights + constants
        for column, low in enumerate(lows):
            found_sums = number_of(found[str(column)]) if found[str(column)].size else 0
            assert (found_sums + low == sums[:, column]).all()


@pytest.mark.parametrize("levels", [2, 3, 6])
def test_registers_change_no_value_and_bound_every_path(levels: int) -> None:
    layer = random_layer(Int(0, 15), (16, 8), 7, "late", 3)
    plain = built(layer, Int(0, 15))
    staged, latency = pipelined(plain, levels)
    x = codes(samples(Int(0, 15), 16, 0), Int(0, 15))
    assert (run(staged, {"x": x})["y"] == run(plain, {"x": x})["y"]).all() and latency > 1
    assert len(swept(plain).cells) == sum(not isinstance(cell, Register) for cell in staged.cells)


def test_requantization_by_powers_of_two_costs_little() -> None:
    """15 levels with half going to even: no comparators."""
    even = Stairs.of([17, 48, 81, 112, 145, 176, 209], -100, 500).even
    assert even is not None and (even.shift, even.late, even.early, even.stops) == (5, True, False, False)


@pytest.mark.parametrize("registers", [False, True])
def test_primitives_equal_the_plain_expressions(registers: bool) -> None:
    """Proven by SAT in Yosys for all inputs, on Yosys' own simulation models of the primitives."""
    netlist = built(random_layer(Int(-8, 7), (3, 12), 5, "any", 1), Int(-8, 7))
    latency = 0
    if registers:
        netlist, latency = pipelined(netlist, 3)
    script = f"""
{MITER}sat -verify -prove trigger 0 {f"-seq {latency + 1} -set-init-zero" if registers else ""} miter
"""
    files = {"primitives.v": module(netlist, "primitives"), "plain.v": module(netlist, "plain")}
    run_yosys(script, files, timeout_s=120)  # YosysError unless proven
    assert "CARRY4" in files["primitives.v"] and "LUT6_2" in files["primitives.v"]
