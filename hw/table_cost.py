"""What tables of constant bits take as look-up tables, by what is in them: random ones much, regular ones little."""

from __future__ import annotations

import numpy as np

from hw.fitted import fitted
from hw.lookup import one_level

_LEAF = 64  # entries of a LUT6
_FREE = 2  # levels of multiplexers that a slice has beside its look-up tables, MUXF7 and MUXF8


def table_sites(columns: np.ndarray) -> float:
    """Of columns (words, n) of booleans behind one address; up to 64 words exact, beyond estimated."""
    words = len(columns)
    if one_level(words):
        return (0.5 if words <= 32 else 1.0) * len(changing(columns))
    return _joined_sites(columns) if words > _LEAF else 0.0


def changing(columns: np.ndarray) -> np.ndarray:
    """Columns (words, n) as rows, of equal ones the first, without those that are constant."""
    return _once(columns[:, (columns != columns[:1]).any(0)].T)


def _joined_sites(columns: np.ndarray) -> float:
    """Leaves, each of the 64 entries that the low bits of the address choose from, and what joins halves level by
    level; equal functions are made once, opposite ones are two: no inverter stands behind a multiplexer."""
    entries = np.zeros((1 << (len(columns) - 1).bit_length(), columns.shape[1]), bool)
    entries[: len(columns)] = columns
    reads = _reads(_functions(entries, _LEAF)).sum(1)
    sites, size, level = np.count_nonzero(reads > 1) - 0.5 * np.count_nonzero((reads > 1) & (reads < 6)), _LEAF, 1
    while (size := 2 * size) <= len(entries):
        low, high = np.split(_functions(entries, size), 2, axis=1)
        sites += _joins(low, high, level)
        level += 1
    return sites


def _joins(low: np.ndarray, high: np.ndarray, level: int) -> float:
    """Of functions whose halves differ: a free multiplexer joins what comes from the level below, a look-up table all
    other halves, and those above."""
    differ = (low != high).any(1)
    low, high = low[differ], high[differ]
    if level > _FREE:
        return fitted("table.join") * len(low)
    ready = [_reads(half).sum(1) > 1 if level == 1 else _reads(half)[:, -1] for half in (low, high)]
    return len(low) - np.count_nonzero(ready[0] & ready[1])


def _functions(entries: np.ndarray, size: int) -> np.ndarray:
    """(count, size): the different parts of so many entries."""
    return _once(entries.T.reshape(-1, size))


def _once(rows: np.ndarray) -> np.ndarray:
    """Of equal rows the first one."""
    _, first = np.unique(np.packbits(rows, axis=1), axis=0, return_index=True)
    return rows[first]


def _reads(functions: np.ndarray) -> np.ndarray:
    """(count, bits of the address): whether a function depends on a bit, the lowest first."""
    count, size = functions.shape
    pairs = (functions.reshape(count, size >> bit + 1, 2, 1 << bit) for bit in range(size.bit_length() - 1))
    return np.stack([(p[:, :, 0] != p[:, :, 1]).any((1, 2)) for p in pairs], axis=1)
