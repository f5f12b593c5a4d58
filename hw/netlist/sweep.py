"""What nobody reads is left out of a netlist."""

from __future__ import annotations

from dataclasses import replace

from hw.netlist.cells import FALSE, Carry, Cell, Lut, Netlist, Register
from hw.netlist.fanout import reads


def swept(netlist: Netlist) -> Netlist:
    """The netlist without cells, second outputs and upper ends of carry chains that no output depends on."""
    used = {bit >> 1 for bits in netlist.outputs.values() for bit in bits}
    kept: list[Cell] = []
    for cell in reversed(netlist.cells):
        needed = _trimmed(cell, used)
        if needed is not None:
            kept.append(needed)
            used.update(reads(needed))
    return replace(netlist, cells=kept[::-1])


def _trimmed(cell: Cell, used: set[int]) -> Cell | None:
    if isinstance(cell, Register):
        return cell if cell.output in used else None
    if isinstance(cell, Lut):
        pairs = [(t, net) for t, net in zip(cell.tables, cell.outputs, strict=True) if net in used]
        return Lut(cell.inputs, tuple(t for t, _ in pairs), tuple(net for _, net in pairs)) if pairs else None
    return _shortened(cell, used)


def _shortened(cell: Carry, used: set[int]) -> Carry | None:
    """The chain up to the last column that somebody sees."""
    if cell.outputs[-1] in used:
        return cell
    size = max((k + 1 for k, net in enumerate(cell.outputs[:-1]) if net in used), default=0)
    if not size:
        return None
    # The last column's data only makes the carry out, which keeps its net.
    data = (*cell.data[: size - 1], FALSE)
    return Carry(cell.select[:size], data, cell.carry_in, (*cell.outputs[:size], cell.outputs[-1]))
