"""How many sites netlists take, and heaps before they are built: by counting bits, for choosing among foldings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

from codesign.cost import Cost
from hw import pairing
from hw.netlist.cells import Carry, Lut, Netlist, Register

Levels = dict[int, list[int]]  # of every power of two its bits, each as the level at which it comes


def netlist_cost(n: Netlist) -> Cost:
    """Sites once small look-up tables share them, as after synthesis, and flip-flops."""
    luts = [cell for cell in n.cells if isinstance(cell, Lut)]
    small = [cell for cell in luts if len(cell.outputs) == 1]
    selects = {bit >> 1 for cell in n.cells if isinstance(cell, Carry) for bit in cell.select}
    tied = [k for k, cell in enumerate(small) if cell.outputs[0] in selects]
    pairs = pairing.pair_luts([[str(net) for net in cell.inputs] for cell in small], tied)
    return Cost(lut=len(luts) - len(pairs), ff=sum(isinstance(cell, Register) for cell in n.cells))


def heap_sites(columns: Mapping[int, int], width: int, rows: int = 3) -> int:
    """Sites of `hw.netlist.heap.summed` on so many bits of each power of two, none constant, all there at once."""
    return _heap_sites(tuple(sorted((p, c) for p, c in columns.items() if c and p < width)), width, rows)


@lru_cache(maxsize=4096)
def _heap_sites(columns: tuple[tuple[int, int], ...], width: int, rows: int) -> int:
    heights: Levels = {p: [0] * count for p, count in columns}
    sites, now = 0, -1
    while max(map(len, heights.values()), default=0) > rows:
        now = max(now + 1, min(min(bits) for bits in heights.values()))
        heights, more = _level(heights, width, rows, now)
        sites += more
    return sites + _final({p: len(bits) for p, bits in heights.items()}, width)


def _level(heights: Levels, width: int, rows: int, now: int) -> tuple[Levels, int]:
    """One level of counters, as the heap does it: what is left of the bits, and its sites."""
    made: defaultdict[int, list[int]] = defaultdict(list)
    left: Levels = {}
    for p, bits in heights.items():
        left[p] = sorted(level for level in bits if level <= now)
        made[p] += [level for level in bits if level > now]
    waits, sites = any(made.values()), 0
    for power in sorted(left):
        while len(left[power]) >= 6 and len(left.get(power + 2, ())) >= 6:
            level = max(_take(left[power], 6), _take(left[power + 2], 6)) + 2
            for k in range(5):
                made[power + k].append(level)
            sites, waits = sites + 4, True
    if not waits:
        sites += _last(left, made, rows)
    for power, bits in left.items():
        made[power] += bits
    return {p: bits for p, bits in made.items() if bits and p < width}, sites


def _last(left: Levels, made: defaultdict[int, list[int]], rows: int) -> int:
    """Counters of one column; their sites."""
    sites = 0
    for power in sorted(left):
        bits = left[power]
        while len(bits) >= 6 or (len(bits) >= 3 and len(bits) + len(made[power]) > rows):
            size = 6 if len(bits) >= 6 else 3
            level = _take(bits, size) + 1
            for k in range(size.bit_length()):
                made[power + k].append(level)
            sites += 3 if size == 6 else 1
    return sites


def _take(bits: list[int], count: int) -> int:
    """Remove the first bits; when the last of them comes."""
    taken = bits[:count]
    del bits[:count]
    return max(taken)


def _final(heights: Mapping[int, int], width: int) -> int:
    """Sites of the adder of what is left: a ternary one has one a column, others where there are bits."""
    low = next((p for p in range(width) if heights.get(p, 0) > 1), width)
    ternary = max(heights.values(), default=0) > 2
    return sum(ternary or heights.get(p, 0) > 0 for p in range(low, width))
