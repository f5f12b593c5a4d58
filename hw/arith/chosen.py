"""Dot products whose weights few folds choose inside the gates."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from hw.arith.product import Built, Codes, Product, finished, sum_bits, unsigned
from hw.netlist.cells import Literal, Netlist
from hw.netlist.heap import Heap
from hw.netlist.products import PAIRED, Chosen, add_chosen, add_signs
from hw.netlist.sizes import heap_sites


def chosen(n: Netlist, p: Product, codes: Codes, most_bits: int) -> Built:
    fold = n.input("fold", (len(p.weights) - 1).bit_length())
    heaps = [Heap() for _ in range(p.weights.shape[1])]
    for bank in range(p.banks):
        ours = slice(bank * p.size, (bank + 1) * p.size)
        inputs = [unsigned(code, p.x) for code in codes[bank * p.synapses : (bank + 1) * p.synapses]]
        for j, digits in enumerate(p.digits[:, :, ours]):
            if digits.all():
                _add_signs(n, heaps[ours], inputs, digits, j, fold)
        _add_chosen(n, heaps[ours], inputs, p.digits[:, :, ours], fold)
    return finished(n, p, heaps, most_bits)


def _add_signs(
    n: Netlist, heaps: list[Heap], inputs: Codes, digits: np.ndarray, power: int, fold: list[Literal]
) -> None:  # fmt: skip
    """A plane (folds, neurons, synapses) without zeros."""
    inverts = _tables(digits < 0, len(fold))
    for i in range(len(inputs[0])):
        add_signs(n, heaps, [bits[i] for bits in inputs], inverts, power + i, fold)


def _tables(bits: np.ndarray, fold_bits: int) -> np.ndarray:
    """(folds, ...) -> tables over the fold's bits; folds that there are not take the first one's."""
    missing = (1 << fold_bits) - len(bits)
    full = np.concatenate([bits, np.repeat(bits[:1], missing, axis=0)]).astype(np.int64)
    return (full << np.arange(len(full)).reshape(-1, *[1] * (bits.ndim - 1))).sum(0)


def _add_chosen(n: Netlist, heaps: list[Heap], inputs: Codes, digits: np.ndarray, fold: list[Literal]) -> None:
    """The planes with zeros, digits (planes, folds, neurons, synapses)."""
    passes, inverts = (_tables((digits == s).swapaxes(0, 1), len(fold)) for s in (1, -1))
    for k, heap in enumerate(heaps):
        columns: defaultdict[int, list[Chosen]] = defaultdict(list)
        for j in range(len(digits)):
            if digits[j].all():
                continue
            for bits, t, f in zip(inputs, passes[j, k].tolist(), inverts[j, k].tolist(), strict=True):
                for i, bit in enumerate(bits if t or f else ()):
                    columns[i + j].append(Chosen(bit, t, f))
        add_chosen(n, heap, columns, fold)


def chosen_sites(p: Product, most_bits: int) -> float:
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
    return sites + len(p.most) * heap_sites(columns, sum_bits(p, most_bits))


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
