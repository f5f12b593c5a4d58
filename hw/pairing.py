"""How many LUT sites a netlist needs once small LUTs share one, O5 and O6 (Xilinx 7 series).

The rule: two LUTs of at most five inputs each share a site when their inputs are at most five different nets.
A six-input LUT never shares.  Constant inputs do not count.  One greedy pass gives a maximal matching (no two
LUTs that remain could still share), hence at least half of the largest one.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

SHARED_INPUTS = 5

Nets = tuple[str, ...]


def can_share(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether LUTs of these input nets fit one site."""
    return len(set(a)) <= SHARED_INPUTS and len(set(b)) <= SHARED_INPUTS and len({*a, *b}) <= SHARED_INPUTS


def pair_luts(luts: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """Pairs of indices of LUTs (given by their input nets) that share a site; each index at most once.

    The largest LUTs choose first, since they have the fewest partners, and each takes the largest that fits,
    which leaves the small ones (that fit anywhere) for later.  Time is near linear: a LUT of b inputs fits
    one of a inputs exactly if a + b - 5 nets are common, so it is filed under every subset of that many.
    """
    nets = [tuple(sorted(set(inputs))) for inputs in luts]
    order = sorted((k for k in range(len(nets)) if len(nets[k]) <= SHARED_INPUTS), key=lambda k: -len(nets[k]))
    filed = _file(nets, order)
    free = [True] * len(nets)
    pairs = []
    for k in order:
        if not free[k]:
            continue
        free[k] = False  # also when it stays alone: every LUT up to its own size has then been tried
        partner = _partner(nets[k], filed, free)
        if partner is not None:
            free[partner] = False
            pairs.append((k, partner))
    return pairs


def _file(nets: Sequence[Nets], order: Sequence[int]) -> dict[tuple[int, Nets], list[int]]:
    """(inputs, common nets) -> the LUTs of that many inputs with these nets, the first in `order` last."""
    filed: dict[tuple[int, Nets], list[int]] = defaultdict(list)
    for k in reversed(order):
        size = len(nets[k])
        common = {max(0, larger + size - SHARED_INPUTS) for larger in range(size, SHARED_INPUTS + 1)}
        for count in sorted(common):
            for subset in combinations(nets[k], count):
                filed[size, subset].append(k)
    return filed


def _partner(mine: Nets, filed: dict[tuple[int, Nets], list[int]], free: Sequence[bool]) -> int | None:
    """The first free LUT of the largest size up to `mine`'s that fits beside it."""
    for size in range(len(mine), -1, -1):
        for subset in combinations(mine, max(0, len(mine) + size - SHARED_INPUTS)):
            candidates = filed.get((size, subset), [])
            while candidates and not free[candidates[-1]]:
                candidates.pop()
            if candidates:
                return candidates[-1]
    return None
