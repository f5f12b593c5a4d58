"""Factors fitted together by alternating least squares, in the metric of the weights or of the layer's responses.

A layer's squared error on samples is the weighted norm of the change of its kernel, with the second moments of what it
reads as weights. Any decomposition that is a product of factors (one `einsum`) is linear in each of them, so each is
fitted in turn by conjugate gradients, which never make it worse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STEPS = 30  # of conjugate gradients, a factor and a sweep
ENOUGH = 1e-4  # of the error: what a sweep must gain for another one

Arrays = tuple[np.ndarray, ...]


def composed(expression: str, factors: Sequence[np.ndarray]) -> np.ndarray:
    """The kernel that the factors stand for."""
    return np.einsum(expression, *factors, optimize=True)


def refined(
    expression: str, factors: Sequence[np.ndarray], target: np.ndarray, moments: np.ndarray | None = None,
    sweeps: int = 20,
) -> Arrays:  # fmt: skip
    """Factors that come nearer to `target`, of the shape that `expression` gives.

    `moments` (K, K): of the inputs, K all axes of the target but the last; None: the plain squared error.
    """
    found, error = list(factors), np.inf
    for _ in range(sweeps):
        for k in range(len(found)):
            found[k] = _fitted(expression, found, k, target, moments)
        gap = composed(expression, found) - target
        now = float((gap * _weighted(gap, moments)).sum())
        if error - now <= ENOUGH * now:
            break
        error = now
    return tuple(found)


def _weighted(w: np.ndarray, moments: np.ndarray | None) -> np.ndarray:
    return w if moments is None else (moments @ w.reshape(len(moments), -1)).reshape(w.shape)


def _fitted(
    expression: str, factors: Sequence[np.ndarray], k: int, target: np.ndarray, moments: np.ndarray | None
) -> np.ndarray:
    """Factor k at its best while the others stand: conjugate gradients on the normal equations."""
    terms, result = expression.split("->")
    own = terms.split(",")[k]
    others = [f for i, f in enumerate(factors) if i != k]
    names = ",".join(t for i, t in enumerate(terms.split(",")) if i != k)

    def forward(f: np.ndarray) -> np.ndarray:
        return np.einsum(f"{names},{own}->{result}", *others, f, optimize=True)

    def adjoint(w: np.ndarray) -> np.ndarray:
        return np.einsum(f"{names},{result}->{own}", *others, w, optimize=True)

    f = factors[k]
    residual = adjoint(_weighted(target - forward(f), moments))
    direction, size = residual, float((residual**2).sum())
    first = size
    for _ in range(min(STEPS, f.size)):
        if size <= 1e-20 * first or size == 0:
            break
        along = adjoint(_weighted(forward(direction), moments))
        step = size / max(float((direction * along).sum()), 1e-300)
        f, residual = f + step * direction, residual - step * along
        size, before = float((residual**2).sum()), size
        direction = residual + size / before * direction
    return f


def reduced_rank(target: np.ndarray, moments: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """target (K, N) -> (K, rank), (rank, N): of that rank the one of least error on the responses (Zhang et al., 2015).

    The best product in the metric of the inputs' `moments` (K, K): the target projected on the leading principal
    directions of what it gives.
    """
    _, v = np.linalg.eigh(target.T @ moments @ target)
    leading = v[:, ::-1][:, :rank]
    return target @ leading, leading.T
