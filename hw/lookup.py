"""Tables of few words, a look-up table for each column: of expressions synthesis makes cells that share parts, several
levels deep where other paths leave it the time."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Module, Value

from hw.netlist.cells import Netlist
from hw.netlist.circuit import Circuit

_WORDS = range(3, 65)  # of two words a column is the address or its inverse, of more than 64 several cells


def one_level(words: int) -> bool:
    """Whether a look-up table holds a column of so many words."""
    return words in _WORDS


def looked_up(m: Module, columns: np.ndarray, address: Value) -> list[Value]:
    """columns (words, n), booleans -> the bits at an address of no more values than that rounded up to 2^k."""
    netlist, n = Netlist(), columns.shape[1]
    bits = netlist.input("address", len(address))
    rows = np.packbits(columns, axis=0, bitorder="little")
    netlist.output("row", [netlist.lut(int.from_bytes(rows[:, k].tobytes(), "little"), bits) for k in range(n)])
    m.submodules += (circuit := Circuit(netlist))
    m.d.comb += circuit.address.eq(address)  # type: ignore[attr-defined]
    return list(circuit.row)  # type: ignore[attr-defined]
