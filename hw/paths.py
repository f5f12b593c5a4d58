"""A mapped netlist as steps from net to net, each with the times of its cell and of the wire before it.

Cells take the times of `hw.delays`. Nothing is placed, so wires are an estimate: none inside a slice, `net_ps` else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hw.blif import CONSTANTS, Instance
from hw.delays import LUT, Arc, arcs
from hw.netlist.clock import net_ps

_TABLES = ("LUT", "INV", "RAM", "SRL")


@dataclass(frozen=True, slots=True)
class Step:
    """Through cell number `cell` and the wire before it; net -1: a register launches or captures there.

    levels: of logic that it adds; bits: of a carry chain, of the one before it where `continues`.
    """

    cell: int
    arc: Arc
    source: int
    target: int
    wire_ps: int
    levels: int = 0
    bits: int = 0
    continues: bool = False


@dataclass
class Nets:
    """Nets by number: names, how many cells read each, one of them and its pin, the steps into each; those that end."""

    cells: list[Instance]
    names: list[str] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    reader: dict[int, tuple[int, str]] = field(default_factory=dict)
    into: list[list[Step]] = field(default_factory=list)
    ends: list[Step] = field(default_factory=list)


Wire = Callable[[int], int]  # readers of a net -> ps of a hop


def nets_of(cells: Iterable[Instance], wire: Wire = net_ps) -> Nets:
    """The steps through the cells of a netlist."""
    return _Pins(list(cells), wire).steps()


class _Pins:
    """What drives and reads every net."""

    def __init__(self, cells: list[Instance], wire: Wire) -> None:
        self.wire, self.nets, self.numbers = wire, Nets(cells), dict[str, int]()
        self.arcs = [arcs(cell) for cell in cells]
        self.driver: dict[int, tuple[int, str]] = {}  # net -> cell, pin
        self.stored = Counter[int]()  # flip-flops that take the net at D
        self.selects: set[int] = set()  # nets that are selects of carry chains
        for k, cell in enumerate(cells):
            self._add(k, cell)

    def _add(self, k: int, cell: Instance) -> None:
        outputs, read = {arc.target for arc in self.arcs[k]}, set[int]()
        for pin, name in cell.pins.items():
            if name in CONSTANTS:
                continue
            net = self._number(name)
            if pin in outputs:
                self.driver[net] = k, pin
                continue
            read.add(net)
            self.nets.reader.setdefault(net, (k, pin))
            self.stored[net] += cell.kind.startswith("FD") and pin == "D"
            if cell.kind == "CARRY4" and pin[0] == "S":
                self.selects.add(net)
        for net in read:
            self.nets.readers[net] += 1

    def _number(self, name: str) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.nets.names)
            self.nets.names.append(name)
            self.nets.readers.append(0)
            self.nets.into.append([])
        return self.numbers[name]

    def steps(self) -> Nets:
        for k, cell in enumerate(self.nets.cells):
            for arc in self.arcs[k]:
                step = self._step(k, cell, arc)
                (self.nets.into[step.target] if arc.target else self.nets.ends).append(step)
        return self.nets

    def _step(self, k: int, cell: Instance, arc: Arc) -> Step:
        source, target = (self.numbers[cell.pins[pin]] if pin else -1 for pin in (arc.source, arc.target))
        near = not arc.source or self._near(cell.kind, arc.source, source)
        wire = 0 if near else self.wire(self.nets.readers[source])
        if cell.kind != "CARRY4":
            return Step(k, arc, source, target, wire, self._levels(cell, arc))
        continues = near and arc.source == "CI"
        passed = arc.source[0] == "S" and not near  # a table stands before the chain that only passes it on
        first = int(arc.source[-2]) if arc.source[-1] == "]" else 0
        bits = int(arc.target[-2]) - first + 1
        return Step(k, arc, source, target, wire + LUT[-1] * passed, int(not continues), bits, continues)

    def _near(self, kind: str, pin: str, net: int) -> bool:
        """Whether a signal stays in the slice, or on wires of its own, on its way to a pin."""
        cell, output = self.driver.get(net, (-1, ""))
        driver = self.nets.cells[cell].kind if output else ""
        if kind == "CARRY4":
            if pin in ("CI", "CYINIT"):
                return pin == "CI" and driver == "CARRY4"
            return driver.startswith(("LUT", "INV")) and (pin[0] == "S" or output == "O5")
        if kind.startswith("MUXF"):
            return pin != "S" and driver.startswith(("LUT", "RAM", "MUXF7"))
        if kind.startswith("FD"):
            return pin == "D" and self.stored[net] == 1 and driver.startswith((*_TABLES, "MUXF", "CARRY4"))
        return pin.startswith(("PCIN", "ACIN", "BCIN"))

    def _levels(self, cell: Instance, arc: Arc) -> int:
        """Of logic; the two tables of a bit of a ternary adder are one."""
        if not arc.source:
            return int(cell.kind.startswith("SRL"))  # a shift register's output is as late as a table behind a register
        if not arc.target:
            return 0
        if cell.kind == "LUT6_2" and arc.target == "O5":
            return int(self.numbers.get(cell.pins.get("O6", ""), -1) not in self.selects)
        if cell.kind.startswith("MUXF"):
            return int(arc.source == "S")
        return 2 if cell.kind == "DSP48E1" else int(cell.kind.startswith(_TABLES))
