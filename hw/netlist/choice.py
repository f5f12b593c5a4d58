"""One of many values by its number: tables that choose among four, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from hw.netlist.cells import Literal, Netlist

_TWO, _FOUR = 2, 4


@cache
def choice_netlist(ways: int, bits: int, numbers: int) -> Netlist:
    """y = the value of x (ways * bits, number 0 lowest) that `n` says: so many equal numbers, which tables share."""
    netlist, digits = Netlist(), (ways - 1).bit_length()
    x, n = netlist.input("x", ways * bits), netlist.input("n", numbers * digits)
    values = [x[k * bits : (k + 1) * bits] for k in range(ways)]
    for low in range(0, digits, 2):
        groups = [values[k : k + _FOUR] for k in range(0, len(values), _FOUR)]
        shares = [n[k * numbers // len(groups) * digits :][low:digits][:2] for k in range(len(groups))]
        values = [_chosen(netlist, group, share) for group, share in zip(groups, shares, strict=True)]
    netlist.output("y", values[0])
    return netlist


def _chosen(netlist: Netlist, values: Sequence[Sequence[Literal]], number: Sequence[Literal]) -> list[Literal]:
    """Of at most four values, by two bits; two bits of two values share a site."""
    if len(values) == 1:
        return list(values[0])
    if len(values) > _TWO:
        rows = zip(*values, strict=True)
        return [netlist.lut(_table(len(values), len(row), 0), [*row, *number]) for row in rows]
    a, b = values
    fours = [(*a[k : k + 2], *b[k : k + 2]) for k in range(0, len(a), 2)]
    chosen = [netlist.pair(_table(2, len(f), 0), _table(2, len(f), 1), [*f, number[0]]) for f in fours]
    return [bit for pair in chosen for bit in pair][: len(a)]


def _table(ways: int, inputs: int, first: int) -> int:
    """Of so many inputs and the number above them: input `first` of as many as each way has, of the way it says."""
    each, digits = inputs // ways, (ways - 1).bit_length()
    rows = range(1 << (inputs + digits))
    return sum(((row >> min(row >> inputs, ways - 1) * each + first % each) & 1) << row for row in rows)
