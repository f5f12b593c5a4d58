"""Neurons as truth tables: every value of the few bits that a neuron reads, in look-up tables.

Beyond six bits a table is decomposed: where a set of bits shows few different behaviours, its code takes their place
(Ashenhurst 1957, Curtis 1962), one for all of the neuron's bits; else it is cut by two bits (Shannon), and what comes
out equal is made once. Without decomposition L bits would take 2^(L-6) + ceil((2^(L-8) - 1) / 3) LUTs and wide
multiplexers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, islice

import numpy as np

from codesign.formats import Binary, Format
from codesign.ops.threshold import Threshold
from hw.netlist.cells import Literal, Netlist
from hw.netlist.tables import MOST_INPUTS

MOST_BITS = 12  # that a neuron reads: 4,096 values
MOST_SETS = 200  # of bits that are tried for a common code


def codes_of(
    weights: np.ndarray, bias: int, x: Format, activation: Threshold | None, column: int, output: Format
) -> np.ndarray:  # fmt: skip
    """The output's code (an unsigned number) for every row of the input codes (K,), the first input's bits lowest."""
    rows = np.arange(1 << (len(weights) * x.bits))
    digits = rows[:, None] >> (x.bits * np.arange(len(weights))) & ((1 << x.bits) - 1)
    sums = _values(digits, x) @ weights + bias
    if activation is not None:
        row, base, step = (a[column % len(a)] for a in (activation.thresholds, activation.base, activation.step))
        sums = base + step * np.searchsorted(row, sums, side="right")
    return (sums > 0).astype(np.int64) if isinstance(output, Binary) else sums & ((1 << output.bits) - 1)


def _values(codes: np.ndarray, x: Format) -> np.ndarray:
    """What codes mean; those that never occur mean what their bits say."""
    if isinstance(x, Binary):
        return 2 * codes - 1
    return codes - (codes >> (x.bits - 1) << x.bits) if x.signed else codes


def from_table(n: Netlist, codes: np.ndarray, width: int, bits: Sequence[Literal]) -> list[Literal]:
    """The `width` bits of codes[row], where bit k of the row is bits[k]."""
    return _functions(n, (codes[:, None] >> np.arange(width) & 1).astype(bool), list(bits))


def _functions(n: Netlist, table: np.ndarray, bits: list[Literal]) -> list[Literal]:
    """Functions (2^len(bits), functions) of the same literals."""
    table, bits = _without_idle(table, bits)
    if len(bits) <= MOST_INPUTS:
        return [n.lut(_packed(column), bits) for column in table.T]
    chosen = _bound_set(table, len(bits))
    return _decomposed(n, table, bits, chosen) if chosen is not None else _cut(n, table, bits)


def _packed(column: np.ndarray) -> int:
    return sum(1 << int(k) for k in np.flatnonzero(column))


def _without_idle(table: np.ndarray, bits: list[Literal]) -> tuple[np.ndarray, list[Literal]]:
    """Bits that matter to no function left out."""
    for j in reversed(range(len(bits))):
        zero, one = (_cofactor(table, j, value) for value in (0, 1))
        if (zero == one).all():
            table, bits = zero, bits[:j] + bits[j + 1 :]
    return table, bits


def _cofactor(table: np.ndarray, j: int, value: int) -> np.ndarray:
    return table.reshape(-1, 2, 1 << j, table.shape[1])[:, value].reshape(-1, table.shape[1])


def _columns(table: np.ndarray, size: int, chosen: Sequence[int]) -> np.ndarray:
    """(2^chosen, the rest): what the functions do for each value of the chosen bits, the first of them lowest."""
    cube = table.reshape((2,) * size + (table.shape[1],))  # axis k is bit size - 1 - k
    first = [size - 1 - j for j in reversed(chosen)]
    rest = [axis for axis in range(size) if axis not in first]
    return cube.transpose(*first, *rest, size).reshape(1 << len(chosen), -1)


def _classes(columns: np.ndarray) -> list[int]:
    """The number of each row among those that differ, in order of their coming."""
    known: dict[bytes, int] = {}
    return [known.setdefault(row.tobytes(), len(known)) for row in np.packbits(columns, axis=1)]


def _bound_set(table: np.ndarray, size: int) -> tuple[int, ...] | None:
    """The bits whose code saves the most bits, at least two; of equals, that of the shortest code."""
    best: tuple[int, int] | None = None
    found: tuple[int, ...] | None = None
    for bound in (6, 5, 4):
        for chosen in islice(combinations(range(size), bound), MOST_SETS):
            code = max(_classes(_columns(table, size, chosen))).bit_length()
            if bound - code >= 2 and (best is None or (bound - code, -code) > best):
                best, found = (bound - code, -code), chosen
    return found


def _decomposed(n: Netlist, table: np.ndarray, bits: list[Literal], chosen: tuple[int, ...]) -> list[Literal]:
    """A code of the chosen bits takes their place."""
    columns = _columns(table, len(bits), chosen)
    classes = _classes(columns)
    width = max(classes).bit_length()
    codes = np.array(classes)
    made = _functions(n, (codes[:, None] >> np.arange(width) & 1).astype(bool), [bits[j] for j in chosen])
    rows = [classes.index(min(code, max(classes))) for code in range(1 << width)]
    smaller = columns[rows].reshape(-1, table.shape[1])  # the code's bits are the highest now
    return _functions(n, smaller, [b for j, b in enumerate(bits) if j not in chosen] + made)


def _cut(n: Netlist, table: np.ndarray, bits: list[Literal]) -> list[Literal]:
    """By the two highest bits."""
    quarters = table.reshape(4, -1, table.shape[1])
    made = [_functions(n, quarter, bits[:-2]) for quarter in quarters]
    return [n.lut(CHOOSE, (*four, *bits[-2:])) for four in zip(*made, strict=True)]


CHOOSE = sum((row >> (row >> 4) & 1) << row for row in range(64))  # input 0..3 by inputs 4 and 5
