"""How many cells read a net, and registers doubled so that none drives too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from hw.netlist.cells import Carry, Cell, Literal, Lut, Netlist, Register

MOST_READERS = 64  # of one net: wires, not logic, are what is slow beyond (MICROARCHITECTURE.md)


def reads(cell: Cell) -> list[int]:
    """The nets that a cell reads, once a pin."""
    if isinstance(cell, Register):
        return [cell.input]
    return list(cell.inputs) if isinstance(cell, Lut) else [bit >> 1 for bit in (*cell.select, *cell.data)]


def readers(netlist: Netlist) -> Counter[int]:
    """How many cells and outputs read each net, net 0 (the constants) left out."""
    count = Counter(net for cell in netlist.cells for net in set(reads(cell)))
    count.update(bit >> 1 for bits in netlist.outputs.values() for bit in bits)
    del count[0]
    return count


def wide_nets(netlist: Netlist, most: int = MOST_READERS) -> set[int]:
    """Nets that need a register, for none drives them: of more than MOST_READERS, inputs of more than `most`."""
    registered = {cell.output for cell in netlist.cells if isinstance(cell, Register)}
    inputs = {net for nets in netlist.inputs.values() for net in nets}
    wide = {net for net, count in readers(netlist).items() if count > (most if net in inputs else MOST_READERS)}
    return wide - registered


def stored_apart(netlist: Netlist) -> set[int]:
    """Nets that several registers store: all but one of these are elsewhere, behind a wire."""
    stored = Counter(cell.input for cell in netlist.cells if isinstance(cell, Register))
    return {net for net, count in stored.items() if count > 1}


def with_copies(netlist: Netlist, most: int = MOST_READERS) -> Netlist:
    """The netlist with as many equal registers in place of one as its readers need, `most` each."""
    readings = readers(netlist)
    cells: list[Cell] = []
    shares: dict[int, Iterator[int]] = {}
    fresh = netlist.nets
    for cell in reversed(netlist.cells):  # a register's copies are readers of the one before it
        count = -(-readings[cell.output] // most) if isinstance(cell, Register) else 1
        if isinstance(cell, Register) and count > 1:
            copies = [cell.output, *range(fresh, fresh + count - 1)]
            fresh += count - 1
            cells += [Register(cell.input, net, copy=True) for net in copies]
            shares[cell.output] = (net for net in copies for _ in range(most))
            readings[cell.input] += count - 1
        else:
            cells.append(cell)
    named = [_renamed(cell, shares) for cell in reversed(cells)]
    outputs = {name: [_shared(bit, shares) for bit in bits] for name, bits in netlist.outputs.items()}
    return replace(netlist, cells=named, outputs=outputs, nets=fresh)


def _shared(bit: Literal, shares: dict[int, Iterator[int]]) -> Literal:
    return 2 * next(shares[bit >> 1]) | bit & 1 if bit >> 1 in shares else bit


def _renamed(cell: Cell, shares: dict[int, Iterator[int]]) -> Cell:
    """The cell reading one of the copies, the same at every pin."""
    new = {net: next(shares[net]) for net in set(reads(cell)) if net in shares}
    if not new:
        return cell
    if isinstance(cell, Register):
        return replace(cell, input=new[cell.input])
    if isinstance(cell, Lut):
        return replace(cell, inputs=tuple(new.get(net, net) for net in cell.inputs))
    select, data = (tuple(2 * new.get(b >> 1, b >> 1) | b & 1 for b in bits) for bits in (cell.select, cell.data))
    return Carry(select, data, cell.carry_in, cell.outputs)
