"""Truth tables of up to six inputs as integers: bit k is the value where input j is bit j of k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache

MOST_INPUTS = 6


@cache
def ones_bit(inputs: int, bit: int) -> int:
    """Bit `bit` of the number of ones among so many inputs."""
    return table_of(lambda v: sum(v) >> bit, inputs)


def table_of(function: Callable[[Sequence[int]], int], inputs: int) -> int:
    """The table of a Python function of a list of bits (its lowest bit counts)."""
    rows = ([k >> j & 1 for j in range(inputs)] for k in range(1 << inputs))
    return sum((function(row) & 1) << k for k, row in enumerate(rows))


def tables_of(function: Callable[[Sequence[int]], int], inputs: int, width: int) -> list[int]:
    """The tables of the lowest `width` bits of a function's values."""
    return [table_of(lambda row, j=j: function(row) >> j, inputs) for j in range(width)]


def number_of(bits: Sequence[int]) -> int:
    """Bits, the lowest first, as a number."""
    return sum(bit << k for k, bit in enumerate(bits))


@cache
def mask(inputs: int) -> int:
    """The table that is always one."""
    return (1 << (1 << inputs)) - 1


@cache
def variable(inputs: int, j: int) -> int:
    """The table that equals input j."""
    return table_of(lambda v: v[j], inputs)


def flip(table: int, inputs: int, j: int) -> int:
    """The table with input j inverted."""
    high, step = variable(inputs, j), 1 << j
    return (table & high) >> step | (table & ~high & mask(inputs)) << step


@lru_cache(maxsize=1 << 16)
def cofactor(table: int, inputs: int, j: int, value: int) -> int:
    """The table over the other inputs where input j has a value."""
    rows = ((k >> j << (j + 1)) | (k & ((1 << j) - 1)) | value << j for k in range(1 << (inputs - 1)))
    return sum((table >> row & 1) << k for k, row in enumerate(rows))


@lru_cache(maxsize=1 << 16)
def merge(table: int, inputs: int, j: int, k: int) -> int:
    """The table over the inputs without k where k always equals j (j < k)."""
    rows = ((r >> k << (k + 1)) | (r & ((1 << k) - 1)) | (r >> j & 1) << k for r in range(1 << (inputs - 1)))
    return sum((table >> row & 1) << r for r, row in enumerate(rows))


@lru_cache(maxsize=1 << 16)
def permuted(table: int, order: tuple[int, ...]) -> int:
    """The table whose input j is input order[j] of the given one."""
    rows = (sum((k >> j & 1) << o for j, o in enumerate(order)) for k in range(1 << len(order)))
    return sum((table >> row & 1) << k for k, row in enumerate(rows))


@lru_cache(maxsize=1 << 12)
def mattering(table: int, inputs: int) -> tuple[int, ...]:
    """The inputs that matter."""
    return tuple(j for j in range(inputs) if depends(table, inputs, j))


def depends(table: int, inputs: int, j: int) -> bool:
    """Whether input j matters."""
    return flip(table, inputs, j) != table
