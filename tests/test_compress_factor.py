"""Decompositions of arrays: exact at full rank, errors as their theorems say (KNOWN_ANSWERS 11, 12, 13)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.compress.factor.block_term import block_terms
from codesign.compress.factor.cp import cp, full_rank
from codesign.compress.factor.kronecker import kpsvd, rearranged, summed
from codesign.compress.factor.least_squares import composed, reduced_rank, refined
from codesign.compress.factor.svd import rank_for_energy, rank_for_error, spectrum, truncated
from codesign.compress.factor.tensor_ring import ring_spectra, tr_svd
from codesign.compress.factor.tensor_train import contracted, from_matrix_axes, matrix_axes, tt_svd
from codesign.compress.factor.tucker import tucker2
from codesign.compress.ring_matrix import split_size

SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=5)
SEEDS = st.integers(0, 1 << 16)


def drawn(shape: list[int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@given(SHAPES, SEEDS, st.floats(0.0, 0.9))
@settings(max_examples=40, deadline=None)
def test_a_tensor_train_keeps_its_error(shape, seed, error):
    a = drawn(shape, seed)
    assert np.linalg.norm(contracted(tt_svd(a, error)) - a) <= (error + 1e-9) * np.linalg.norm(a)


@given(st.integers(2, 6), SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_sine_of_a_sum_has_ranks_two(d, seed):
    points = np.random.default_rng(seed).uniform(0, 3, size=(d, 4))
    a = np.sin(sum(np.ix_(*points)))
    assert [c.shape[2] for c in tt_svd(a, 1e-9)[:-1]] == [2] * (d - 1)


def test_a_large_layer_as_a_train():
    rows, columns, ranks = (2, 7, 8, 8, 7, 4), (4,) * 6, (1, 4, 4, 4, 4, 4, 1)
    sizes = [ranks[k] * m * n * ranks[k + 1] for k, (m, n) in enumerate(zip(rows, columns))]
    assert (np.prod(rows), np.prod(columns)) == (25_088, 4_096)
    assert sum(sizes) == 2_016 and 25_088 * 4_096 * 4 == 392 << 20


@given(SHAPES, SEEDS, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_a_ring_at_full_rank_is_the_tensor(shape, seed, closing):
    a = drawn(shape, seed)
    ranks = [len(s) for s in ring_spectra(a, closing)]
    cores = tr_svd(a, closing, ranks)
    np.testing.assert_allclose(contracted(cores), a, atol=1e-9)
    assert cores[0].shape[0] == cores[-1].shape[2] == closing


@given(st.tuples(*[st.integers(1, 4)] * 4), SEEDS, st.integers(1, 16))
@settings(max_examples=40, deadline=None)
def test_kronecker_products_leave_the_remaining_singular_values(sizes, seed, terms):
    m1, n1, m2, n2 = sizes
    w = drawn([m1 * m2, n1 * n2], seed)
    left, right = kpsvd(w, (m1, n1), terms)
    rest = spectrum(rearranged(w, (m1, n1)))[terms:]
    assert abs(np.linalg.norm(summed(left, right) - w) - np.sqrt((rest**2).sum())) < 1e-9
    np.testing.assert_allclose(summed(left, right), sum(np.kron(a, b) for a, b in zip(left, right)), atol=1e-12)


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), SEEDS, st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_ranks_are_the_least_that_keep_energy_and_error(shape, seed, energy):
    w = drawn(list(shape), seed)
    s = spectrum(w)
    rank = rank_for_energy(s, energy)
    assert (s[:rank] ** 2).sum() >= (energy - 1e-9) * (s**2).sum()
    assert rank == 1 or (s[: rank - 1] ** 2).sum() < (energy + 1e-9) * (s**2).sum()
    error = np.sqrt(max(0.0, 1 - energy))
    assert np.linalg.norm(np.matmul(*truncated(w, rank_for_error(s, error))) - w) <= (error + 1e-6) * np.linalg.norm(w)


@given(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)), SEEDS)
@settings(max_examples=15, deadline=None)
def test_kernels_at_full_rank(shape, seed):
    kernel = drawn(list(shape), seed)
    inputs, outputs = shape[2:]
    whole = composed("ca,hwab,bo->hwco", tucker2(kernel, inputs, outputs))
    np.testing.assert_allclose(whole, kernel, atol=1e-9)
    terms = cp(kernel.transpose(2, 0, 1, 3), full_rank(shape))
    np.testing.assert_allclose(composed("cr,hr,wr,or->hwco", terms), kernel, atol=1e-9)
    np.testing.assert_allclose(
        composed("gca,ghwab,gbo->hwco", block_terms(kernel, 2, inputs, outputs)), kernel, atol=1e-9
    )


def test_sums_of_outer_products_are_found_again():
    rng = np.random.default_rng(3)
    kernel = composed("cr,hr,wr,or->hwco", [rng.normal(size=(n, 3)) for n in (6, 3, 3, 8)])
    found = refined("cr,hr,wr,or->hwco", cp(kernel.transpose(2, 0, 1, 3), 3), kernel, sweeps=50)
    assert np.linalg.norm(composed("cr,hr,wr,or->hwco", found) - kernel) < 0.02 * np.linalg.norm(kernel)


@given(SEEDS, st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_fitting_never_makes_it_worse_and_reduced_rank_is_the_best(seed, rank):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(200, 12)) * np.linspace(0.1, 3, 12), rng.normal(size=(12, 5))
    moments = x.T @ x

    def error(factors) -> float:
        return float(np.linalg.norm(x @ (factors[0] @ factors[1] - w)))

    start = truncated(w, rank)
    found, best = refined("cr,ro->co", start, w, moments, 200), reduced_rank(w, moments, rank)
    assert error(best) <= error(found) * (1 + 1e-9) <= error(start) * (1 + 1e-6)
    assert error(found) <= error(best) * 1.05 + 1e-9
    values = spectrum(x @ w)[rank:]
    assert abs(error(best) - np.sqrt((values**2).sum())) < 1e-6


@pytest.mark.parametrize(("size", "parts"), [(1, 3), (7, 2), (25_088, 6), (4_096, 6), (360, 3)])
def test_sizes_are_split_evenly(size, parts):
    found = split_size(size, parts)
    assert len(found) == parts and np.prod(found) == size and list(found) == sorted(found, reverse=True)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4), SEEDS)
@settings(max_examples=20, deadline=None)
def test_axes_of_a_matrix_go_back_to_it(pairs, seed):
    rows, columns = zip(*pairs)
    w = drawn([int(np.prod(rows)), int(np.prod(columns))], seed)
    assert (from_matrix_axes(matrix_axes(w, rows, columns), rows, columns) == w).all()
