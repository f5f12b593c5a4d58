"""Sums of Kronecker products (Van Loan & Pitsianis, 1993)."""

from __future__ import annotations

import numpy as np

from codesign.compress.factor.svd import truncated

Pair = tuple[int, int]


def rearranged(w: np.ndarray, outer: Pair) -> np.ndarray:
    """w (m1 m2, n1 n2) -> (m1 n1, m2 n2): a Kronecker product of `outer` (m1, n1) with the rest has rank 1 there."""
    (m1, n1), (m, n) = outer, w.shape
    blocks = w.reshape(m1, m // m1, n1, n // n1).transpose(0, 2, 1, 3)
    return blocks.reshape(m1 * n1, -1)


def kpsvd(w: np.ndarray, outer: Pair, terms: int) -> tuple[np.ndarray, np.ndarray]:
    """w -> (terms, m1, n1), (terms, m2, n2): the nearest sum of Kronecker products first x second."""
    (m1, n1), (m, n) = outer, w.shape
    left, right = truncated(rearranged(w, outer), terms)
    return left.T.reshape(-1, m1, n1), right.reshape(-1, m // m1, n // n1)


def summed(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The matrix that `kpsvd` took apart."""
    (_, m1, n1), (_, m2, n2) = left.shape, right.shape
    return np.einsum("tab,tcd->acbd", left, right).reshape(m1 * m2, n1 * n2)
