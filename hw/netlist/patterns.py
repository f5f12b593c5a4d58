"""Constant matrices of -1, 0 and 1 on bits: the sign patterns of a group of inputs are counted once for all outputs.

Inputs go by groups; over many outputs a group shows few patterns up to complement, the count's lowest bit is the same
for all patterns of one support, and the complement of a count costs nothing. The lowest bits, one a group, are summed
by the same means again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw.netlist.cells import Literal, Netlist
from hw.netlist.chains import added
from hw.netlist.heap import Heap
from hw.netlist.matrix import Number, number_width
from hw.netlist.tables import ones_bit

GROUPS = (3, 5, 6)  # inputs that are counted together
FEW = 12  # groups whose lowest bits are worth no second round


def pattern_sums(
    n: Netlist, bits: Sequence[Number], weights: np.ndarray, constants: np.ndarray, offsets: Sequence[int],
    ranges: tuple[Sequence[int], Sequence[int]], group: int,
) -> list[Number]:  # fmt: skip
    """bits (0 or 1) @ weights (K, N), which are -u, 0 and u for one u = 2^k, + constants: as `matrix` gives them."""
    unit = int(np.abs(weights).max())
    heaps = literal_heaps(n, [x.bits[0] for x in bits], weights // unit, group)
    made = []
    for heap, column, constant, offset, lo, hi in zip(heaps, weights.T, constants, offsets, *ranges, strict=True):
        whole = Heap(constant=heap.constant * unit + int(constant) + int(column[column < 0].sum()) - offset)
        for power, literals in heap.columns.items():
            for bit in literals:
                whole.add_bit(bit, power + unit.bit_length() - 1)
        made.append(Number(tuple(added(n, whole, number_width(offset, lo, hi))), offset, lo, hi))
    return made


def literal_heaps(n: Netlist, bits: Sequence[Literal], signs: np.ndarray, group: int) -> list[Heap]:
    """For every column of signs (K, N): the sum of b where it is 1 and of 1 - b where it is -1."""
    heaps = [Heap() for _ in range(signs.shape[1])]
    _count(n, list(bits), signs, heaps, group)
    return heaps


def _count(n: Netlist, bits: list[Literal], signs: np.ndarray, heaps: list[Heap], group: int) -> None:
    """Add the sums to the heaps; the groups' lowest bits, where they are many, as a matrix of their own."""
    lowest: dict[Literal, np.ndarray] = {}  # signs of every lowest bit in the outputs
    for k in range(0, len(bits), group):
        for column, (patterns, heap) in enumerate(zip(signs[k : k + group].T, heaps, strict=True)):
            parity = _add_group(n, bits[k : k + group], patterns, heap)
            if parity is not None:
                row = lowest.setdefault(parity & ~1, np.zeros(len(heaps), np.int64))
                row[column] = -1 if parity & 1 else 1
    again = np.array(list(lowest.values())).reshape(len(lowest), len(heaps))
    if len(lowest) >= FEW and np.count_nonzero(again) > again.size // 2:
        _count(n, list(lowest), again, heaps, group)
        return
    for bit, row in lowest.items():
        for column in np.flatnonzero(row):
            heaps[column].add_bit(bit | int(row[column] < 0), 0)


def _add_group(n: Netlist, bits: Sequence[Literal], signs: np.ndarray, heap: Heap) -> Literal | None:
    """Add the higher bits of a group's count to a heap; the lowest bit, if there is a count."""
    chosen = np.flatnonzero(signs)
    if not len(chosen):
        return None
    flipped = signs[chosen[0]] < 0  # every pattern begins with a bit as it is, or is the complement of one that does
    literals = [bits[k] ^ int((signs[k] < 0) != flipped) for k in chosen]
    size = len(literals)
    plain = n.lut(ones_bit(size, 0), [bit & ~1 for bit in literals])
    lowest = plain ^ (sum(bit & 1 for bit in literals) & 1)
    higher = _higher(n, literals)
    if not flipped:
        for k, bit in enumerate(higher):
            heap.add_bit(bit, k + 1)
        return lowest
    heap.constant += size - (1 << size.bit_length()) + 1  # size - v, with -v = ~v + 1 - 2^bits
    for k, bit in enumerate(higher):
        heap.add_bit(bit ^ 1, k + 1)
    return lowest ^ 1


def _higher(n: Netlist, literals: Sequence[Literal]) -> list[Literal]:
    """The bits of a count but the lowest: of four or five literals both from one site."""
    size = len(literals)
    if size in (4, 5):
        return list(n.pair(ones_bit(size, 1), ones_bit(size, 2), literals))
    return [n.lut(ones_bit(size, k), literals) for k in range(1, size.bit_length())]
