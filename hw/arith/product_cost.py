"""What products take, found by counting partial products and the sites planned for their heaps: no gates are built."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from codesign import arithmetic
from codesign.cost import Cost
from hw.arith.product import Place, Product
from hw.fitted import fitted
from hw.netlist.dense import Dense
from hw.netlist.products import PAIRED, paired_off
from hw.netlist.sizes import heap_sites
from hw.stages.unrolled import layer_luts


def product_cost(product: Product, most_bits: int) -> Cost:
    """Of the circuit of all neurons, without a memory outside."""
    count = {
        Place.CONSTANT: _constant, Place.CHOSEN: _chosen, Place.TABLE: _tabled, Place.MEMORY: _gated,
    }[product.place]  # fmt: skip
    place = product.place.name.lower()
    lut = count(product, most_bits) * fitted(f"product.{place}")
    return Cost(lut=lut, ff=fitted(f"product.{place} ff") * lut)


def _constant(p: Product, most_bits: int) -> float:
    luts = 0.0
    for bank in range(p.banks):
        weights = p.weights[0, bank * p.size : (bank + 1) * p.size].T
        sums = arithmetic.accumulator(p.counted, weights)
        luts += layer_luts(Dense(weights, np.zeros(p.size, np.int64), sums), p.counted)
    return luts


def _chosen(p: Product, most_bits: int) -> float:
    """Of signs: the carries of threes, again and again; else full adders on what is not zero in every fold."""
    fold_bits, sites = (len(p.weights) - 1).bit_length(), 0.0
    columns: defaultdict[int, int] = defaultdict(int)
    used = np.bitwise_or.reduce(np.abs(p.weights), axis=0)  # (neurons, synapses)
    for plane in range(int(used.max()).bit_length()):
        count = round(float((used >> plane & 1).sum(1).mean()))
        every = bool((np.abs(p.weights) >> plane & 1).all())
        for power in range(plane, plane + p.x.bits):
            add = _signs if every else _threes
            sites += add(p, count, columns, power, fold_bits)
    return sites + len(p.most) * heap_sites(columns, _width(p, most_bits))


def _signs(p: Product, count: int, columns: defaultdict[int, int], power: int, fold_bits: int) -> float:
    classes = 1 << min(3 * len(p.weights) - 1, 30)
    different = classes * (1 - (1 - 1 / classes) ** p.size) + 1  # carries, and the parity of the inputs
    a_site = 2 if 3 + fold_bits <= PAIRED else 1
    sites = 0.0
    while count > 2:
        groups, count = count // 3, count // 3 + count % 3
        columns[power + 1] += groups
        sites += groups * math.ceil(different / a_site)
    columns[power] += count
    return (sites + count * min(p.size, classes) / 2) * p.banks


def _threes(p: Product, count: int, columns: defaultdict[int, int], power: int, fold_bits: int) -> float:
    groups, rest = divmod(count, 3)
    columns[power] += groups + (rest > 0)
    columns[power + 1] += groups + (rest > 1)
    return (groups * (1 if 3 + fold_bits <= PAIRED else 2) + (rest > 0)) * len(p.most)


def _tabled(p: Product, most_bits: int) -> float:
    bits = p.w.encode(p.weights)[..., None] >> np.arange(p.w.bits, dtype=np.uint64) & np.uint64(1)
    rows = bits.reshape(len(bits), -1).astype(bool)
    changing = rows ^ rows[0]
    tables = len({column.tobytes() for column in np.packbits(changing[:, changing.any(axis=0)], axis=0).T})
    return tables / (2 if len(p.weights) <= 1 << PAIRED else 1) + _gated(p, most_bits)


def _gated(p: Product, most_bits: int) -> float:
    columns: defaultdict[int, int] = defaultdict(int)
    for i in range(p.x.bits):
        for j in range(p.w.bits):
            columns[i + j] += p.synapses
    sites, left = _paired_off(tuple(sorted(columns.items())))
    return len(p.most) * (sites + heap_sites(dict(left), _width(p, most_bits)))


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


def _width(p: Product, most_bits: int) -> int:
    return min(int(p.most.max()).bit_length(), most_bits)
