"""Threshold, Table and Requant against plain loops."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.formats import Binary, Format, Int, carrier
from codesign.graph import GraphError, Op, Operand, TensorType
from codesign.ops.quantize import Quantize
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold, staircase


def run(op: Op, x: np.ndarray, fmt: Format | None) -> np.ndarray:
    """As a graph runs it: x in the dtype that carries its format."""
    return op.run(op.infer(Operand(TensorType(x.shape[1:], fmt))), x.astype(carrier(fmt)))


def count_slowly(x: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    result = np.zeros(x.shape, dtype=np.int64)
    for index in np.ndindex(*x.shape):
        row = thresholds[index[-1] % len(thresholds)]
        result[index] = sum(1 for t in row.tolist() if x[index].item() >= t)
    return result


@settings(max_examples=60, deadline=None)
@given(
    levels=st.sampled_from([1, 2, 3, 10, 11, 12, 40, 300]),
    rows=st.sampled_from([1, 3]),
    top=st.sampled_from([3, 100, 1 << 20, 1 << 24, (1 << 24) + 5, 1 << 40, (1 << 60)]),
    seed=st.integers(0, 1000),
)
def test_integer_thresholds(levels: int, rows: int, top: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    thresholds = np.sort(rng.integers(-top, top + 2, (rows, levels)), axis=1)
    thresholds[:, -1] = top + 1  # never reached
    near = np.clip(rng.choice(thresholds.ravel(), (8, 2, 3)) + rng.integers(-1, 2, (8, 2, 3)), -top, top)
    step = rng.choice([1, -1], rows)
    base = np.where(step > 0, -5, levels - 5)
    op = Threshold(thresholds, Int(-5, levels - 5), base, step)
    y = run(op, near, Int(-top, top))
    assert y.dtype == carrier(op.format)
    np.testing.assert_array_equal(y, base + step * count_slowly(near, thresholds))


@pytest.mark.parametrize("levels", [1, 5, 30])
@pytest.mark.parametrize("rows", [1, 4])
def test_real_thresholds(levels: int, rows: int) -> None:
    rng = np.random.default_rng(levels)
    thresholds = np.sort(rng.normal(size=(rows, levels)), axis=1)
    thresholds[0, 0], thresholds[-1, -1] = -np.inf, np.inf
    x = np.concatenate([rng.normal(size=(20, 4)), rng.choice(thresholds.ravel(), (20, 4))])
    op = Threshold(thresholds, Int(0, levels), np.zeros(rows), np.ones(rows), (0.5,), (3,))
    np.testing.assert_array_equal(run(op, x, None), count_slowly(x, thresholds))
    assert op.infer(Operand(TensorType((4,)))) == TensorType((4,), Int(0, levels), (0.5,), (3,))


def test_a_real_threshold_between_two_float32_integers_is_not_rounded_down() -> None:
    op = Threshold(np.array([[(1 << 24) - 0.4]]), Int(0, 1), np.array([0]), np.array([1]))
    x = np.array([[(1 << 24) - 1], [1 << 24]])
    np.testing.assert_array_equal(run(op, x, Int(0, 1 << 24)), [[0], [1]])


def test_binary_threshold() -> None:
    op = Threshold(np.array([[0], [2]]), Binary(), np.array([-1, 1]), np.array([2, -2]))
    np.testing.assert_array_equal(run(op, np.array([[-1, 1], [0, 2]]), Int(-3, 3)), [[-1, 1], [1, -1]])


def test_bad_thresholds_are_refused() -> None:
    one = np.array([1])
    for thresholds, fmt, base, step in [
        ([[2, 1]], Int(0, 2), [0], one),
        ([[np.nan]], Int(0, 2), [0], one),
        ([[1, 2]], Int(0, 1), [0], one),
        ([[1]], Int(0, 3), [0], 2 * one),
        ([[1]], Binary(), [-1], one),
    ]:
        with pytest.raises(GraphError):
            Threshold(np.array(thresholds), fmt, np.array(base), step)
    op = Threshold(np.array([[1], [2]]), Int(0, 1), one - 1, one)
    with pytest.raises(GraphError, match="2 channels"):
        op.infer(Operand(TensorType((3,), Int(0, 3))))
    with pytest.raises(GraphError, match="real"):
        op.infer(Operand(TensorType((2,))))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(-20, 20), min_size=5, max_size=5), min_size=1, max_size=3), st.integers(-9, 9))
def test_staircase_is_the_function_it_was_made_of(rows: list[list[int]], lo: int) -> None:
    values = np.array([sorted(r, reverse=k % 2 == 1) for k, r in enumerate(rows)])
    op = staircase(values, lo, Int(-20, 20))
    assert op is not None
    x = np.repeat(np.arange(lo, lo + 5)[:, None], len(rows), axis=1)
    np.testing.assert_array_equal(run(op, x, Int(lo, lo + 4)), values.T)


def test_staircase_of_binary_and_of_no_stairs() -> None:
    op = staircase(np.array([[-1, -1, 1], [1, -1, -1], [1, 1, 1], [-1, -1, -1]]), -1, Binary())
    assert op is not None
    x = np.repeat(np.arange(-1, 2)[:, None], 4, axis=1)
    expected = [[-1, 1, 1, -1], [-1, -1, 1, -1], [1, -1, 1, -1]]
    np.testing.assert_array_equal(run(op, x, Int(-1, 1)), expected)
    assert staircase(np.array([[0, 1, 0]]), 0, Int(0, 1)) is None
    assert staircase(np.array([[0, 0]]), 0, Int(0, 0)) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_table(channels: int) -> None:
    rng = np.random.default_rng(channels)
    values = rng.integers(-9, 10, (channels, 40))
    op = Table(values, -7, Int(-9, 9))
    x = rng.integers(-7, 33, (30, 2, 3))
    expected = [[[values[c % channels, x[n, r, c] + 7] for c in range(3)] for r in range(2)] for n in range(30)]
    np.testing.assert_array_equal(run(op, x, Int(-7, 32)), expected)
    with pytest.raises(GraphError, match="a table for"):
        op.infer(Operand(TensorType((3,), Int(-8, 0))))


@settings(max_examples=60, deadline=None)
@given(
    multiplier=st.integers(-(1 << 20), 1 << 20),
    offset=st.integers(-(1 << 30), 1 << 30),
    shift=st.integers(0, 40),
    rounding=st.sampled_from(["floor", "half_even"]),
    top=st.sampled_from([200, 1 << 24, 1 << 36]),
)
def test_requant(multiplier: int, offset: int, shift: int, rounding: str, top: int) -> None:
    op = Requant(np.array([multiplier, 1 << 3]), np.array([offset, 0]), shift, rounding, Int(-100, 50))
    ties = np.arange(-8, 9) * (1 << max(shift - 4, 0))
    x = np.clip(np.concatenate([np.linspace(-top, top, 41), ties]), -top, top).astype(np.int64)
    y = run(op, np.stack([x, x], axis=1), Int(-top, top))
    for k, (m, b) in enumerate([(multiplier, offset), (8, 0)]):
        for got, value in zip(y[:, k], x.tolist()):
            total, unit = value * m + b, 1 << shift
            exact = total // unit if rounding == "floor" else round_half_even(total, unit)
            assert got == max(-100, min(50, exact))


def round_half_even(total: int, unit: int) -> int:
    quotient, rest = divmod(total, unit)
    return quotient + (2 * rest > unit or (2 * rest == unit and quotient % 2 == 1))


@given(
    terms=st.sampled_from([3, 6, 7, 9, 12, 36, 49, 120]), scale=st.floats(2**-10, 1, width=32), zero=st.integers(-9, 9)
)
def test_exact_ties_go_to_even_though_float64_hides_them(terms: int, scale: float, zero: int) -> None:
    """The mean of so many codes, whose own scale comes out of a division, as rational numbers have it."""
    sums, out = np.arange(-1500, 1500), TensorType((), Int(-128, 127), (scale,), (zero,))
    got = Quantize(Int(-128, 127), (scale,), (zero,), offset_last=True).run(out, sums * (scale / terms))
    wanted = [min(max(round(Fraction(int(value), terms)) + zero, -128), 127) for value in sums]
    assert (got == wanted).all()
