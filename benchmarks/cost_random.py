"""Random parameters of stages, and the formats that they are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from codesign.formats import Binary, Format, Int
from hw.divisors import divisors
from hw.stream import StreamType

BIT, TERNARY = Binary(), Int(-1, 1)
U2, U4, U8 = (Int.of(bits, signed=False) for bits in (2, 4, 8))
I2, I3, I4, I6, I8 = (Int.of(bits, signed=True) for bits in (2, 3, 4, 6, 8))

T = TypeVar("T")


class Random:
    """Draws parameters; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def of(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def divisor(self, n: int, most: int) -> int:
        return self.of([d for d in divisors(n) if d <= most])

    def weights(self, fmt: Format, *shape: int) -> np.ndarray:
        """Half of them uniform, half like trained ones: small values are more frequent."""
        if isinstance(fmt, Binary):
            return self.rng.choice([-1, 1], shape)
        if self.rng.random() < 0.5:
            return self.rng.integers(fmt.lo, fmt.hi + 1, shape)
        return np.clip(np.rint(self.rng.normal(size=shape) * (fmt.hi + 1) / 2.5), fmt.lo, fmt.hi).astype(np.int64)

    def stream(self, fmt: Format, *shape: int, most_lanes: int = 8) -> StreamType:
        return StreamType(shape, fmt, self.divisor(shape[-1], most_lanes))
