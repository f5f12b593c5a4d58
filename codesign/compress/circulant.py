"""Circulant matrices: R = circ(r), row k is r, k places to the right; d numbers for d by d."""

from __future__ import annotations

import numpy as np


def circulant(r: np.ndarray) -> np.ndarray:
    """circ(r)."""
    return np.stack([np.roll(r, k) for k in range(len(r))])


def circulant_product(x: np.ndarray, r: np.ndarray) -> np.ndarray:
    """x (..., d) @ circ(r) by the fast Fourier transform, in O(d log d)."""
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(r), n=len(r))


def rows_of(value: np.ndarray, size: int) -> np.ndarray:
    """Of every block (size, size) of weights (..., K, N) the first row of the nearest circulant matrix, the mean along
    each diagonal: (..., K / size, N / size, size)."""
    *front, inputs, outputs = value.shape
    blocks = value.reshape(*front, inputs // size, size, outputs // size, size)
    row = np.arange(size)
    diagonals = [blocks[..., row, :, (row + d) % size].mean(axis=0) for d in range(size)]
    return np.stack(diagonals, axis=-1)


def from_rows(rows: np.ndarray) -> np.ndarray:
    """The weights (..., K, N) whose blocks are circ(row)."""
    *front, down, across, size = rows.shape
    k, n = np.indices((size, size))
    blocks = rows[..., (n - k) % size]
    return blocks.swapaxes(-3, -2).reshape(*front, down * size, across * size)
