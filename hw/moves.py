"""Any movement of elements as nested loops, found from the movement itself, whatever operator says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

import numpy as np

from hw.divisors import divisors

Loop = tuple[int, int]  # (count, stride)
MOST_PASSES = 1 << 12  # each is an entry of several tables


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
    for count in reversed(divisors(common)):
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


@dataclass(frozen=True)
class Picks:
    """Blocks of a frame (`block` beats each) in the order `blocks`, some repeated, some left out.

    Of each the same beats are read: those at the sums of one offset of every level, the outermost level first.
    """

    block: int
    blocks: tuple[int, ...]
    levels: tuple[tuple[int, ...], ...]

    def beats(self) -> np.ndarray:
        """The beats of a block that are read, in order."""
        index = np.zeros(1, np.int64)
        for offsets in self.levels:
            index = (index[:, None] + np.array(offsets)).reshape(-1)
        return index

    def oldest(self, total: int) -> np.ndarray:
        """The oldest of `total` blocks still wanted when each pass begins, and (from `total` on) of the next frame."""
        wanted = np.minimum.accumulate(np.array(self.blocks)[::-1])[::-1]
        return np.append(wanted, total + wanted[0])

    def window(self, total: int) -> int:
        """Blocks that must be held: from the oldest one wanted to the one being read, and one that comes."""
        return int((np.array(self.blocks) - self.oldest(total)[:-1]).max()) + 2

    def weight(self, total: int) -> int:
        """What it takes: words of memory, and entries of the tables of uneven steps (for blocks, of room as well)."""
        uneven = [len(set(np.diff(own).tolist())) > 1 for own in (self.blocks, *self.levels)]
        entries = [4 * len(self.blocks), *map(len, self.levels)]
        return self.window(total) * self.block + sum(n for n, counts in zip(entries, uneven) if counts)


def picks(index: np.ndarray, size: int, lanes: int) -> Picks | None:
    """Any movement (see `access`) that keeps beats whole, in the way that takes least."""
    beats = _beats(index.reshape(-1), lanes)
    if beats is None or size % lanes:
        return None
    total = size // lanes
    passes = [n for n in divisors(len(beats)) if n <= MOST_PASSES]
    found = [(p, total // p.block) for n in passes for p in _in_passes(beats.reshape(n, -1), total)]
    return min(found, key=lambda pair: pair[0].weight(pair[1]))[0]


def _in_passes(rows: np.ndarray, total: int) -> Iterator[Picks]:
    """The blocks of which every row reads the same beats."""
    pattern = rows[0] - rows[0, 0]
    few = rows[[len(rows) // 2, -1]]
    if (few - few[:, :1] != pattern).any() or (rows - rows[:, :1] != pattern).any():
        return
    first = rows.min(axis=1)
    for block in divisors(total):
        inside = rows[0] - first[0] + first[0] % block
        if inside.max() < block and (first % block == first[0] % block).all():
            yield Picks(block, tuple((first // block).tolist()), _levels(inside))
            return  # larger blocks only take more


def _levels(index: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """index as sums of one offset a level, outermost first: even levels where there are any."""
    levels: list[tuple[int, ...]] = []
    while len(index) > 1:
        counts = [c for c in divisors(len(index)) if c > 1]
        even = [c for c in counts if _is_loop(index, c)]
        count = even[-1] if even else next(c for c in counts if _repeats(index, c))
        levels.insert(0, tuple((index[:count] - index[0]).tolist()))
        index = index[::count]
    start = int(index[0])
    return (tuple(o + start for o in levels[0]), *levels[1:]) if levels else (((start,),) if start else ())


def _repeats(index: np.ndarray, count: int) -> bool:
    rows = index.reshape(-1, count)
    return bool((rows - rows[:, :1] == rows[0] - rows[0, 0]).all())
