"""Known answers of surveys and papers that are methods of compression (shared/KNOWN_ANSWERS.md, by row)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.compress.binarize import sign_and_scale
from codesign.compress.circulant import circulant, circulant_product, from_rows, rows_of
from codesign.compress.patterns import blocks_kept, n_of_m
from codesign.compress.quantizing import balanced, bfloat16, bit_plane_product, bit_planes, uniform
from codesign.compress.sharing import Share, codebook_start, k_means, nearest
from codesign.energy import multiply_pj
from hw.arith.order import Order

CODES = st.integers(1, 8)


@given(CODES, CODES, st.integers(1, 40), st.integers(0, 1000))
def test_row_6_bit_planes_give_the_product_of_every_pair(m: int, k: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 1 << m, size), rng.integers(0, 1 << k, size)
    assert bit_plane_product(x, y, m, k) == int(x @ y)
    every = np.arange(1 << m)
    assert (bit_planes(every, m) << np.arange(m)[:, None]).sum(axis=0).tolist() == every.tolist()


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000))
def test_row_7_signs_and_mean_magnitudes_are_the_least_of_all(inputs: int, outputs: int, seed: int) -> None:
    """Against every assignment of signs, each with its own best factor."""
    w = np.random.default_rng(seed).normal(size=(inputs, outputs))
    found = sign_and_scale(w)
    np.testing.assert_array_equal(found.codes, np.sign(w))
    np.testing.assert_allclose(found.scale, np.abs(w).mean(axis=0))
    error = ((found.real - w) ** 2).sum(axis=0)
    signs = 1.0 - 2 * ((np.arange(1 << inputs)[:, None] >> np.arange(inputs)) & 1)
    factors = signs @ w / inputs
    every = ((w[None] - factors[:, None] * signs[:, :, None]) ** 2).sum(axis=1)
    assert (error <= every + 1e-12).all()


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 8])
def test_row_8_uniform_quantizers(bits: int) -> None:
    x = np.random.default_rng(bits).normal(size=400)
    low, span, steps = x.min(), np.ptp(x), (1 << bits) - 1
    wanted = span * np.rint((x - low) / span * steps) / steps + low
    np.testing.assert_allclose(uniform(x, bits), wanted, atol=1e-12)
    assert len(np.unique(uniform(x, bits))) <= 1 << bits
    rng = np.random.default_rng(0)
    draws = np.stack([uniform(x, bits, rng) for _ in range(4000)])
    step = span / steps
    assert np.abs(draws - x).max() < step + 1e-12
    standard_error = step / 2 / np.sqrt(len(draws))
    assert np.abs(draws.mean(axis=0) - x).max() < 5 * standard_error


def test_row_9_cosine_similarity_of_quantized_activations_with_real_weights() -> None:
    rng = np.random.default_rng(0)
    x = np.clip(np.tanh(rng.normal(size=(400, 2000))), -1, 1)
    w = rng.normal(size=(2000, 64))
    ends = np.concatenate([np.array([[-1.0, 1.0]] * len(x)), x], axis=1)
    wanted, found = x @ w, []
    for bits in (1, 2, 3, 4, 6, 8):
        got = uniform(ends, bits)[:, 2:] @ w
        found.append(float((got * wanted).sum() / np.sqrt((got**2).sum() * (wanted**2).sum())))
    assert found == sorted(found)
    np.testing.assert_allclose(found, [0.888, 0.964, 0.992, 0.998, 1.0, 1.0], atol=0.01)


@given(st.integers(1, 24), st.integers(0, 1000))
def test_row_10_a_circulant_layer_is_d_numbers_and_a_fourier_transform(d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    r, x = rng.normal(size=d), rng.normal(size=(3, d))
    np.testing.assert_allclose(circulant_product(x, r), x @ circulant(r), atol=1e-9)
    rows = rng.normal(size=(2, 3, d))
    np.testing.assert_allclose(rows_of(from_rows(rows), d), rows)
    np.testing.assert_array_equal(from_rows(rows)[:d, :d], circulant(rows[0, 0]))


def test_the_circulant_projection_is_the_nearest() -> None:
    rng = np.random.default_rng(1)
    w = rng.normal(size=(4, 4))
    best = from_rows(rows_of(w, 4))
    for _ in range(50):
        other = circulant(rows_of(best, 4)[0, 0] + 0.1 * rng.normal(size=4))
        assert ((w - best) ** 2).sum() <= ((w - other) ** 2).sum()


@given(CODES, CODES, CODES, CODES)
def test_row_15_work_is_the_product_of_both_widths(a: int, b: int, c: int, d: int) -> None:
    """In pairs of bit planes, and in the energy of a multiplication."""
    assert multiply_pj(a, b) * c * d == pytest.approx(multiply_pj(c, d) * a * b)
    x, y = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    assert len(bit_planes(x, a)) * len(bit_planes(y, b)) == a * b


@given(st.integers(1, 4), st.integers(0, 4), st.integers(1, 19), st.integers(0, 100))
def test_n_of_m_keeps_the_largest_of_every_group(n: int, more: int, inputs: int, seed: int) -> None:
    w = np.random.default_rng(seed).normal(size=(inputs, 3))
    m = n + more
    kept = n_of_m(w, n, m)
    for start in range(0, inputs, m):
        group, left = w[start : start + m], kept[start : start + m]
        assert ((left != 0).sum(axis=0) == min(n, len(group))).all()
        for c in range(3):
            gone = np.abs(group[left[:, c] == 0, c])
            assert not gone.size or gone.max() <= np.abs(left[left[:, c] != 0, c]).min()


def test_pruned_blocks_are_beats_that_the_folded_product_leaves_out() -> None:
    w = np.random.default_rng(0).normal(size=(32, 16))
    dense, sparse = (Order.skipping(a, 4, 4) for a in (w, blocks_kept(w, (4, 4), 0.75)))
    assert dense.steps == 32 and 8 <= sparse.steps <= 8 + 3  # a pass without blocks reads one beat
    assert sparse.interval == max(sparse.steps, 8) < dense.interval == 32


@pytest.mark.parametrize("start", ["linear", "density", "random"])
def test_codebooks_never_get_worse_and_end_where_no_entry_moves(start: str) -> None:
    values = np.random.default_rng(2).normal(size=500)
    first = codebook_start(values, 8, start, 0)
    last = k_means(values, first)
    errors = [((nearest(values, t) - values) ** 2).sum() for t in (first, last)]
    assert errors[1] <= errors[0]
    np.testing.assert_allclose(k_means(values, last), last)
    assert len(np.unique(Share(bits=3, start=start).shared(values))) <= 8


@given(st.integers(1, 5), st.integers(0, 100))
def test_balanced_levels_are_used_equally_often(bits: int, seed: int) -> None:
    w = np.random.default_rng(seed).standard_cauchy(size=(1 << bits, 12))
    found = balanced(w, bits)
    _, counts = np.unique(found.codes, return_counts=True)
    assert len(counts) == 1 << bits and np.ptp(counts) == 0
    order = np.argsort(w, axis=None)
    assert (np.diff(found.codes.ravel()[order]) >= 0).all()


@given(st.floats(-(2.0**100), 2.0**100, width=32))
def test_bfloat16_is_the_nearest_of_its_values(x: float) -> None:
    found = float(bfloat16(np.array([x]))[0])
    bits = int(np.float32(found).view(np.uint32))
    assert bits & 0xFFFF == 0
    neighbours = [np.uint32((bits + d) & 0xFFFFFFFF).view(np.float32) for d in (-0x10000, 0x10000) if bits >= 0x10000]
    assert all(abs(found - x) <= abs(float(n) - x) for n in neighbours if np.isfinite(n))
