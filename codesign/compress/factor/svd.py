"""The truncated singular value decomposition, and ranks by energy or by error."""

from __future__ import annotations

import numpy as np


def truncated(w: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """w (M, N) -> (M, rank), (rank, N): the nearest product of that rank (Eckart & Young, 1936), norms shared alike."""
    u, s, v = np.linalg.svd(w, full_matrices=False)
    root = np.sqrt(s[:rank])
    return u[:, :rank] * root, root[:, None] * v[:rank]


def spectrum(w: np.ndarray) -> np.ndarray:
    """The singular values of a matrix, falling."""
    return np.linalg.svd(w, compute_uv=False)


def rank_for_energy(s: np.ndarray, energy: float) -> int:
    """The least rank whose squared singular values sum up to that share of all; at least 1."""
    return rank_for_error(s, np.sqrt(max(0.0, 1.0 - energy)))


def rank_for_error(s: np.ndarray, error: float) -> int:
    """The least rank whose error is at most that share of the norm; at least 1."""
    rest = np.sqrt(np.append(np.cumsum(s[::-1] ** 2)[::-1], 0.0))  # of what is left out from each rank on
    bar = max(error * rest[0], 1e-12 * rest[0])
    return max(1, int(np.argmax(rest <= bar)))
