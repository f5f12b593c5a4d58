"""One of many values by its number."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Value

from hw.copies import EACH, groups_of, slices_of
from hw.fitted import fitted
from hw.netlist.choice import choice_netlist
from hw.netlist.circuit import Circuit

_FEW = 4


def chosen_in_parts(m: Module, ways: Sequence[Value], numbers: Sequence[Value]) -> Value:
    """ways[number], each part of the bits by some of the `numbers` (`numbers_of`), which are all the same."""
    bits = len(ways[0])
    parts = slices_of(bits, min(bits, len(numbers)))
    shared = slices_of(len(numbers), len(parts))
    return Cat(*(_chosen(m, [way[p] for way in ways], numbers[own]) for p, own in zip(parts, shared, strict=True)))


def _chosen(m: Module, ways: Sequence[Value], numbers: Sequence[Value]) -> Value:
    """ways[number], of values that are equally wide; its tables share `numbers`, which are all the same.

    More than a few are chosen by tables that synthesis leaves alone: it makes half as many more, one behind another.
    """
    if len(ways) <= _FEW:
        return Array(ways)[numbers[0]]
    m.submodules += (circuit := Circuit(choice_netlist(len(ways), len(ways[0]), len(numbers))))
    m.d.comb += [circuit.x.eq(Cat(*ways)), circuit.n.eq(Cat(*numbers))]  # type: ignore[attr-defined]
    return circuit.y  # type: ignore[attr-defined]


def numbers_of(bits: int, ways: int) -> int:
    """Numbers that choose among the ways, each for a part of the bits, or of the ways of one bit: so many tables read
    it, and the one that joins them."""
    readers = -(-ways // 4) + (ways > 4)
    return groups_of(bits, readers) if readers <= EACH else bits * groups_of(readers)


def choice_sites(ways: int) -> float:
    """Of one bit of so many: two bits of two ways share a site, four ways fit a LUT6, MUXF7 and MUXF8 are free."""
    if ways <= 2:
        return fitted("choice.two") * (ways - 1)
    return max(fitted("choice.four"), fitted("choice.way") * ways)
