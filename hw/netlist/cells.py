"""A netlist of look-up tables, carry chains and registers, and the builder that keeps it small.

A literal is 2 * net + inverted; FALSE and TRUE are the literals of net 0. Look-up tables take inverted literals,
constants and repeated inputs for nothing, and a table that was made before is made once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from hw.netlist import tables

FALSE, TRUE = 0, 1
Literal = int


@dataclass(frozen=True)
class Lut:
    """One site: outputs[0] is O6 = tables[0] of the inputs (nets); where there are two, outputs[1] is O5 (LUT6_2)."""

    inputs: tuple[int, ...]
    tables: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Carry:
    """A chain of CARRY4: sums[k] = select[k] ^ c[k], c[k+1] = c[k] where select[k], else data[k]; c[0] is a constant.

    select and data: literals that are constant or not inverted; outputs (nets): the sums and then the carry out.
    """

    select: tuple[Literal, ...]
    data: tuple[Literal, ...]
    carry_in: Literal
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Register:
    """A flip-flop without reset or enable; `copy`: one of several that are equal, which synthesis must not merge."""

    input: int
    output: int
    copy: bool = False


Cell = Lut | Carry | Register


@dataclass
class Netlist:
    """Cells in topological order (registers aside, there are no loops), named inputs (nets) and outputs (literals)."""

    cells: list[Cell] = field(default_factory=list)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: dict[str, list[Literal]] = field(default_factory=dict)
    nets: int = 1
    _known: dict[tuple[object, ...], tuple[int, ...]] = field(default_factory=dict)
    _levels: dict[int, int] = field(default_factory=dict)

    def input(self, name: str, width: int) -> list[Literal]:
        """New literals, lowest bit first."""
        self.inputs[name] = self.new(width)
        return [2 * net for net in self.inputs[name]]

    def output(self, name: str, bits: Sequence[Literal]) -> None:
        self.outputs[name] = list(bits)

    def lut(self, table: int, bits: Sequence[Literal]) -> Literal:
        """A function of at most six literals."""
        (table,), nets = _normal((table,), bits)
        wire = _as_wire(table, nets)
        return wire if wire is not None else 2 * self._lut((table,), nets)[0]

    def pair(self, six: int, five: int, bits: Sequence[Literal]) -> tuple[Literal, Literal]:
        """Two functions of the same literals, at most five, in one site."""
        alone = [_normal((t,), bits) for t in (six, five)]
        if six == five or any(_as_wire(t, nets) is not None for (t,), nets in alone):
            return self.lut(six, bits), self.lut(five, bits)
        o6, o5 = self._lut(*_normal((six, five), bits))
        return 2 * o6, 2 * o5

    def carry(self, columns: Sequence[tuple[Literal, Literal]], carry_in: Literal) -> list[Literal]:
        """Sums and carry out of (select, data) columns, the lowest first; `carry_in` is FALSE or TRUE."""
        select, data = (tuple(self.straight(bit) for bit in bits) for bits in zip(*columns, strict=True))
        outputs = self.new(len(columns) + 1)
        self.cells.append(Carry(select, data, carry_in, outputs))
        sums = [select[0] ^ carry_in, *(2 * net for net in outputs[1:])]  # the first one meets a constant
        self._note((bit >> 1 for bit in (*select, *data)), (*outputs, *([sums[0] >> 1] if sums[0] > TRUE else [])))
        return sums

    def straight(self, bit: Literal) -> Literal:
        """The literal as one that is not inverted: an inverted one takes a look-up table."""
        return 2 * self._lut((0b01,), (bit >> 1,))[0] if bit & 1 and bit != TRUE else bit

    def select(self, six: int, five: int | None, bits: Sequence[Literal]) -> tuple[Literal, Literal]:
        """A carry chain's select (O6) and data (O5) from one site of its own, whatever the functions are."""
        wanted = (six,) if five is None else (six, five)
        functions, nets = _normal(wanted, bits)
        if not nets:
            return functions[0] & 1, functions[-1] & 1
        outputs = self.new(len(functions))
        self.cells.append(Lut(nets, functions, outputs))
        for table, output in zip(functions, outputs, strict=True):
            self._note((nets[j] for j in tables.mattering(table, len(nets))), (output,))
        return 2 * outputs[0], 2 * outputs[-1]

    def register(self, bit: Literal) -> Literal:
        """The literal a clock later (a constant stays)."""
        if bit in (FALSE, TRUE):
            return bit
        key = ("register", bit >> 1)
        if key not in self._known:
            self._known[key] = self.new(1)
            self.cells.append(Register(bit >> 1, self._known[key][0]))
        return 2 * self._known[key][0] | bit & 1

    def _lut(self, functions: tuple[int, ...], nets: tuple[int, ...]) -> tuple[int, ...]:
        key = (functions, nets)
        if key not in self._known:
            self._known[key] = self.new(len(functions))
            self.cells.append(Lut(nets, functions, self._known[key]))
            self._note(nets, self._known[key])
        return self._known[key]

    def level(self, bit: Literal) -> int:
        """How many look-up tables and carry chains stand between the inputs and this literal, registers left out."""
        return self._levels.get(bit >> 1, 0)

    def delay(self, bits: Iterable[Literal], level: int) -> None:
        """Take literals as coming at a level, constants aside."""
        self._levels.update((bit >> 1, level) for bit in bits if bit > TRUE)

    def _note(self, reads: Iterable[int], outputs: Iterable[int]) -> None:
        level = 1 + max((self._levels.get(net, 0) for net in reads), default=0)
        self._levels.update(dict.fromkeys(outputs, level))

    def copied(self) -> Netlist:
        """One that goes on from here by itself."""
        known, levels = dict(self._known), dict(self._levels)
        return Netlist(list(self.cells), dict(self.inputs), dict(self.outputs), self.nets, known, levels)

    def become(self, other: Netlist) -> None:
        """All that the other one holds, which is used up."""
        self.__dict__.update(other.__dict__)

    @property
    def sites(self) -> int:
        """Look-up tables, two of one site counted once."""
        return sum(isinstance(cell, Lut) for cell in self.cells)

    def new(self, count: int) -> tuple[int, ...]:
        """New nets."""
        self.nets += count
        return tuple(range(self.nets - count, self.nets))


def _as_wire(table: int, nets: tuple[int, ...]) -> Literal | None:
    """A constant, or an input itself or inverted, needs no table."""
    if not nets:
        return TRUE if table & 1 else FALSE
    return 2 * nets[0] | (table == 0b01) if len(nets) == 1 else None


def _normal(functions: tuple[int, ...], bits: Sequence[Literal]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tables over distinct nets in rising order, those that matter to none of them left out."""
    nets = sorted({0, *(bit >> 1 for bit in bits)})
    place = {net: 2 * k for k, net in enumerate(nets)}  # many look-up tables read alike, of whichever nets
    functions, kept = _normal_alike(functions, tuple([place[bit >> 1] | bit & 1 for bit in bits]))
    return functions, tuple([nets[k] for k in kept])


@lru_cache(maxsize=1 << 16)
def _normal_alike(functions: tuple[int, ...], bits: tuple[Literal, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return _without_idle(*_distinct(functions, bits))


def _distinct(functions: tuple[int, ...], bits: Sequence[Literal]) -> tuple[tuple[int, ...], list[int]]:
    """No constants, no inverted inputs, no net twice."""
    kept: list[int] = []
    size = len(bits)
    for bit in bits:
        j = len(kept)
        if bit in (FALSE, TRUE):
            functions = tuple(tables.cofactor(t, size, j, bit) for t in functions)
            size -= 1
            continue
        if bit & 1:
            functions = tuple(tables.flip(t, size, j) for t in functions)
        if bit >> 1 in kept:
            functions = tuple(tables.merge(t, size, kept.index(bit >> 1), j) for t in functions)
            size -= 1
            continue
        kept.append(bit >> 1)
    return functions, kept


def _without_idle(functions: tuple[int, ...], nets: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    for j in reversed(range(len(nets))):
        if not any(tables.depends(t, len(nets), j) for t in functions):
            functions = tuple(tables.cofactor(t, len(nets), j, 0) for t in functions)
            del nets[j]
    order = tuple(sorted(range(len(nets)), key=nets.__getitem__))
    return tuple(tables.permuted(t, order) for t in functions), tuple(nets[k] for k in order)
