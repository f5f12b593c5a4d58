"""How many LUT sites a netlist needs once small LUTs share one, O5 and O6 (Xilinx 7 series).

The rule: two LUTs of at most five inputs each share a site when their inputs are at most five different nets.
A six-input LUT never shares.  Constant inputs do not count.  A LUT that drives a carry chain's select or a wide
multiplexer does so from O6 of its own site, so two of those never share.  One greedy pass gives a maximal matching
(no two LUTs that remain could still share), hence at least half of the largest one.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import combinations

SHARED_INPUTS = 5

Nets = tuple[str, ...]


def pair_luts(luts: Sequence[Sequence[str]], fixed: Collection[int] = ()) -> list[tuple[int, int]]:
    """Pairs of indices of LUTs (given by their input nets) that share a site; each index at most once.

    `fixed`: those whose output must be O6.

    The largest LUTs choose first, since they have the fewest partners, and each takes the largest that fits,
    which leaves the small ones (that fit anywhere) for later.  Time is near linear: a LUT of b inputs fits
    one of a inputs exactly if a + b - 5 nets are common, so it is filed under every subset of that many.
    """
    nets = [tuple(sorted(set(inputs))) for inputs in luts]
    order = sorted((k for k in range(len(nets)) if len(nets[k]) <= SHARED_INPUTS), key=lambda k: -len(nets[k]))
    tied = [False] * len(nets)
    for k in fixed:
        tied[k] = True
    filed = _file(nets, order, tied)
    free = [True] * len(nets)
    pairs = []
    for k in order:
        if not free[k]:
            continue
        free[k] = False  # also when it stays alone: every LUT up to its own size has then been tried
        partner = _partner(nets[k], filed, free, (False,) if tied[k] else (True, False))
        if partner is not None:
            free[partner] = False
            pairs.append((k, partner))
    return pairs


Filed = dict[tuple[int, Nets, bool], list[int]]


def _file(nets: Sequence[Nets], order: Sequence[int], tied: Sequence[bool]) -> Filed:
    """(inputs, common nets, tied to O6) -> such LUTs with these nets, the first in `order` last."""
    filed: Filed = defaultdict(list)
    for k in reversed(order):
        size = len(nets[k])
        common = {max(0, larger + size - SHARED_INPUTS) for larger in range(size, SHARED_INPUTS + 1)}
        for count in sorted(common):
            for subset in combinations(nets[k], count):
                filed[size, subset, tied[k]].append(k)
    return filed


def _partner(mine: Nets, filed: Filed, free: Sequence[bool], kinds: Sequence[bool]) -> int | None:
    """The first free LUT of the largest size up to `mine`'s that fits beside it, tied to O6 or not as in `kinds`."""
    for size in range(len(mine), -1, -1):
        for subset in combinations(mine, max(0, len(mine) + size - SHARED_INPUTS)):
            for tied in kinds:
                candidates = filed.get((size, subset, tied), [])
                while candidates and not free[candidates[-1]]:
                    candidates.pop()
                if candidates:
                    return candidates[-1]
    return None
