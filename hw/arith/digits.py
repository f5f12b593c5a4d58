"""Numbers as signed digits."""

from __future__ import annotations

from functools import cache

import numpy as np


def signed_digits(weights: np.ndarray) -> list[np.ndarray]:
    """Canonical signed digits (-1, 0, 1): planes d with weights = sum(2^j d[j]), the fewest that are not zero."""
    rest, planes = weights.astype(np.int64), []
    while rest.any():
        digit = np.where(rest % 2 == 1, 2 - rest % 4, 0)
        planes.append(digit)
        rest = (rest - digit) // 2
    return planes


@cache
def digits_of(value: int) -> tuple[tuple[int, int], ...]:
    """(shift, sign) of a number's canonical signed digits that are not zero."""
    planes = signed_digits(np.array([value]))
    return tuple((shift, int(plane[0])) for shift, plane in enumerate(planes) if plane[0])


@cache
def digit_count(value: int) -> int:
    """Signed digits that a number needs."""
    return (abs(value) ^ 3 * abs(value)).bit_count()


@cache
def digits_in(value: int) -> tuple[tuple[int, int], ...]:
    """(shift, sign) of every digit without which a number needs one less: in 3 those of 2 + 1 and of 4 - 1."""
    every = ((shift, sign) for shift in range(abs(value).bit_length() + 1) for sign in (1, -1))
    return tuple((s, g) for s, g in every if digit_count(value - (g << s)) < digit_count(value))
