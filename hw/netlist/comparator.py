"""The comparison of two variables: two bits of each a table, which selects and feeds a carry chain."""

from __future__ import annotations

from functools import cache
from itertools import product

from hw.netlist.cells import FALSE, TRUE, Netlist


@cache
def at_least_netlist(bits: int, signed: bool) -> Netlist:
    """y = x >= t, both so many bits."""
    netlist = Netlist()
    x, t = netlist.input("x", bits), netlist.input("t", bits)
    columns = []
    for low in range(0, bits, 2):
        pair = [b for bit in range(low, min(low + 2, bits)) for b in (x[bit], t[bit])]
        equal, above = _tables(len(pair) // 2, signed and low + 2 >= bits)
        columns.append(netlist.select(equal, above, pair))
    netlist.output("y", netlist.carry([*columns, (FALSE, FALSE)], TRUE)[-2:-1])
    return netlist


def _tables(bits: int, signed: bool) -> tuple[int, int]:
    """Of digits whose bits come in turns, the lowest first: x == t, x > t; `signed`: the highest bits are signs."""
    equal = above = 0
    for row, digits in enumerate(product((0, 1), repeat=2 * bits)):
        pairs = list(digits[::-1])
        x, t = (pairs[which::2] for which in (0, 1))
        if signed:
            x[-1], t[-1] = t[-1], x[-1]
        equal |= (x == t) << row
        above |= (x[::-1] > t[::-1]) << row
    return equal, above
