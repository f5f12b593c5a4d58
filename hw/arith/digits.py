"""Numbers as signed digits."""

from __future__ import annotations

import numpy as np


def signed_digits(weights: np.ndarray) -> list[np.ndarray]:
    """Canonical signed digits (-1, 0, 1): planes d with weights = sum(2^j d[j]), the fewest that are not zero."""
    rest, planes = weights.astype(np.int64), []
    while rest.any():
        digit = np.where(rest % 2 == 1, 2 - rest % 4, 0)
        planes.append(digit)
        rest = (rest - digit) // 2
    return planes
