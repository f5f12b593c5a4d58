"""What the two circuits of a staircase share: its parameters by fold and lane, and the last addition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Value

from codesign.formats import Binary
from codesign.graph import GraphError
from codesign.ops.threshold import Threshold
from hw.fitted import fitted
from hw.rom import Field
from hw.stages.lanes import ElementStage, select


@dataclass(frozen=True, eq=False)
class Stairs:
    """thresholds (folds, lanes, 2**n - 1), base and falls (folds, lanes): a code is base + count or base - count.

    Thresholds are limited to lo..hi + 1 of x and filled up to 2**n - 1 of them with "never".
    """

    thresholds: np.ndarray
    base: np.ndarray
    falls: np.ndarray

    @property
    def folds(self) -> int:
        return len(self.thresholds)

    @property
    def count_bits(self) -> int:
        return int(self.thresholds.shape[2]).bit_length()

    @property
    def added(self) -> np.ndarray:
        """What is added to the count, or to its complement where the stair falls: (folds, lanes)."""
        return self.base + self.falls


class StairStage(ElementStage[Threshold]):
    """A stage that computes a staircase of integers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.op.thresholds.dtype != np.int64:
            raise GraphError("a circuit takes integer thresholds")

    @property
    def stairs(self) -> Stairs:
        op, x = self.op, self.input.format
        channels = max(len(op.thresholds), len(op.base), len(op.step))
        rows = np.broadcast_to(np.clip(op.thresholds, x.lo, x.hi + 1), (channels, op.thresholds.shape[1]))
        missing = (1 << rows.shape[1].bit_length()) - 1 - rows.shape[1]
        filled = np.pad(rows, ((0, 0), (0, missing)), constant_values=x.hi + 1)
        base = (op.base + 1) // 2 if isinstance(op.format, Binary) else op.base
        falls = np.broadcast_to(op.step < 0, channels).astype(np.int64)
        return Stairs(self.by_fold(filled), self.by_fold(np.broadcast_to(base, channels)), self.by_fold(falls))


def stair_code(count: Value, added: Field, falls: Field, bits: int) -> Value:
    """The `bits` bits of the code: added + count, or added + ~count where the stair falls."""
    if isinstance(added, int) and isinstance(falls, int) and len(count) <= 6:
        codes = [added + (~k if falls else k) for k in range(1 << len(count))]
        return Cat(select(count, [(c >> bit) & 1 for c in codes]) for bit in range(bits))
    if isinstance(falls, int):
        return (added + (~_wide(count, bits) if falls else _wide(count, bits)))[:bits]
    return (added + (_wide(count, bits) ^ falls.replicate(bits)))[:bits]


def _wide(count: Value, bits: int) -> Value:
    return Cat(count, *[0] * (bits - len(count)))


def stair_code_luts(count_bits: int, bits: int, constant: bool) -> float:
    """Of `stair_code`."""
    return 0.0 if constant and count_bits <= 6 else fitted("stair.code bit") * bits
