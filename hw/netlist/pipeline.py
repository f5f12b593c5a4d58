"""Registers between the cells of a netlist, so that no path is longer than a clock allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from hw.netlist.cells import Carry, Literal, Lut, Netlist, Register
from hw.netlist.fanout import reads, wide_nets, with_copies
from hw.netlist.sweep import swept
from hw.netlist.tables import depends

CHAIN = 1.0  # levels that a carry chain adds behind its look-up tables
MANY, SHORT_CHAIN = 4, 0.5  # levels of which wires take most: no wire leads to a chain, and it counts as so many
FEW = 2  # levels where a ternary adder counts as two, its first table left out: it then stands alone between registers


@dataclass
class Staged:
    """The netlist being rebuilt, and for every old net its stage, its depth there, and its copies stage by stage."""

    made: Netlist
    wide: set[int]
    stage: dict[int, int] = field(default_factory=dict)
    depth: dict[int, float] = field(default_factory=dict)
    copies: dict[int, list[int]] = field(default_factory=dict)

    def put(self, net: int, new: int, stage: int, depth: float) -> None:
        """A net as made in a stage; a wide one is read from a register only."""
        if net in self.wide:
            new, stage, depth = self.made.register(2 * new) >> 1, stage + 1, 0.0
        self.stage[net], self.depth[net], self.copies[net] = stage, depth, [new]

    def at(self, net: int, stage: int) -> int:
        """The net's copy in a stage at or after its own."""
        if net == 0:
            return 0
        copies = self.copies[net]
        while len(copies) <= stage - self.stage[net]:
            copies.append(self.made.register(2 * copies[-1]) >> 1)
        return copies[stage - self.stage[net]]

    def literal(self, bit: Literal, stage: int) -> Literal:
        return 2 * self.at(bit >> 1, stage) | bit & 1

    def arrival(self, net: int, stage: int) -> float:
        """Its depth in a stage: 0 where it comes from a register."""
        return self.depth[net] if net and self.stage[net] == stage else 0.0

    def originals(self, made: set[int]) -> set[int]:
        """The old nets of new ones that are read as they are made."""
        return {net for net, copies in self.copies.items() if copies[0] in made}

    def first(self, nets: Iterable[int]) -> int:
        """The first stage in which all these nets are."""
        return max((self.stage[net] for net in nets if net), default=0)


def pipelined(netlist: Netlist, levels: float) -> tuple[Netlist, int]:
    """The netlist with registers, at most `levels` of logic between them, and its latency in clocks.

    Inputs are taken as registered outside; all outputs come from registers of one stage. A carry chain stays in one
    stage with the look-up tables that feed its selects, since only there do they reach it without another one. No net
    has more than MOST_READERS readers: what would is registered first, and the register is made several times.
    """
    netlist, wide = swept(netlist), set()
    while True:
        staged, latency = _staged(netlist, levels, wide)
        more = staged.originals(wide_nets(staged.made)) - wide
        if not more:
            return with_copies(staged.made), latency
        wide |= more


def _staged(netlist: Netlist, levels: float, wide: set[int]) -> tuple[Staged, int]:
    """Everything in its stage, `wide` nets behind registers."""
    staged = Staged(Netlist(), wide)
    for name, nets in netlist.inputs.items():
        for net, new in zip(nets, staged.made.input(name, len(nets)), strict=True):
            staged.put(net, new >> 1, 0, 0.0)
    for group in _groups(netlist):
        _place(staged, group, levels)
    last = staged.first(bit >> 1 for bits in netlist.outputs.values() for bit in bits) + 1
    for name, bits in netlist.outputs.items():
        staged.made.output(name, [staged.literal(bit, last) for bit in bits])
    return staged, last


def _groups(netlist: Netlist) -> Iterator[list[Lut | Carry]]:
    """Cells in order, a carry chain together with the look-up tables of its selects."""
    selects = {bit >> 1 for cell in netlist.cells if isinstance(cell, Carry) for bit in cell.select}
    waiting: dict[int, Lut] = {}
    for cell in netlist.cells:
        if isinstance(cell, Register):
            raise ValueError("this netlist has registers already")
        if isinstance(cell, Lut) and cell.outputs[0] in selects:
            waiting[cell.outputs[0]] = cell
        elif isinstance(cell, Lut):
            yield [cell]
        else:
            yield [*(waiting.pop(bit >> 1) for bit in cell.select if bit > 1), cell]


def _place(staged: Staged, group: list[Lut | Carry], levels: float) -> None:
    """A group in the first stage where it is not too deep."""
    own = {net for cell in group for net in cell.outputs}
    stage = staged.first(net for cell in group for net in reads(cell) if net not in own)
    depths = _depths(staged, group, stage, levels)
    if max(depths.values()) > levels:
        stage += 1
        depths = _depths(staged, group, stage, levels)
    for cell in group:
        outputs = staged.made.new(len(cell.outputs))
        staged.made.cells.append(_moved(staged, cell, stage, outputs))
        for net, new in zip(cell.outputs, outputs, strict=True):
            staged.put(net, new, stage, depths[net])


def _depths(staged: Staged, group: list[Lut | Carry], stage: int, levels: float) -> dict[int, float]:
    """Levels up to every output of a group in a stage."""
    depths: dict[int, float] = {}
    own = {net for cell in group for net in cell.outputs}
    entering = max(staged.arrival(net, stage) for cell in group for net in reads(cell) if net not in own)

    def arrival(net: int) -> float:
        return depths[net] if net in depths else staged.arrival(net, stage)

    for cell in group:
        if isinstance(cell, Carry):
            deepest = max(arrival(net) for net in reads(cell)) + (SHORT_CHAIN if levels >= MANY else CHAIN)
            if levels <= FEW:
                deepest = min(deepest, FEW + entering)
            depths.update(dict.fromkeys(cell.outputs, deepest))
            continue
        for table, output in zip(cell.tables, cell.outputs, strict=True):
            mattering = (net for j, net in enumerate(cell.inputs) if depends(table, len(cell.inputs), j))
            depths[output] = 1.0 + max((arrival(net) for net in mattering), default=0.0)
    return depths


def _moved(staged: Staged, cell: Lut | Carry, stage: int, outputs: tuple[int, ...]) -> Lut | Carry:
    """The cell on the new nets."""
    if isinstance(cell, Lut):
        return replace(cell, inputs=tuple(staged.at(net, stage) for net in cell.inputs), outputs=outputs)
    select, data = (tuple(staged.literal(b, stage) for b in bits) for bits in (cell.select, cell.data))
    return replace(cell, select=select, data=data, outputs=outputs)
