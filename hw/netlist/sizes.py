"""How many sites netlists take, and heaps before they are built: by counting bits, for choosing among foldings."""

from __future__ import annotations

from collections.abc import Mapping

from codesign.cost import Cost
from hw import pairing
from hw.netlist.cells import Carry, Lut, Netlist, Register
from hw.netlist.cover import cover


def netlist_cost(n: Netlist) -> Cost:
    """Sites once small look-up tables share them, as after synthesis, and flip-flops."""
    luts = [cell for cell in n.cells if isinstance(cell, Lut)]
    small = [cell for cell in luts if len(cell.outputs) == 1]
    selects = {bit >> 1 for cell in n.cells if isinstance(cell, Carry) for bit in cell.select}
    tied = [k for k, cell in enumerate(small) if cell.outputs[0] in selects]
    pairs = pairing.pair_luts([[str(net) for net in cell.inputs] for cell in small], tied)
    return Cost(lut=len(luts) - len(pairs), ff=sum(isinstance(cell, Register) for cell in n.cells))


LARGE = 1500  # bits up to which a heap is planned as it is


def heap_sites(columns: Mapping[int, int], width: int) -> int:
    """Sites of `hw.netlist.chains.added` on so many bits of each power of two, none of them constant.

    A large heap as several small ones, within 2 %: plans for it take seconds.
    """
    heights = [columns.get(p, 0) for p in range(width)]
    times = -(-sum(heights) // LARGE) or 1
    return times * cover(tuple(-(-height // times) for height in heights), (0,) * width)[0]
