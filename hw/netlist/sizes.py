"""How many sites heaps take, found by counting bits instead of building them: for choosing among many foldings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping


def heap_sites(columns: Mapping[int, int], width: int, rows: int = 3) -> int:
    """Sites of `hw.netlist.heap.summed` on so many bits of each power of two, none of them constant."""
    heights, sites = {p: c for p, c in columns.items() if c and p < width}, 0
    while max(heights.values(), default=0) > rows:
        heights, more = _level(heights, width, rows)
        sites += more
    return sites + _final(heights, width)


def _final(heights: Mapping[int, int], width: int) -> int:
    """Sites of the adder of what is left: a ternary one has one a column, others where there are bits."""
    low = next((p for p in range(width) if heights.get(p, 0) > 1), width)
    ternary = max(heights.values(), default=0) > 2
    return sum(ternary or heights.get(p, 0) > 0 for p in range(low, width))


def _level(heights: Mapping[int, int], width: int, rows: int) -> tuple[dict[int, int], int]:
    """One level of counters, as the heap does it: heights after it, and its sites."""
    left, made, sites = dict(heights), defaultdict[int, int](int), 0
    for power in sorted(left):
        count = min(left[power], left.get(power + 2, 0)) // 6
        for column in (power, power + 2) if count else ():
            left[column] -= 6 * count
        for k in range(5) if count else ():
            made[power + k] += count
        sites += 4 * count
    for power in sorted(left):
        six, rest = divmod(left[power], 6)
        _add(made, power, 3, six)
        three = max(0, min(rest // 3, -(-(rest + made[power] - rows) // 2)))
        _add(made, power, 2, three)
        sites += 3 * six + three
        made[power] += rest - 3 * three
    return {p: c for p, c in made.items() if c and p < width}, sites


def _add(made: defaultdict[int, int], power: int, bits: int, count: int) -> None:
    for k in range(bits):
        made[power + k] += count
