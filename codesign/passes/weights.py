"""Constant weights as integers times a scale, where that is exact."""

from __future__ import annotations

import numpy as np

MOST_BITS = 16


def integer_form(values: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]] | None:
    """(integers, scale) with values == integers * scale exactly, integers within 16 bits; else None.

    Tries whole numbers, binary fractions, and one magnitude (besides 0) for each index of the last axis.
    """
    for power in range(MOST_BITS + 1):
        scaled = values * 2.0**power
        if np.abs(scaled).max(initial=0) >= 2 ** (MOST_BITS - 1):
            break
        if np.array_equal(scaled, np.rint(scaled)):
            return scaled.astype(np.int64), (2.0**-power,)
    return _one_magnitude(values)


def _one_magnitude(values: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]] | None:
    """{-a, 0, a} in each column, with a column's own a."""
    columns = values.reshape(-1, values.shape[-1])
    scale = np.abs(columns).max(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    signs = np.rint(columns / scale)
    if not np.array_equal(signs * scale, columns):
        return None
    scales = (float(scale[0]),) if np.all(scale == scale[0]) else tuple(map(float, scale))
    return signs.astype(np.int64).reshape(values.shape), scales
