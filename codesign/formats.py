"""Number formats as values: a set of integers, and how each is written in bits.

A format knows its range `lo..hi`, its width `bits`, and converts integer values to codes (the unsigned bit
patterns that travel on wires) and back. A tensor's real value is scale * (integer - zero_point).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.errors import UserError


@dataclass(frozen=True)
class Int:
    """Two's complement (unsigned when lo >= 0) integers lo..hi, in the fewest bits that hold them."""

    lo: int
    hi: int

    def __post_init__(self) -> None:
        if self.lo > self.hi:
            raise ValueError(f"empty integer range {self.lo}..{self.hi}")

    @classmethod
    def of(cls, bits: int, signed: bool, narrow: bool = False) -> Int:
        """The usual n-bit range; `narrow` drops the code that QONNX's narrow range drops."""
        if signed:
            return cls(-(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1)
        return cls(0, (1 << bits) - 1 - narrow)

    @property
    def signed(self) -> bool:
        return self.lo < 0

    @property
    def bits(self) -> int:
        if self.signed:
            return max((-self.lo - 1).bit_length(), max(self.hi, 0).bit_length()) + 1
        return max(self.hi.bit_length(), 1)

    def contains(self, values: np.ndarray) -> bool:
        return values.size == 0 or bool(values.min() >= self.lo and values.max() <= self.hi)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Integers (any dtype) -> uint64 codes; values outside lo..hi saturate."""
        clipped = np.clip(np.rint(values), self.lo, self.hi).astype(np.int64)
        return (clipped & ((1 << self.bits) - 1)).astype(np.uint64)

    def to_int(self, codes: np.ndarray) -> np.ndarray:
        """uint64 codes -> int64 values, exactly."""
        raw = codes.astype(np.int64)
        return raw - ((raw >> (self.bits - 1)) << self.bits) if self.signed else raw

    def __str__(self) -> str:
        if self == Int.of(self.bits, self.signed):
            return f"{'int' if self.signed else 'uint'}{self.bits}"
        return f"int[{self.lo},{self.hi}]"


@dataclass(frozen=True)
class Binary:
    """-1 and +1 in one bit: code 0 is -1, code 1 is +1."""

    lo = -1
    hi = 1
    bits = 1
    signed = True

    def contains(self, values: np.ndarray) -> bool:
        return bool(np.all(np.abs(values) == 1))

    def encode(self, values: np.ndarray) -> np.ndarray:
        return (values >= 0).astype(np.uint64)

    def to_int(self, codes: np.ndarray) -> np.ndarray:
        return codes.astype(np.int64) * 2 - 1

    def __str__(self) -> str:
        return "binary"


@dataclass(frozen=True)
class MiniFloat:
    """Small floats with subnormals; in a graph they are integers value * 2**frac, few of those in lo..hi.

    Code: sign, exponent, mantissa, the sign in the highest bit. Values beyond `most` (as where codes are kept
    for NaN and infinity) do not occur.
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int
    most: float = math.inf

    signed = True

    @property
    def bits(self) -> int:
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def frac(self) -> int:
        """value * 2**frac is an integer for every value: the smallest step is 2**-frac."""
        return self.bias - 1 + self.mantissa_bits

    @property
    def largest(self) -> float:
        """The largest value."""
        top = (2.0 - 2.0**-self.mantissa_bits) * 2.0 ** ((1 << self.exponent_bits) - 1 - self.bias)
        return min(top, self.most)

    @property
    def hi(self) -> int:
        return math.floor(math.ldexp(self.largest, self.frac))

    @property
    def lo(self) -> int:
        return -self.hi

    @property
    def levels(self) -> np.ndarray:
        """Every value, as an integer, ascending."""
        below = self.to_int(np.arange(int(self.encode(np.array(self.hi))) + 1))
        return np.concatenate([-below[:0:-1], below])

    def contains(self, values: np.ndarray) -> bool:
        return bool(np.all(self.to_int(self.encode(values)) == values))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Integers value * 2**frac (any dtype) -> uint64 codes of the nearest; values outside lo..hi saturate."""
        size = np.clip(np.abs(values).astype(np.float64), 0, self.hi)
        step = np.maximum(np.frexp(size)[1] - 1 - self.mantissa_bits, 0)
        mantissa = np.rint(np.ldexp(size, -step))  # with its leading 1, unless subnormal
        code = (mantissa + step * 2.0**self.mantissa_bits).astype(np.int64)
        sign = (np.asarray(values) < 0).astype(np.int64) << (self.bits - 1)
        return (code + sign).astype(np.uint64)

    def to_int(self, codes: np.ndarray) -> np.ndarray:
        """uint64 codes -> int64 values * 2**frac, exactly."""
        raw = codes.astype(np.int64)
        size = raw & ((1 << (self.bits - 1)) - 1)
        exponent, mantissa = size >> self.mantissa_bits, size & ((1 << self.mantissa_bits) - 1)
        whole = np.where(exponent > 0, mantissa + (1 << self.mantissa_bits), mantissa) << np.maximum(exponent - 1, 0)
        return np.where(raw >> (self.bits - 1), -whole, whole)

    def __str__(self) -> str:
        return f"float{self.bits}_e{self.exponent_bits}m{self.mantissa_bits}"


@dataclass(frozen=True)
class BlockFloat:
    """Signed mantissas (the lowest code unused); `block` of them in a row along the first axis share an exponent.

    In a graph they are integers, mantissa << shift. A code is the mantissa's; the shifts stand beside the codes.
    """

    bits: int
    block: int

    MOST_SHIFT: ClassVar[int] = 7  # three bits a block: what is smaller still counts as zero

    @property
    def mantissa(self) -> Int:
        return Int.of(self.bits, signed=True, narrow=True)

    @property
    def hi(self) -> int:
        return self.mantissa.hi << self.MOST_SHIFT

    @property
    def lo(self) -> int:
        return -self.hi

    def shifts(self, values: np.ndarray) -> np.ndarray:
        """The shift of each value (K, ...), int64: the least with which the largest of its block fits."""
        starts = np.arange(0, len(values), self.block)
        largest = np.maximum.reduceat(np.abs(values).astype(np.float64), starts, axis=0)
        fits = [np.rint(np.ldexp(largest, -s)) <= self.mantissa.hi for s in range(self.MOST_SHIFT)]
        return np.repeat(self.MOST_SHIFT - np.sum(fits, axis=0, dtype=np.int64), self.block, axis=0)[: len(values)]

    def encode(self, values: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """Values (any dtype) -> uint64 codes of the nearest; what the shift does not let a mantissa reach saturates."""
        return self.mantissa.encode(np.ldexp(values.astype(np.float64), -shifts))

    def to_int(self, codes: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """uint64 codes -> int64 values, exactly."""
        return self.mantissa.to_int(codes) << shifts

    def __str__(self) -> str:
        return f"bfp({self.bits}, block={self.block})"


Format = Int | Binary


def of_values(values: np.ndarray) -> Format:
    """The smallest format that holds these integers."""
    if values.size and np.all(np.abs(values) == 1):
        return Binary()
    return Int(int(values.min(initial=0)), int(values.max(initial=0)))


def hull(*formats: Format) -> Format:
    """The smallest format that holds every value of all of them."""
    if all(f == Binary() for f in formats):
        return Binary()
    return Int(min(f.lo for f in formats), max(f.hi for f in formats))


def carrier(fmt: Format | None) -> np.dtype:
    """The NumPy type that carries a format exactly at BLAS speed (real tensors: float64)."""
    if fmt is None:
        return np.dtype(np.float64)
    bound = max(abs(fmt.lo), abs(fmt.hi))
    if bound <= 1 << 24:
        return np.dtype(np.float32)
    if bound <= 1 << 53:
        return np.dtype(np.float64)
    if bound < 1 << 63:
        return np.dtype(np.int64)
    raise UserError(f"integers up to {bound} need more than 64 bits; use narrower weights or activations")
