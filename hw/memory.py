"""Memories with one write and one read port: where they are put, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.memory import Memory

from codesign.cost import Cost
from hw.copies import KEPT, groups_of, slices_of
from hw.fitted import fitted
from hw.ways import choice_sites, chosen_in_parts, numbers_of

Ports = Sequence[tuple[Value, Value]]  # address and enable of each part

_LUTS_PER_RAMB36 = 256  # the device has 380; LUTs run out first
_SHALLOW = 64  # words that one table tells apart
# Depth and width of the simple dual port block memories, their size in RAMB36, and what one weighs for Yosys.
_ASPECTS = (
    *((16384 >> k, width, 0.5, 129) for k, width in enumerate((1, 2, 4, 9, 18, 36))),
    *((32768 >> k, width, 1.0, 257) for k, width in enumerate((1, 2, 4, 9, 18, 36, 72))),
)
_BYTE = 9  # bits that a write changes together, of the wider aspects
_BANKS = 16  # at most: tables choose among four, level by level, and there is room for two levels
_WORDS = tuple(512 << k for k in range(7))  # of a bank in block RAM


def in_blocks(depth: int, width: int) -> bool:
    """Whether a memory belongs in block RAM rather than in LUTs."""
    return blocks_pay(depth, lutram_luts(depth, width), block_count(depth, width))


def blocks_pay(depth: int, luts: float, blocks: float) -> bool:
    """Whether a memory is worth so many RAMB36s, where it would take so many LUTs."""
    return depth > _SHALLOW and luts > _LUTS_PER_RAMB36 * blocks


def _empty(depth: int, width: int, blocks: bool) -> Memory:
    return Memory(shape=width, depth=depth, init=[], attrs={"ram_style": "block" if blocks else "distributed"})


def parts_of(depth: int, width: int, comb: bool = False) -> int:
    """How many addresses and enables a memory takes, so that none of those has too many readers.

    `comb`: read at once. Then one bank's cells, of three bits or six, are all that there is to address.
    """
    if in_blocks(depth, width):
        return groups_of(sum(_tiling(words, width, True).blocks for words in banks_of(depth, width)))
    banks = -(-depth // 64)
    return groups_of(-(-width // 3) if comb and banks == 1 else width * (1 + banks // 4))


def choices_of(depth: int, width: int) -> int:
    """And how many enables more the choice among its banks in block RAM: none where there is one bank."""
    banks = len(banks_of(depth, width)) if in_blocks(depth, width) else 1
    return numbers_of(width, banks) if banks > 1 else 0


def rooms_of(depth: int, width: int) -> int:
    """Registers that say that there is room, for the parts of a memory whose address moves as a beat is stored: each is
    read by the addresses and cells of some parts."""
    parts = parts_of(depth, width)
    written = len(banks_of(depth, width)) if in_blocks(depth, width) else _cells(depth, width) / 4
    return min(parts, groups_of(parts, (depth - 1).bit_length() + ceil(written / parts)))


def in_parts(
    m: Module, depth: int, data: Value, write: Ports, read: Ports, chooses: Sequence[Value] = (), comb: bool = False
) -> Value:
    """The word read from a memory of words like `data`, each part of which takes an address and an enable of its own;
    `chooses`: enables of the choice among banks.

    `comb`: read at once, whatever the enable.
    """
    if in_blocks(depth, len(data)):
        return _in_banks(m, data, banks_of(depth, len(data)), write, read, chooses)
    words: list[Value] = []
    for k, (part, put, get) in enumerate(zip(slices_of(len(data), len(write)), write, read, strict=True)):
        m.submodules[f"memory{k or ''}"] = memory = _empty(depth, part.stop - part.start, False)
        words.append(_connected(m, memory, data[part], put, get, comb))
    return Cat(*words)


def _connected(
    m: Module, memory: Memory, data: Value, put: tuple[Value, Value], get: tuple[Value, Value], comb: bool = False
) -> Value:
    """What is read from a memory, by address and enable of its ports."""
    into, out = memory.write_port(), memory.read_port(domain="comb" if comb else "sync")
    m.d.comb += [into.addr.eq(put[0]), into.en.eq(put[1]), into.data.eq(data), out.addr.eq(get[0])]
    if not comb:
        m.d.comb += out.en.eq(get[1])
    return out.data


def _in_banks(
    m: Module, data: Value, banks: Sequence[int], write: Ports, read: Ports, chooses: Sequence[Value]
) -> Value:
    """Of block RAM: banks of so many words, all of which are read; the number of the one wanted waits in registers,
    whose readers are counted, where synthesis would have a single one for all bits."""
    ways, place = list[Value](), (banks[0] - 1).bit_length()
    for k, words in enumerate(banks):
        (into, put), get = (ports[k * len(ports) // len(banks)] for ports in (write, read))
        mine = put & (into[place:] == k) if len(banks) > 1 else put
        m.submodules[f"memory{k or ''}"] = memory = _empty(words, len(data), True)
        ways.append(_connected(m, memory, data, (into, mine), get))
    if len(banks) == 1:
        return ways[0]
    number = read[0][0][place:][: (len(banks) - 1).bit_length()]  # an address may be wider than it must be
    return chosen_in_parts(m, ways, _numbers(m, number, chooses))


def _numbers(m: Module, number: Value, runs: Sequence[Value]) -> list[Value]:
    """A number in registers, each with an enable of its own."""
    made = [Signal(len(number), name="bank", reset_less=True, attrs=KEPT) for _ in runs]
    for kept, run in zip(made, runs, strict=True):
        with m.If(run):
            m.d.sync += kept.eq(number)
    return list(made)


@lru_cache(maxsize=4096)
def banks_of(depth: int, width: int) -> list[int]:
    """Words of each bank of a memory in block RAM: all the same, a power of two, but for the last one."""
    if _tiling(depth, width, True).banks == 1:
        return [depth]
    splits = [[*[words] * ((depth - 1) // words), (depth - 1) % words + 1] for words in _WORDS if words < depth]
    splits = [banks for banks in splits if len(banks) <= _BANKS and all(_whole(n, width) for n in set(banks))]
    return min(splits, key=lambda banks: _weight(banks, width), default=[depth])


def _whole(words: int, width: int) -> bool:
    """Whether synthesis makes one bank of so many words."""
    return _tiling(words, width, True).banks == 1


def _weight(banks: Sequence[int], width: int) -> float:
    return sum(_tiling(n, width, True).weight for n in banks) + _between(len(banks), width, True)


def ram_cost(depth: int, width: int) -> Cost:
    """Of a memory in the place that suits its size, with one read port, its output register included."""
    if not in_blocks(depth, width):
        return Cost(lut=lutram_sites(depth, width), ff=width)
    banks = len(banks_of(depth, width))
    numbers = choices_of(depth, width) * (banks - 1).bit_length()
    return Cost(lut=_banks_sites(width, banks), ff=numbers, bram36=block_count(depth, width))


def rom_blocks_cost(depth: int, width: int) -> Cost:
    """Of a memory in block RAM that is only read, by one port."""
    tiling = _tiling(depth, width, False)
    return Cost(lut=_banks_sites(width, tiling.banks), bram36=tiling.bram36)


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
    if not written:
        return _tiling(depth, width, False).bram36
    return sum(_tiling(words, width, True).bram36 for words in banks_of(depth, width))


def cells_of(depth: int, width: int, written: bool) -> int:
    """Cells of block RAM in a bank, or in all of a memory that is only read."""
    return _tiling(depth, width, written).blocks


class _Tiling(NamedTuple):
    """How Yosys' memory_libmap tiles a memory: what that weighs, RAMB36s, blocks of one size, banks in depth."""

    weight: float
    bram36: float
    blocks: int
    banks: int


@lru_cache(maxsize=4096)
def _tiling(depth: int, width: int, written: bool) -> _Tiling:
    """One aspect, banks side by side in its words.

    A bank takes whole bytes of a word where it is written; the multiplexers between banks count as half a block's LUTs.
    """

    def tiled(aspect: tuple[int, int, float, int]) -> _Tiling:
        words, bits, size, weight = aspect
        banks, byte = -(-depth // words), min(bits, _BYTE) if written else 1
        blocks = -(-banks * -(-width // byte) * byte // bits)
        return _Tiling(weight * blocks + _between(banks, width, written), size * blocks, blocks, banks)

    return min(map(tiled, _ASPECTS), key=lambda t: (t.weight, t.bram36, t.banks))


def _between(banks: int, width: int, written: bool) -> float:
    """What the multiplexers between banks weigh."""
    return 0.5 * ((banks - 1) * width + written * banks) if banks > 1 else 0.0


def rounded(depth: int, width: int) -> int:
    """The next power of two where it takes the same memory, since addresses then wrap by themselves."""
    power = 1 << (depth - 1).bit_length()
    same = ram_cost(power, width) == ram_cost(depth, width)
    return power if same else depth
