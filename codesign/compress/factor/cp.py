"""Canonical polyadic decompositions: a tensor as a sum of outer products (Lebedev et al., Speeding-up CNNs, 2015)."""

from __future__ import annotations

import warnings

import numpy as np

from codesign.errors import UserError

SWEEPS = 200


def cp(a: np.ndarray, rank: int) -> tuple[np.ndarray, ...]:
    """a (n1, .., nd) -> one (n, rank) an axis, by alternating least squares; exact from the full rank on."""
    if rank >= full_rank(a.shape):
        return _units(a)
    try:
        from tensorly.decomposition import parafac
    except ImportError:
        raise UserError("step 'cp' needs tensorly: pip install 'codesign[compress]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a rank is above a side: the other columns start at random
        weights, factors = parafac(a, rank, n_iter_max=SWEEPS, init="svd", tol=1e-7, random_state=0)
    root = np.abs(weights) ** (1 / a.ndim)
    return tuple(np.sign(weights) * root * f if k == 0 else root * f for k, f in enumerate(factors))


def full_rank(shape: tuple[int, ...]) -> int:
    """A rank that is enough for any tensor of a shape: one term for each fibre along the longest axis."""
    return int(np.prod(shape)) // max(shape)


def _units(a: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every fibre along the longest axis is a term of its own."""
    longest = int(np.argmax(a.shape))
    others = [k for k in range(a.ndim) if k != longest]
    places = np.indices([a.shape[k] for k in others]).reshape(len(others), -1)
    factors = {k: (np.arange(a.shape[k])[:, None] == p).astype(np.float64) for k, p in zip(others, places)}
    factors[longest] = np.moveaxis(a, longest, 0).reshape(a.shape[longest], -1)
    return tuple(factors[k] for k in range(a.ndim))
