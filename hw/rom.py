"""Read-only memory: words that were computed at compile time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from codesign.cost import Cost
from codesign.formats import Int
from hw.fitted import fitted
from hw.memory import block_count, blocks_cost
from hw.ports import element

_LUTS_PER_BRAM36 = 256  # the device has 380 LUTs a RAMB36; LUTs run out first


class Rom(wiring.Component):
    """data = words[address], one clock after the address; words are unsigned numbers of `width` bits."""

    address: Signal
    data: Signal

    def __init__(self, words: Sequence[int], width: int) -> None:
        self.words, self.width = tuple(words), width
        super().__init__({"address": In(range(len(words))), "data": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        style = "block" if rom_in_blocks(len(self.words), self.width) else "logic"
        m.submodules.store = store = memory.Memory(
            shape=unsigned(self.width), depth=len(self.words), init=self.words, attrs={"rom_style": style}
        )
        port = store.read_port()
        m.d.comb += [port.addr.eq(self.address), self.data.eq(port.data)]
        return m


def rom_in_blocks(depth: int, width: int) -> bool:
    """Whether a memory of this size belongs in block RAM rather than in LUTs."""
    return depth > 64 and table_luts(depth) * width > _LUTS_PER_BRAM36 * block_count(depth, width, written=False)


def rom_cost(depth: int, width: int) -> Cost:
    """Of a Rom of random contents, its output register included."""
    if rom_in_blocks(depth, width):
        return blocks_cost(depth, width, written=False)
    return Cost(lut=width * table_sites(depth), ff=width)


def table_luts(depth: int) -> float:
    """By which a table's place is chosen: LUT6s, joined by free multiplexers up to four, then by LUTs."""
    leaves = -(-depth // 64)
    return leaves if leaves <= 4 else 1.4 * leaves


def table_sites(depth: int) -> float:
    """Of one bit of a table of random entries: two share a site up to 32 words; four leaves have free multiplexers."""
    if depth <= 2:
        return 0.0
    if depth <= 32:
        return fitted("table.small" if depth <= 16 else "table.shallow")
    leaves = -(-depth // 64)
    return fitted("table.leaf") * leaves + fitted("table.join") * max(0, leaves - 4)


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
        return sum(f.bits for f in self.formats if f.lo != f.hi)

    def read(self, m: Module, address: Value) -> list[Field]:
        """Each number one clock after the address: an int where it never changes."""
        if not self.width:
            return [f.lo for f in self.formats]
        rom = Rom(self._words(), self.width)
        m.submodules += rom
        m.d.comb += rom.address.eq(address)
        fields, start = [], 0
        for f in self.formats:
            constant = f.lo == f.hi
            fields.append(f.lo if constant else element(rom.data[start : start + f.bits], f))
            start += 0 if constant else f.bits
        return fields

    def cost(self) -> Cost:
        """In LUTs, equal bits of a word share a register, and equal or opposite ones a table."""
        if not self.width:
            return Cost()
        if rom_in_blocks(self.depth, self.width):
            return rom_cost(self.depth, self.width)
        bits = self._bits()
        return Cost(lut=_distinct_columns(bits ^ bits[0]) * table_sites(self.depth), ff=_distinct_columns(bits))

    def _bits(self) -> np.ndarray:
        """The bits that change, as booleans (depth, bits); signs are written out as far as the widest number goes."""
        most = Int(min(f.lo for f in self.formats), max(f.hi for f in self.formats)).bits
        bits = (self.numbers[:, :, None] >> np.arange(most) & 1).astype(bool).reshape(self.depth, -1)
        return bits[:, (bits != bits[0]).any(axis=0)]

    def _words(self) -> list[int]:
        """The memory's words, the first column lowest."""
        words = [0] * self.depth
        start = 0
        for column, f in zip(self.numbers.T, self.formats, strict=True):
            if f.lo != f.hi:
                words = [w | int(code) << start for w, code in zip(words, f.encode(column))]
                start += f.bits
        return words


def _distinct_columns(bits: np.ndarray) -> int:
    """How many different columns a matrix of booleans has."""
    packed = np.ascontiguousarray(np.packbits(bits, axis=0).T)
    return len(set(packed.view(f"V{packed.shape[1]}").ravel().tolist()))
