"""The divisors of a number: how many lanes a beat may have."""

from __future__ import annotations

from functools import cache
from math import isqrt


@cache
def divisors(n: int) -> tuple[int, ...]:
    """Ascending."""
    low = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return (*low, *(n // d for d in reversed(low) if d * d < n))
