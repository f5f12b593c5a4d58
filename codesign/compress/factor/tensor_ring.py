"""Tensor rings by successive singular value decompositions (Zhao et al., Tensor Ring Decomposition, 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.compress.factor.svd import spectrum
from codesign.compress.factor.tensor_train import Cores, contracted_open, cut_spectra, tt_svd


def tr_svd(a: np.ndarray, closing: int, ranks: Sequence[int] = ()) -> Cores:
    """Cores (r, n, r') in a ring; `closing`: the rank between the last and the first, `ranks` of the other edges.

    Exact where closing * ranks[0] reaches the rank of the first axis and no other edge is cut; closing 1: a train.
    """
    (first, *_), (u, s, v) = a.shape, np.linalg.svd(a.reshape(a.shape[0], -1), full_matrices=False)
    second = min([-(-len(s) // closing), *ranks[:1]])
    keep, room = min(len(s), closing * second), closing * second
    head, tail = np.zeros((first, room)), np.zeros((room, v.shape[1]))
    head[:, :keep], tail[:keep] = u[:, :keep], s[:keep, None] * v[:keep]
    opened = np.moveaxis(tail.reshape(closing, second, *a.shape[1:]), 0, -1)
    return (np.moveaxis(head.reshape(first, closing, second), 0, 1), *_cores(opened, ranks[1:]))


def ring_spectra(a: np.ndarray, closing: int) -> list[np.ndarray]:
    """The singular values that the ranks of `tr_svd` cut; on the first edge each stands for `closing` of them."""
    s = spectrum(a.reshape(a.shape[0], -1))
    together = np.sqrt((np.pad(s, (0, -len(s) % closing)).reshape(-1, closing) ** 2).sum(axis=1))
    if a.ndim == 2:
        return [together]
    rest = contracted_open(tr_svd(a, closing)[1:])
    flat = rest.reshape(rest.shape[0] * rest.shape[1], *rest.shape[2:-2], -1)
    return [together, *cut_spectra(flat)]


def _cores(opened: np.ndarray, ranks: Sequence[int]) -> Cores:
    """(r, n2, .., nd, closing) -> the cores from the second on."""
    if opened.ndim == 3:
        return (opened,)
    second, n2, *between, last, closing = opened.shape
    cores = tt_svd(opened.reshape(second * n2, *between, last * closing), ranks=ranks)
    return (cores[0].reshape(second, n2, -1), *cores[1:-1], cores[-1].reshape(-1, last, closing))
