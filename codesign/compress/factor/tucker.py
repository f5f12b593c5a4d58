"""Tucker decompositions of a kernel along its two axes of channels (Kim et al., Compression of Deep CNNs, 2016)."""

from __future__ import annotations

import numpy as np

SWEEPS = 20
Tucker2 = tuple[np.ndarray, np.ndarray, np.ndarray]


def tucker2(kernel: np.ndarray, inner: int, outer: int) -> Tucker2:
    """kernel (rows, columns, C, O) -> (C, inner), core (rows, columns, inner, outer), (outer, O).

    Higher-order orthogonal iteration (De Lathauwer et al., 2000), started at the leading singular vectors.
    """
    u, v = _leading(kernel, 2, inner), _leading(kernel, 3, outer)
    for _ in range(SWEEPS):
        u = _leading(kernel @ v, 2, inner)
        v = _leading(np.einsum("hwco,ca->hwao", kernel, u), 3, outer)
    return u, np.einsum("hwco,ca,ob->hwab", kernel, u, v, optimize=True), v.T


def _leading(a: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """(axis, rank): the leading singular vectors of an unfolding; unit vectors where there are not so many."""
    unfolded = np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1)
    return np.linalg.svd(unfolded, full_matrices=unfolded.shape[0] > unfolded.shape[1])[0][:, :rank]
