"""Memories with one write and one read port: where they are put, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.memory import Memory

from codesign.cost import Cost
from hw.copies import groups_of, slices_of
from hw.fitted import fitted
from hw.ways import choice_sites

Ports = Sequence[tuple[Value, Value]]  # address and enable of each part

_LUTS_PER_RAMB36 = 256  # the device has 380; LUTs run out first
_SHALLOW = 64  # words that one table tells apart
# Depth and width of the simple dual port block memories, their size in RAMB36, and what one weighs for Yosys.
_ASPECTS = (
    *((16384 >> k, width, 0.5, 129) for k, width in enumerate((1, 2, 4, 9, 18, 36))),
    *((32768 >> k, width, 1.0, 257) for k, width in enumerate((1, 2, 4, 9, 18, 36, 72))),
)
_BYTE = 9  # bits that a write changes together, of the wider aspects


def in_blocks(depth: int, width: int) -> bool:
    """Whether a memory belongs in block RAM rather than in LUTs."""
    return blocks_pay(depth, lutram_luts(depth, width), block_count(depth, width))


def blocks_pay(depth: int, luts: float, blocks: float) -> bool:
    """Whether a memory is worth so many RAMB36s, where it would take so many LUTs."""
    return depth > _SHALLOW and luts > _LUTS_PER_RAMB36 * blocks


def _empty(depth: int, width: int, blocks: bool) -> Memory:
    return Memory(shape=width, depth=depth, init=[], attrs={"ram_style": "block" if blocks else "distributed"})


def parts_of(depth: int, width: int, comb: bool = False) -> list[slice]:
    """The bits of a word by the addresses and enables that they take, so that none of those has too many readers.

    `comb`: read at once. Then one bank's cells, of three bits or six, are all that there is to address.
    """
    if in_blocks(depth, width):
        return [slice(0, width)]
    banks = -(-depth // 64)
    readers = -(-width // 3) if comb and banks == 1 else width * (1 + banks // 4)
    return slices_of(width, groups_of(readers))


def rooms_of(depth: int, width: int) -> int:
    """Registers that say that there is room, for the parts of a memory whose address moves as a beat is stored: each is
    read by the addresses and cells of some parts."""
    parts = len(parts_of(depth, width))
    cells = -(-_cells(depth, width) // (4 * parts))
    return min(parts, groups_of(parts, (depth - 1).bit_length() + cells))


def in_parts(m: Module, depth: int, data: Value, write: Ports, read: Ports, comb: bool = False) -> Value:
    """The word read from a memory of words like `data`, each part of which takes an address and an enable of its own.

    `comb`: read at once, whatever the enable.
    """
    words: list[Value] = []
    blocks = in_blocks(depth, len(data))
    for k, (part, put, get) in enumerate(zip(parts_of(depth, len(data), comb), write, read, strict=True)):
        m.submodules[f"memory{k or ''}"] = memory = _empty(depth, part.stop - part.start, blocks)
        into, out = memory.write_port(), memory.read_port(domain="comb" if comb else "sync")
        m.d.comb += [into.addr.eq(put[0]), into.en.eq(put[1]), into.data.eq(data[part]), out.addr.eq(get[0])]
        if not comb:
            m.d.comb += out.en.eq(get[1])
        words.append(out.data)
    return Cat(*words)


def ram_cost(depth: int, width: int) -> Cost:
    """Of a memory in the place that suits its size, with one read port, its output register included."""
    if in_blocks(depth, width):
        return blocks_cost(depth, width)
    return Cost(lut=lutram_sites(depth, width), ff=width)


def blocks_cost(depth: int, width: int, written: bool = True) -> Cost:
    """Of a memory in block RAM with one read port, `written` or read only."""
    blocks, banks = _tiling(depth, width, written)
    return Cost(lut=_banks_sites(width, banks), bram36=blocks)


def lutram_luts(depth: int, width: int) -> float:
    """By which a memory's place is chosen; what it then takes is `lutram_sites`."""
    banks = -(-depth // 64)
    return _cells(depth, width) + (width * (banks - 1) / 2.5 + banks if banks > 1 else 0)


def _cells(depth: int, width: int) -> int:
    """RAM32M holds 6 bits and RAM64M 3 bits in four LUTs."""
    return 4 * -(-width // 6) if depth <= 32 else -(-depth // 64) * 4 * -(-width // 3)


def lutram_sites(depth: int, width: int) -> float:
    """A memory in LUTs that is read at once: deeper ones have several banks and a multiplexer."""
    return _cells(depth, width) + _banks_sites(width, -(-depth // 64))


def _banks_sites(width: int, banks: int) -> float:
    """Of the choice among banks, and of writing to one of them."""
    return width * choice_sites(banks) + fitted("memory.bank") * banks if banks > 1 else 0


def block_count(depth: int, width: int, written: bool = True) -> float:
    """RAMB36s (a RAMB18 is a half)."""
    return _tiling(depth, width, written)[0]


@lru_cache(maxsize=4096)
def _tiling(depth: int, width: int, written: bool) -> tuple[float, int]:
    """RAMB36s and banks in depth, as Yosys' memory_libmap has them: one aspect, banks side by side in its words.

    A bank takes whole bytes of a word where it is written; the multiplexers between banks count as half a block's LUTs.
    """

    def weighed(aspect: tuple[int, int, float, int]) -> tuple[float, float, int]:
        words, bits, size, weight = aspect
        banks, byte = -(-depth // words), min(bits, _BYTE) if written else 1
        blocks = -(-banks * -(-width // byte) * byte // bits)
        between = 0.5 * ((banks - 1) * width + written * banks) if banks > 1 else 0.0
        return weight * blocks + between, size * blocks, banks

    return min(map(weighed, _ASPECTS))[1:]
