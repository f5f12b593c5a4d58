"""Tensor trains by successive singular value decompositions (Oseledets, 2011)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.compress.factor.svd import rank_for_error, spectrum

Cores = tuple[np.ndarray, ...]


def tt_svd(a: np.ndarray, error: float = 0.0, ranks: Sequence[int] = ()) -> Cores:
    """Cores (r, n, r') whose product is a up to error * |a|; `ranks`: at most these between the cores.

    Without `ranks` the error holds: each of the d - 1 cuts may leave out delta = error |a| / sqrt(d - 1).
    """
    cuts = a.ndim - 1
    delta, rest, rank, cores = error * np.linalg.norm(a) / np.sqrt(max(cuts, 1)), a, 1, []
    for k in range(cuts):
        u, s, v = np.linalg.svd(rest.reshape(rank * a.shape[k], -1), full_matrices=False)
        keep = min([rank_for_error(s, delta / max(np.linalg.norm(s), 1e-300)), *ranks[k : k + 1]])
        cores.append(u[:, :keep].reshape(rank, a.shape[k], keep))
        rest, rank = s[:keep, None] * v[:keep], keep
    return (*cores, rest.reshape(rank, a.shape[-1], 1))


def contracted(cores: Sequence[np.ndarray]) -> np.ndarray:
    """The tensor of a train or a ring: the first core's first rank meets the last one's last."""
    return np.trace(contracted_open(cores), axis1=0, axis2=-1)


def contracted_open(cores: Sequence[np.ndarray]) -> np.ndarray:
    """(r, n1, .., nd, r'): the product of some neighbouring cores."""
    chain = cores[0]
    for core in cores[1:]:
        chain = np.tensordot(chain, core, axes=1)
    return chain


def cut_spectra(a: np.ndarray) -> list[np.ndarray]:
    """The singular values at every cut between leading and trailing axes; their counts bound the ranks."""
    sizes = np.cumprod(a.shape[:-1])
    return [spectrum(a.reshape(int(n), -1)) for n in sizes]


def matrix_axes(w: np.ndarray, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
    """w (m1 .. md, n1 .. nd) as matrix -> tensor (m1 n1, .., md nd): the axes of a matrix in train format."""
    d = len(rows)
    mixed = w.reshape(*rows, *columns).transpose([axis for k in range(d) for axis in (k, d + k)])
    return mixed.reshape([m * n for m, n in zip(rows, columns)])


def from_matrix_axes(a: np.ndarray, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
    """The inverse of `matrix_axes`."""
    d = len(rows)
    apart = a.reshape([n for pair in zip(rows, columns) for n in pair])
    return apart.transpose([*range(0, 2 * d, 2), *range(1, 2 * d, 2)]).reshape(int(np.prod(rows)), -1)
