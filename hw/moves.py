"""Any movement of elements as nested loops: found from the movement itself, whatever operator says it."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

Loop = tuple[int, int]  # (count, stride)


@dataclass(frozen=True)
class Access:
    """A frame is read block after block (`block` beats each): from beat `start` on, by loops, outermost first."""

    block: int
    start: int
    loops: tuple[Loop, ...]

    @property
    def reads(self) -> int:
        """Beats read from a block."""
        return int(np.prod([count for count, _ in self.loops], dtype=np.int64))

    def beats(self) -> np.ndarray:
        """The beats of the first block that are read, in order."""
        index = np.array([self.start])
        for count, stride in self.loops:
            index = (index[:, None] + np.arange(count) * stride).reshape(-1)
        return index


def access(index: np.ndarray, size: int, lanes: int) -> Access | None:
    """result element k = element index[k] of `size`, with `lanes` elements a beat; None where loops cannot say it.

    The blocks are as small as the movement allows, because two of them must be stored.
    """
    beats = _beats(index.reshape(-1), lanes)
    if beats is None or size % lanes:
        return None
    block, rows = _blocks(beats, size // lanes)
    loops = _loops(rows)
    return None if loops is None else Access(block, int(rows[0]), loops)


def _beats(index: np.ndarray, lanes: int) -> np.ndarray | None:
    """Elements -> beats, where every group of `lanes` elements is one whole beat."""
    if len(index) % lanes:
        return None
    groups = index.reshape(-1, lanes)
    whole = (groups == groups[:, :1] + np.arange(lanes)).all() and (groups[:, 0] % lanes == 0).all()
    return groups[:, 0] // lanes if whole else None


def _blocks(beats: np.ndarray, total: int) -> tuple[int, np.ndarray]:
    """The smallest block of the input that the same movement treats alike all over the frame."""
    common = gcd(total, len(beats))
    for count in (n for n in range(common, 0, -1) if common % n == 0):
        block = total // count
        rows = beats.reshape(count, -1) - np.arange(count)[:, None] * block
        if (rows == rows[0]).all() and rows.min() >= 0 and rows.max() < block:
            return block, rows[0]
    raise AssertionError("one block is the whole frame")


def _loops(index: np.ndarray) -> tuple[Loop, ...] | None:
    """index as nested loops, outermost first."""
    loops: list[Loop] = []
    while len(index) > 1:
        count = next((c for c in range(len(index), 1, -1) if len(index) % c == 0 and _is_loop(index, c)), None)
        if count is None:
            return None
        loops.insert(0, (count, int(index[1] - index[0])))
        index = index[::count]
    return tuple(loops)


def _is_loop(index: np.ndarray, count: int) -> bool:
    rows = index.reshape(-1, count)
    return bool((rows - rows[:, :1] == np.arange(count) * (index[1] - index[0])).all())
