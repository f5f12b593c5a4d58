"""Registers between the cells of a netlist, so that no path is longer than a clock allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

from hw.netlist.cells import Carry, Literal, Lut, Netlist, Register
from hw.netlist.clock import MOST_LEVELS, net_ps, period_ps, stretch
from hw.netlist.fanout import MOST_READERS, readers, reads, stored_apart, wide_nets, with_copies
from hw.netlist.sweep import swept
from hw.netlist.tables import mattering

CHAIN = 1.0  # levels that a carry chain adds behind its look-up tables
SHORT_CHAIN = 0.5  # the same where levels are most
FEW = 2  # levels where a ternary adder counts as two, its first table left out: it then stands alone between registers
# From the clock's edge, through a table, through the first slice of a carry chain and through all others (hw/delays.py)
START_PS, LUT_PS, CHAIN_PS, CHAIN_ON_PS = 300, 600, 550, 350
# Of a period: no path goes through the slowest pin of every cell, so the first one holds the clock as hw.sta estimates
# it. The next ones take fewer registers.
SLACKS = (1.1, 1.25, 1.5)
FEWEST_READERS = 12  # for which a register is made again
SEVERAL = 2  # registers that stand for one: readers of what they store
REGISTERS = 10.0  # a table, by levels: 2.5 at 100 MHz; a slice has two flip-flops a table


class Depth(NamedTuple):
    """Levels of logic behind registers, and the time of these with their wires, as far as a bound is sharp."""

    levels: float
    ps: float

    def plus(self, levels: float, ps: float) -> Depth:
        return Depth(self.levels + levels, self.ps + ps)

    def within(self, most: Depth) -> bool:
        return self.levels <= most.levels and self.ps <= most.ps


REGISTERED = Depth(0.0, START_PS)


@dataclass
class Staged:
    """The netlist being rebuilt, and for every old net its stage, its depth there, and its copies stage by stage.

    `most`: how deep a stage may be; `wires`: what every old net's wire takes, in ps; `registered`: where it arrives
    behind a register, which is made several times; `ending_ps`: before the registers of `copied` nets, of which one at
    most is where the net comes from. `wide`: nets that are read from registers only, so many of them one behind the
    other. `old`: the old net of every new one that is made, not registered.
    """

    made: Netlist
    most: Depth
    wires: dict[int, float]
    registered: dict[int, Depth]
    ending_ps: float
    wide: Counter[int]
    copied: set[int]
    old: dict[int, int] = field(default_factory=dict)
    stage: dict[int, int] = field(default_factory=dict)
    depth: dict[int, Depth] = field(default_factory=dict)
    copies: dict[int, list[int]] = field(default_factory=dict)

    def put(self, net: int, new: int, stage: int, depth: Depth) -> None:
        """A net as made in a stage."""
        self.old[new] = net
        for _ in range(self.wide[net]):
            new, stage, depth = self.made.register(2 * new) >> 1, stage + 1, REGISTERED
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

    def arrival(self, net: int, stage: int) -> Depth:
        """Its depth in a stage, its wire included."""
        if net and self.stage[net] == stage and self.depth[net] is not REGISTERED:
            return self.depth[net].plus(0.0, self.wires[net])
        return self.registered.get(net, REGISTERED)

    def holds(self, net: int, depth: Depth) -> bool:
        """Whether a net so deep is within the stage, with what follows before its registers."""
        return depth.plus(0.0, self.ending_ps if net in self.copied else 0.0).within(self.most)

    def originals(self, made: set[int]) -> set[int]:
        """The old nets of new ones that are made, not registered."""
        return {self.old[net] for net in made if net in self.old}

    def first(self, nets: Iterable[int]) -> int:
        """The first stage in which all these nets are."""
        return max((self.stage[net] for net in nets if net), default=0)


def pipelined(netlist: Netlist, levels: float) -> tuple[Netlist, int]:
    """The netlist with registers, at most `levels` of logic between them, and its latency in clocks.

    No path takes longer than the period of the fastest clock with such levels, wires as estimated included, unless that
    takes too many registers for the tables; then a longer period has to do, at last any.

    Inputs are taken as registered outside; all outputs come from registers of one stage. A carry chain stays in one
    stage with the look-up tables that feed its selects, since only there do they reach it without another one. No net
    has more than MOST_READERS readers: what would is registered first, and the register is made several times, more
    often in a large netlist, where wires are long.
    """
    netlist = swept(netlist)
    tables = netlist.sites
    for slack in SLACKS:
        made, latency = _within(netlist, Depth(levels, slack * period_ps(levels)), stretch(tables))
        if _registers(made) <= REGISTERS / levels * tables:
            return made, latency
    return _within(netlist, Depth(levels, inf), stretch(tables))


def _registers(netlist: Netlist) -> int:
    return sum(isinstance(cell, Register) for cell in netlist.cells)


def _within(netlist: Netlist, most: Depth, long: float) -> tuple[Netlist, int]:
    """With stages so deep at most; `long`: by how much wires are longer than in a small netlist."""
    each, wide, copied = max(FEWEST_READERS, int(MOST_READERS / long**2)), Counter[int](), set[int]()
    wires = {net: long * net_ps(count) for net, count in readers(netlist).items()}
    registered = {net: REGISTERED.plus(0.0, min(wire, long * net_ps(each))) for net, wire in wires.items()}
    while True:
        empty = Staged(Netlist(), most, wires, registered, long * net_ps(SEVERAL), wide, copied)
        staged, latency = _staged(netlist, empty)
        made = with_copies(staged.made, each)
        # A wide net gets one register, and one more before it while that is there too often.
        wider = staged.originals(wide_nets(staged.made, each)) | staged.originals(wide_nets(made))
        more = staged.originals(stored_apart(made)) - copied
        if not wider and not more:
            return made, latency
        wide.update(wider)
        copied |= more


def _staged(netlist: Netlist, staged: Staged) -> tuple[Staged, int]:
    """Everything in its stage."""
    for name, nets in netlist.inputs.items():
        for net, new in zip(nets, staged.made.input(name, len(nets)), strict=True):
            staged.put(net, new >> 1, 0, REGISTERED)
    for group in _groups(netlist):
        _place(staged, group)
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


def _place(staged: Staged, group: list[Lut | Carry]) -> None:
    """A group in the first stage where it is not too deep."""
    own = {net for cell in group for net in cell.outputs}
    stage = staged.first(net for cell in group for net in reads(cell) if net not in own)
    depths = _depths(staged, group, stage)
    if not all(staged.holds(net, depth) for net, depth in depths.items()):
        stage += 1
        depths = _depths(staged, group, stage)
    for cell in group:
        outputs = staged.made.new(len(cell.outputs))
        staged.made.cells.append(_moved(staged, cell, stage, outputs))
        for net, new in zip(cell.outputs, outputs, strict=True):
            staged.put(net, new, stage, depths[net])


def _depths(staged: Staged, group: list[Lut | Carry], stage: int) -> dict[int, Depth]:
    """How deep every output of a group is in a stage."""
    depths: dict[int, Depth] = {}

    def arrival(net: int, near: bool) -> Depth:
        """`near`: what this group makes comes without a wire."""
        if net not in depths:
            return staged.arrival(net, stage)
        return depths[net] if near else depths[net].plus(0.0, staged.wires[net])

    for cell in group:
        if isinstance(cell, Carry):
            depth = _behind_chain(staged.most.levels, cell, _all(arrival(net, near=True) for net in reads(cell)))
            if staged.most.levels <= FEW:
                entering = _all(staged.arrival(net, stage) for c in group for net in reads(c) if net not in depths)
                depth = Depth(min(depth.levels, FEW + entering.levels), depth.ps)
            depths.update(dict.fromkeys(cell.outputs, depth))
            continue
        for table, output in zip(cell.tables, cell.outputs, strict=True):
            nets = (cell.inputs[j] for j in mattering(table, len(cell.inputs)))
            depths[output] = _all(arrival(net, near=False) for net in nets).plus(1.0, LUT_PS)
    return depths


def _all(depths: Iterable[Depth]) -> Depth:
    """Behind all of them."""
    levels, ps = REGISTERED
    for depth in depths:  # not max() of each, which takes three times as long
        if depth.levels > levels:
            levels = depth.levels
        if depth.ps > ps:
            ps = depth.ps
    return Depth(levels, ps)


def _behind_chain(levels: float, chain: Carry, selected: Depth) -> Depth:
    """Its outputs, where selects and data are so deep."""
    on = CHAIN_ON_PS if len(chain.select) > 4 else 0
    return selected.plus(SHORT_CHAIN if levels >= MOST_LEVELS else CHAIN, CHAIN_PS + on)


def _moved(staged: Staged, cell: Lut | Carry, stage: int, outputs: tuple[int, ...]) -> Lut | Carry:
    """The cell on the new nets."""
    if isinstance(cell, Lut):
        return replace(cell, inputs=tuple(staged.at(net, stage) for net in cell.inputs), outputs=outputs)
    select, data = (tuple(staged.literal(b, stage) for b in bits) for bits in (cell.select, cell.data))
    return replace(cell, select=select, data=data, outputs=outputs)
