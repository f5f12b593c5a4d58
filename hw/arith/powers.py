"""Products with weights that are powers of two, as signals: an input is inverted by the sign and shifted.

A shifted input is a number of the heap, not a partial product for every bit of a weight; its bits take fewer sites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from hw.netlist.cells import Literal, Netlist
from hw.netlist.products import PAIRED
from hw.netlist.tables import number_of, table_of

_AT_ONCE = 3  # exponents that one table chooses among, sign and zero included


@dataclass(frozen=True)
class Powers:
    """Integers +-2^e, `count` exponents from 0 on, and 0 where `zero`: a sign above the exponent, which is all ones
    for 0."""

    count: int
    zero: bool
    signed = True

    @property
    def lo(self) -> int:
        return -self.hi

    @property
    def hi(self) -> int:
        return 1 << (self.count - 1)

    @property
    def exponent_bits(self) -> int:
        return (self.count + self.zero - 1).bit_length()

    @property
    def bits(self) -> int:
        return 1 + self.exponent_bits

    def contains(self, values: np.ndarray) -> bool:
        sizes = np.abs(values)
        return bool(np.all((sizes & (sizes - 1) == 0) & (sizes <= self.hi) & ((sizes > 0) | self.zero)))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Integers that it contains -> uint64 codes."""
        sizes = np.abs(values.astype(np.int64))
        exponents = np.where(sizes > 0, np.log2(np.maximum(sizes, 1)).astype(np.int64), self._none)
        return (exponents | (values < 0).astype(np.int64) << self.exponent_bits).astype(np.uint64)

    def to_int(self, codes: np.ndarray) -> np.ndarray:
        """uint64 codes -> int64 values, exactly."""
        raw = codes.astype(np.int64)
        exponents = raw & self._none
        sizes = np.where((exponents == self._none) & self.zero, 0, np.int64(1) << exponents)
        return np.where(raw >> self.exponent_bits, -sizes, sizes)

    @property
    def _none(self) -> int:
        """The exponent of 0."""
        return (1 << self.exponent_bits) - 1


def powers_of(weights: np.ndarray) -> Powers | None:
    """The fewest that hold these integers; None where one is not a power of two."""
    most = int(np.abs(weights).max(initial=0))
    found = Powers(most.bit_length(), bool((weights == 0).any())) if most else None
    return found if found and found.contains(weights) else None


def times_power(n: Netlist, powers: Powers, bits: Sequence[Literal], weight: Sequence[Literal]) -> list[Literal]:
    """An unsigned number times a weight's power, lowest bit first; of a negative one the number's inverse."""
    exponent, sign = list(weight[:-1]), weight[-1]
    gates = [sign]
    if powers.zero and powers.count > _AT_ONCE:
        gates.append(n.lut(table_of(all, len(exponent)), exponent))
    made = list(bits)
    for stage in _stages(len(bits), powers):
        literals = [*made, *(exponent[k] for k in stage.select), *gates[: stage.gates]]
        made = [0] * stage.width
        for cell in stage.cells:
            _place(n, cell, [literals[k] for k in cell.inputs], made)
    return made


def _place(n: Netlist, cell: _Cell, literals: Sequence[Literal], made: list[Literal]) -> None:
    if len(cell.tables) == 2:
        made[cell.outputs[0]], made[cell.outputs[1]] = n.pair(*cell.tables, literals)
    else:
        made[cell.outputs[0]] = n.lut(cell.tables[0], literals)


@cache
def power_sites(x_bits: int, powers: Powers) -> int:
    """Sites of one product."""
    return sum(len(stage.cells) for stage in _stages(x_bits, powers)) + (powers.zero and powers.count > _AT_ONCE)


def power_columns(x_bits: int, powers: Powers) -> int:
    """Bits of one product."""
    return x_bits + powers.count - 1


class _Cell(NamedTuple):
    """A site: which literals of a stage it reads, its tables over them, the bits that it makes."""

    inputs: tuple[int, ...]
    tables: tuple[int, ...]
    outputs: tuple[int, ...]


class _Stage(NamedTuple):
    """Reads the bits of the stage before, some of the exponent's, and so many gates: the sign, whether the weight is
    0."""

    select: tuple[int, ...]
    gates: int
    width: int
    cells: tuple[_Cell, ...]


@cache
def _stages(x_bits: int, powers: Powers) -> tuple[_Stage, ...]:
    """The highest exponent bits first, beside the gates an odd one of them, then two at a time."""
    most, high = power_columns(x_bits, powers), powers.count - 1
    exponent = tuple(range(powers.exponent_bits))
    if powers.count <= _AT_ONCE:
        return (_stage(x_bits, dict(enumerate(range(powers.count))), exponent, 1, most),)
    top = len(exponent) % 2
    first = {code: code << (len(exponent) - top) for code in range(1 + top)}
    stages = [_stage(x_bits, first, exponent[len(exponent) - top :], 1 + powers.zero, most)]
    for low in range(len(exponent) - top - 2, -1, -2):
        shifts = {code: code << low for code in range(4) if code << low <= high}
        stages.append(_stage(stages[-1].width, shifts, exponent[low : low + 2], 0, most))
    return tuple(stages)


def _stage(width: int, shifts: Mapping[int, int], select: tuple[int, ...], gates: int, most: int) -> _Stage:
    """Of `width` bits shifted by shifts[code]; other codes give zeros, or do not occur."""
    total = min(width + max(shifts.values()), most)
    control = tuple(range(width, width + len(select) + gates))
    reads = [{j - s for s in shifts.values() if 0 <= j - s < width} for j in range(total)]
    cells: list[_Cell] = []
    left = list(range(total))
    while left:
        j = left.pop(0)
        sizes = {k: len(reads[j] | reads[k]) + len(control) for k in left}
        other = min(sizes, key=lambda k: (sizes[k], k), default=j)
        together = [j, other] if sizes.get(other, PAIRED + 1) <= PAIRED else [j]
        left = [k for k in left if k not in together]
        inputs = (*sorted(set[int]().union(*(reads[k] for k in together))), *control)
        tables = tuple(_chosen(k, inputs, shifts, len(select), gates) for k in together)
        cells.append(_Cell(inputs, tables, tuple(together)))
    return _Stage(select, gates, total, tuple(cells))


def _chosen(j: int, inputs: tuple[int, ...], shifts: Mapping[int, int], select: int, gates: int) -> int:
    """The table of a shifted number's bit j, inverted by the first gate, 0 by the second."""
    first = len(inputs) - select - gates

    def bit(row: Sequence[int]) -> int:
        shift = shifts.get(number_of(row[first : first + select]))
        sign, none = (*row[first + select :], 0, 0)[:2]
        if shift is None or none or j - shift not in inputs[:first]:
            return 0
        return row[inputs.index(j - shift)] ^ sign

    return table_of(bit, len(inputs))
