"""Dot products whose weights are signals: read from look-up tables by the fold, or from a memory outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from codesign.formats import Int
from hw.arith.powers import Powers, power_columns, power_sites, times_power
from hw.arith.product import Built, Codes, Product, finished, sum_bits, unsigned
from hw.netlist.cells import Netlist
from hw.netlist.chains import added
from hw.netlist.heap import Heap
from hw.netlist.products import PAIRED, Gated, add_gated, paired_off, read_only, table_over_folds
from hw.netlist.sizes import heap_sites


def tabled(n: Netlist, p: Product, codes: Codes, most_bits: int) -> Built:
    fold = n.input("fold", (len(p.weights) - 1).bit_length())
    shifts = np.arange(p.w.bits, dtype=np.uint64)
    bits = (p.w.encode(p.weights)[..., None] >> shifts & np.uint64(1)).astype(np.int64)  # (folds, ..., bits)
    tables = np.array([table_over_folds(row, len(fold)) for row in bits.reshape(len(bits), -1).T], object)
    literals = read_only(n, tables.tolist(), fold)
    stored = np.array(literals, np.int64).reshape(bits.shape[1:])
    heaps = [
        _heap(n, p, codes[(k // p.size) * p.synapses : (k // p.size + 1) * p.synapses], row.tolist())
        for k, row in enumerate(stored)
    ]
    return finished(n, p, heaps, most_bits)


def remembered(n: Netlist, p: Product, codes: Codes, most_bits: int) -> Built:
    bits = n.input("w", p.synapses * p.w.bits)
    heap = _heap(n, p, codes, [bits[k : k + p.w.bits] for k in range(0, len(bits), p.w.bits)])
    fmt = Int(0, min(int(p.most[0]), (1 << most_bits) - 1))
    return [added(n, heap, fmt.bits, p.levels)], [fmt]


def _heap(n: Netlist, p: Product, codes: Codes, weights: Codes) -> Heap:
    """Of one neuron: its heap, with the first full adders done."""
    heap, columns = Heap(), defaultdict[int, list[Gated]](list)
    if isinstance(p.w, Powers):
        for code, weight in zip(codes, weights, strict=True):
            heap.add(times_power(n, p.w, unsigned(code, p.x), weight))
        return heap
    for code, weight in zip(codes, weights, strict=True):
        for j, w in enumerate(weight):
            negative = p.w.signed and not p.signs and j == len(weight) - 1
            for i, bit in enumerate(unsigned(code, p.x)):
                columns[i + j].append(Gated(bit, w ^ 1, True) if p.signs else Gated(bit ^ negative, w, False))
    add_gated(n, heap, columns)
    return heap


def tabled_sites(p: Product, most_bits: int) -> float:
    bits = p.w.encode(p.weights)[..., None] >> np.arange(p.w.bits, dtype=np.uint64) & np.uint64(1)
    rows = bits.reshape(len(bits), -1).astype(bool)
    changing = rows ^ rows[0]
    tables = len({column.tobytes() for column in np.packbits(changing[:, changing.any(axis=0)], axis=0).T})
    return tables / (2 if len(p.weights) <= 1 << PAIRED else 1) + signal_sites(p, most_bits)


def signal_sites(p: Product, most_bits: int) -> float:
    sites, left = _shifted(p) if isinstance(p.w, Powers) else _gated(p)
    return len(p.most) * (sites + heap_sites(left, sum_bits(p, most_bits)))


def _shifted(p: Product) -> tuple[int, dict[int, int]]:
    """Sites of a neuron's shifts, and how many bits of every power they make."""
    assert isinstance(p.w, Powers)
    return p.synapses * power_sites(p.x.bits, p.w), dict.fromkeys(range(power_columns(p.x.bits, p.w)), p.synapses)


def _gated(p: Product) -> tuple[int, dict[int, int]]:
    """The same of partial products, for every bit of a weight one."""
    columns: defaultdict[int, int] = defaultdict(int)
    for i in range(p.x.bits):
        for j in range(p.w.bits):
            columns[i + j] += p.synapses
    sites, left = _paired_off(tuple(sorted(columns.items())))
    return sites, dict(left)


@lru_cache(maxsize=4096)
def _paired_off(columns: tuple[tuple[int, int], ...]) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Sites in which so many partial products of every power become bits, and these."""
    sites = 0

    def alone(few: Sequence[int]) -> list[int]:
        nonlocal sites
        sites += 1
        return [0] * len(few)

    def link(bit: int, few: Sequence[int]) -> tuple[int, int]:
        nonlocal sites
        sites += 1
        return 0, 0

    left = paired_off({power: range(count) for power, count in columns}, alone, link)
    return sites, tuple((power, len(bits)) for power, bits in left.items())
