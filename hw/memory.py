"""Memories with one write and one read port: where they are put, and what that takes."""

from __future__ import annotations

from amaranth.lib.memory import Memory

from codesign.cost import Cost

_LUTS_PER_RAMB18 = 128  # the device has 190 LUTs a RAMB18; LUTs run out first
# Depth and width of the simple dual port block memories, and their size in RAMB36.
_ASPECTS = (
    *((16384 >> k, width, 0.5) for k, width in enumerate((1, 2, 4, 9, 18, 36))),
    *((32768 >> k, width, 1.0) for k, width in enumerate((1, 2, 4, 9, 18, 36, 72))),
)


def in_blocks(depth: int, width: int) -> bool:
    """Whether a memory belongs in block RAM rather than in LUTs."""
    return depth > 64 and lutram_luts(depth, width) > 2 * _LUTS_PER_RAMB18 * block_count(depth, width)


def ram(depth: int, width: int) -> Memory:
    """An empty memory in the place that suits its size."""
    style = "block" if in_blocks(depth, width) else "distributed"
    return Memory(shape=width, depth=depth, init=[], attrs={"ram_style": style})


def ram_cost(depth: int, width: int) -> Cost:
    """Of `ram` with one read port, its output register included."""
    if in_blocks(depth, width):
        blocks, banks = _tiling(depth, width)
        return Cost(lut=width * -(-banks // 4) + banks if banks > 1 else 0, bram36=blocks)
    return Cost(lut=lutram_luts(depth, width), ff=width)


def lutram_luts(depth: int, width: int) -> float:
    """RAM32M holds 6 bits and RAM64M 3 bits in four LUTs; deeper memories add a multiplexer."""
    if depth <= 32:
        return 4 * -(-width // 6)
    banks = -(-depth // 64)
    return banks * 4 * -(-width // 3) + (width * (banks - 1) / 2.5 + banks if banks > 1 else 0)


def block_count(depth: int, width: int) -> float:
    """RAMB36s (a RAMB18 is a half)."""
    return _tiling(depth, width)[0]


def _tiling(depth: int, width: int) -> tuple[float, int]:
    """RAMB36s and banks in depth: the cheapest way to tile the memory with one aspect."""
    return min((-(-depth // d) * -(-width // w) * size, -(-depth // d)) for d, w, size in _ASPECTS)
