"""The multiply-shift solver against full enumeration."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codesign.formats import Binary, Format, Int
from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.requant import Requant
from codesign.ops.threshold import Threshold, staircase
from codesign.requantize import fit_requant, stairs_of_requant


def stairs(values: np.ndarray, lo: int, out: Format) -> Threshold:
    op = staircase(values, lo, out)
    assert op is not None
    return op


def everywhere(op: Threshold | Requant, x: Format, channels: int) -> np.ndarray:
    codes = np.repeat(np.arange(x.lo, x.hi + 1)[:, None], channels, axis=1)
    return op.run(op.infer(Operand(TensorType((channels,), x))), codes).T


scales = st.one_of(st.floats(0.001, 2.0), st.integers(-6, 1).map(lambda k: 2.0**k))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(scales, st.floats(-50, 50), st.sampled_from([1, -1])), min_size=1, max_size=3),
    st.sampled_from([Int(-128, 127), Int(0, 15), Int(-7, 7), Int(0, 255), Int(0, 1)]),
    st.integers(-600, 100),
    st.integers(1, 700),
)
def test_a_clipped_linear_function_is_found(
    lines: list[tuple[float, float, int]], out: Int, lo: int, length: int
) -> None:
    x = Int(lo, lo + length)
    codes = np.arange(x.lo, x.hi + 1)
    exact = np.array([codes * s * sign + b for s, b, sign in lines])
    assume((np.abs(exact - np.floor(exact) - 0.5) > 1e-9).all())  # ties to even bend the line
    values = np.clip(np.rint(exact), out.lo, out.hi)
    op = stairs(values.astype(np.int64), x.lo, out)
    fitted = fit_requant(op, x)
    assert fitted is not None
    np.testing.assert_array_equal(everywhere(fitted, x, len(lines)), values)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=7), st.booleans())
def test_any_small_staircase_is_decided_rightly(jumps: list[int], falls: bool) -> None:
    """None means that a search over all small multipliers and offsets finds nothing either."""
    values = np.cumsum(jumps)[None] * (-1 if falls else 1)
    x, out = Int(0, len(jumps) - 1), Int(int(values.min()) - 1, int(values.max()) + 1)
    op = stairs(values, 0, out)
    fitted = fit_requant(op, x)
    if fitted is not None:
        np.testing.assert_array_equal(everywhere(fitted, x, 1), values)
    else:
        assert not brute_force(values[0], out)


def brute_force(values: np.ndarray, out: Int) -> bool:
    x = np.arange(len(values))
    slopes, offsets = np.arange(-40, 41), np.arange(-300, 301)
    total = slopes[:, None, None] * x + offsets[:, None]
    return any((np.clip(total >> shift, out.lo, out.hi) == values).all(-1).any() for shift in range(5))


def test_power_of_two_with_ties_to_even_needs_no_multiplier_bits() -> None:
    x = Int(-1000, 1000)
    values = np.clip(np.rint(np.arange(-1000, 1001) / 8), -128, 127).astype(np.int64)[None]
    fitted = fit_requant(stairs(values, -1000, Int(-128, 127)), x)
    assert fitted is not None
    assert (fitted.multiplier.tolist(), fitted.offset.tolist(), fitted.shift) == ([1], [0], 3)
    assert fitted.rounding == "half_even"


def test_what_is_no_line_is_refused() -> None:
    squares = (np.arange(40) ** 2 // 16)[None]
    assert fit_requant(stairs(squares, 0, Int(0, 127)), Int(0, 39)) is None
    sign = Threshold(np.array([[0]]), Binary(), np.array([-1]), np.array([2]))
    assert fit_requant(sign, Int(-5, 5)) is None


def test_more_multiplier_bits_than_allowed_are_refused() -> None:
    values = np.rint(np.arange(4000) * 0.3337).astype(np.int64)[None]
    op = stairs(values, 0, Int(0, 2047))
    fitted = fit_requant(op, Int(0, 3999))
    assert fitted is not None
    bits = int(fitted.multiplier[0]).bit_length()
    assert fit_requant(op, Int(0, 3999), multiplier_bits=bits) is None


def test_wide_channels_are_fitted_in_good_time() -> None:
    rng = np.random.default_rng(1)
    x = Int(-(1 << 18), (1 << 18) - 1)
    scale = rng.uniform(5e-4, 6e-4, (32, 1))
    steps = np.ceil((np.arange(-127, 128) - 0.5) / scale).astype(np.int64)
    fitted = fit_requant(
        Threshold(np.clip(steps, x.lo, x.hi + 1), Int(-128, 127), np.full(32, -128), np.full(32, 1)), x
    )
    assert fitted is not None
    codes = rng.integers(x.lo, x.hi + 1, (1000, 32))
    expected = np.clip(np.floor(codes * scale[:, 0] + 0.5), -128, 127)
    got = fitted.run(fitted.infer(Operand(TensorType((32,), x))), codes)
    np.testing.assert_array_equal(got, expected)


def test_products_beyond_62_bits_are_refused() -> None:
    op = Requant(np.array([1 << 17]), np.array([0]), 3, "floor", Int(0, 255))
    with pytest.raises(GraphError, match="pass 62 bits"):
        op.infer(Operand(TensorType((1,), Int(0, (1 << 50)))))


@settings(deadline=None, max_examples=100)
@given(
    multiplier=st.lists(st.integers(-40, 40).filter(bool), min_size=1, max_size=3),
    offset=st.integers(-300, 300),
    shift=st.integers(0, 6),
    rounding=st.sampled_from(["floor", "half_even"]),
)
def test_a_multiply_shift_is_a_staircase(multiplier: list[int], offset: int, shift: int, rounding: str) -> None:
    """Also one that falls: compared on every x of the format."""
    op = Requant(np.array(multiplier), np.array([offset]), shift, rounding, Int(-3, 4))
    x = Int(-70, 90)
    found = stairs_of_requant(op, x)
    assert found is not None
    assert (everywhere(found, x, len(multiplier)) == everywhere(op, x, len(multiplier))).all()
