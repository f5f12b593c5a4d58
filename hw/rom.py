"""Read-only memory: words that were computed at compile time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from math import ceil

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from codesign.cost import Cost
from codesign.formats import Int
from hw.copies import EACH, copies, groups_of, slices_of
from hw.lookup import looked_up, one_level
from hw.memory import block_count, blocks_pay, rom_blocks_cost
from hw.ports import element
from hw.register import register
from hw.table_cost import changing, table_sites

READERS = 1  # cells that read a bit of a number
_SAMPLES = 8  # columns of a table that stand for all


class Rom(wiring.Component):
    """data = words[address], one clock after the address; words are unsigned numbers of `width` bits."""

    address: Signal
    data: Signal

    def __init__(self, words: Sequence[int], width: int) -> None:
        self.words, self.width = tuple(words), width
        super().__init__({"address": In(range(len(words))), "data": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.width and one_level(len(self.words)) and not rom_in_blocks(len(self.words), self.width):
            m.d.comb += self.data.eq(self._looked_up(m))
            return m
        m.submodules.store = store = memory_of(self.words, self.width)
        port = store.read_port()
        m.d.comb += [port.addr.eq(self.address), self.data.eq(port.data)]
        return m

    def _looked_up(self, m: Module) -> Value:
        """Equal bits of a word come from one register."""
        once, which = np.unique(columns_of(self.words, self.width), axis=1, return_inverse=True)
        held = register(m, Cat(looked_up(m, once, self.address)))
        return Cat(*(held[k] for k in which.ravel().tolist()))


def memory_of(words: Sequence[int], width: int) -> memory.Memory:
    """Of constant words, in the place that suits its size."""
    style = "block" if rom_in_blocks(len(words), width) else "logic"
    return memory.Memory(shape=unsigned(width), depth=len(words), init=words, attrs={"rom_style": style})


def rom_in_blocks(depth: int, width: int) -> bool:
    """Whether a memory of this size belongs in block RAM rather than in LUTs."""
    return blocks_pay(depth, table_luts(depth) * width, block_count(depth, width, written=False))


def rom_cost(depth: int, width: int) -> Cost:
    """Of a Rom of random contents, its output register included."""
    if rom_in_blocks(depth, width):
        return rom_blocks_cost(depth, width)
    return Cost(lut=width * _sites(depth), ff=width)


def words_cost(words: Sequence[int], width: int) -> Cost:
    """Of a Rom of these contents."""
    if rom_in_blocks(len(words), width):
        return rom_blocks_cost(len(words), width)
    columns = columns_of(words, width)
    return Cost(lut=table_sites(columns), ff=len(changing(columns)))


def columns_of(words: Sequence[int], width: int) -> np.ndarray:
    """The bits of words, lowest first, as booleans (words, width)."""
    numbers = np.array(words, np.int64 if width < 64 else object)
    return (numbers[:, None] >> np.arange(width) & 1).astype(bool)


def table_luts(depth: int) -> float:
    """By which a table's place is chosen: LUT6s, joined by free multiplexers up to four, then by LUTs."""
    leaves = -(-depth // 64)
    return leaves if leaves <= 4 else 1.4 * leaves


def table_readers(depth: int) -> int:
    """Cells that read a bit of the address of a table of one bit: synthesis does not find all free multiplexers."""
    leaves = -(-depth // 64)
    return leaves if leaves == 1 else ceil(1.4 * leaves)


@cache
def _sites(depth: int) -> float:
    """Of one bit of a table of random entries."""
    columns = np.random.default_rng(depth).random((depth, _SAMPLES)) < 0.5
    return table_sites(columns) / _SAMPLES


Field = int | Value


class Fields:
    """Numbers that depend on an address: columns (depth,); those that never change are constants, not memory."""

    def __init__(self, columns: Iterable[np.ndarray]) -> None:
        self.numbers = np.stack([np.asarray(c, dtype=np.int64) for c in columns], axis=1)  # (depth, columns)
        ends = zip(self.numbers.min(axis=0).tolist(), self.numbers.max(axis=0).tolist(), strict=True)
        self.formats = [Int(lo, hi) for lo, hi in ends]
        self.depth = len(self.numbers)

    @cached_property
    def width(self) -> int:
        """Bits of a word of the memory; 0 where there is none."""
        return int(self._widths.sum())

    @property
    def in_blocks(self) -> bool:
        return rom_in_blocks(self.depth, self.width)

    @property
    def addresses(self) -> int:
        """In how many registers the address is wanted, so that none has too many readers."""
        return 1 if not self.width or self.in_blocks else len(self._parts)

    @property
    def readers(self) -> int:
        """Cells that read each of these registers; none to speak of where they are block RAM."""
        return 0 if not self.width or self.in_blocks else max(map(len, self._parts)) * table_readers(self.depth)

    def read(self, m: Module, addresses: Sequence[Value]) -> list[Field]:
        """Each number one clock after the address, which is in each of `addresses`: an int where it never changes."""
        if not self.width:
            return [f.lo for f in self.formats]
        bits = self._from_blocks(m, addresses[0]) if self.in_blocks else self._from_tables(m, addresses)
        fields, start = [], 0
        for f in self.formats:
            constant = f.lo == f.hi
            fields.append(f.lo if constant else element(Cat(*bits[start : start + f.bits]), f))
            start += 0 if constant else f.bits
        return fields

    def _from_blocks(self, m: Module, address: Value) -> list[Value]:
        words = _words(self._bits)
        m.submodules += (rom := Rom(words, self.width))
        m.d.comb += rom.address.eq(address)
        return list(rom.data)

    def _from_tables(self, m: Module, addresses: Sequence[Value]) -> list[Value]:
        """Equal bits of a word come from one register, and from copies where it would have too many readers."""
        registers: dict[int, Sequence[Value]] = {}
        for columns, address in zip(self._parts, addresses, strict=True):
            for column, value in zip(columns, self._values(m, columns, address), strict=True):
                count = self._loads[column]
                registers[column] = copies(m, value, count, reset_less=True) if count > 1 else [register(m, value)]
        return [registers[column][copy] for column, copy in self._places]

    def _values(self, m: Module, columns: list[int], address: Value) -> list[Value]:
        """Some bits of a word, not as a memory: that would take the registers before and behind it into itself."""
        bits = self._bits[:, columns]
        if one_level(self.depth):
            return looked_up(m, bits, address)
        return [Const(table, self.depth).bit_select(address, 1) for table in _words(bits.T)]

    @cached_property
    def _parts(self) -> list[list[int]]:
        """The bits that each part of the memory in tables holds: one of all that are equal."""
        columns = list(self._loads)
        groups = groups_of(len(columns), table_readers(self.depth))
        return [columns[part] for part in slices_of(len(columns), groups)]

    @cached_property
    def _loads(self) -> dict[int, int]:
        """The first of all bits of a word that are equal -> in how many registers they are, so that none is read too
        often."""
        loads = np.bincount(self._firsts, weights=self._readers)
        return {int(k): ceil(loads[k] / EACH) for k in np.unique(self._firsts)}

    @property
    def _places(self) -> list[tuple[int, int]]:
        """Of every bit of a word: the first that equals it, and which of its registers is read."""
        loads, places = Counter[int](), list[tuple[int, int]]()
        for first, readers in zip(self._firsts.tolist(), self._readers.tolist(), strict=True):
            loads[first] += readers
            places.append((first, (loads[first] - 1) // EACH))
        return places

    @cached_property
    def _firsts(self) -> np.ndarray:
        """Of every bit of a word the first that equals it."""
        _, first, which = np.unique(_packed(self._bits), axis=0, return_index=True, return_inverse=True)
        return first[which.ravel()]

    def cost(self) -> Cost:
        """In LUTs, equal bits of a word share a register."""
        if not self.width:
            return Cost()
        if self.in_blocks:
            return rom_cost(self.depth, self.width)
        return Cost(lut=table_sites(self._bits), ff=sum(self._loads.values()))

    @cached_property
    def _changing(self) -> np.ndarray:
        """Which numbers do."""
        return np.array([f.lo != f.hi for f in self.formats], bool)

    @cached_property
    def _widths(self) -> np.ndarray:
        """Bits of each of these."""
        return np.array([f.bits for f in self.formats if f.lo != f.hi], np.int64)

    @property
    def _readers(self) -> np.ndarray:
        """How many cells read each bit: a sign as often as the widest number has bits beyond."""
        most = Int(min(f.lo for f in self.formats), max(f.hi for f in self.formats)).bits
        readers = np.full(self.width, READERS)
        readers[np.cumsum(self._widths) - 1] += READERS * (most - self._widths)
        return readers

    @cached_property
    def _bits(self) -> np.ndarray:
        """The memory's words as booleans (depth, width), the first number lowest."""
        shifts = np.arange(self.width) - np.repeat(np.cumsum(self._widths) - self._widths, self._widths)
        numbers = self.numbers[:, self._changing]
        return (np.repeat(numbers, self._widths, axis=1) >> shifts & 1).astype(bool)


def _packed(bits: np.ndarray) -> np.ndarray:
    """Columns of a matrix of booleans as rows of bytes."""
    return np.ascontiguousarray(np.packbits(bits, axis=0).T)


def _words(bits: np.ndarray) -> list[int]:
    """Booleans (depth, bits) as numbers, the first lowest."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]
