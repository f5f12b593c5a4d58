"""Exact integer kernels, shared by the graph's operators and the stages' golden models."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from codesign.formats import Format, Int, carrier

Pair = tuple[int, int]


def matmul(x: np.ndarray, w: np.ndarray, acc: Format | None) -> np.ndarray:
    """x (..., K) @ w (K, N), exact in the dtype that carries `acc`: BLAS wherever the bound allows it."""
    dtype = carrier(acc)
    return np.matmul(x.astype(dtype, copy=False), w.astype(dtype, copy=False))


def accumulator(x: Format, w: np.ndarray, bias: np.ndarray | int = 0) -> Int:
    """The exact range of x @ w + bias: w (K, N) integers, over all x within the format."""
    weights = w.astype(object) if _huge(x, w) else w.astype(np.int64)
    positive, negative = np.maximum(weights, 0).sum(0), np.minimum(weights, 0).sum(0)
    low = positive * x.lo + negative * x.hi + bias
    high = positive * x.hi + negative * x.lo + bias
    return Int(int(np.min(low)), int(np.max(high)))


def _huge(x: Format, w: np.ndarray) -> bool:
    """Whether the range could leave int64, so that it must be computed in Python integers."""
    return float(np.abs(w).astype(np.float64).sum()) * max(abs(x.lo), abs(x.hi)) >= 2.0**62


def windows(x: np.ndarray, kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> np.ndarray:
    """x (n, rows, columns, channels) -> view (n, out rows, out columns, kernel rows, kernel columns, channels)."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    view = sliding_window_view(x, reach, axis=(1, 2))  # pyright: ignore  (NumPy's stub knows one axis only)
    view = view[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return view.transpose(0, 1, 2, 4, 5, 3)


def window_count(size: Pair, kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Pair:
    """Output rows and columns of a sliding window without padding."""
    rows, columns = ((n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(size, kernel, stride, dilation))
    return rows, columns


def count_reached(x: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many thresholds x (..., C) has reached: thresholds (C or 1, L) ascending -> counts (..., C), x's dtype."""
    count = np.zeros(x.shape, dtype=x.dtype)
    for level in range(thresholds.shape[1]):
        count += x >= thresholds[:, level]
    return count
