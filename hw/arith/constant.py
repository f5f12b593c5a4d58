"""Dot products whose weights are constants of the gates."""

from __future__ import annotations

import numpy as np

from codesign import arithmetic
from codesign.formats import Int
from hw.arith.product import Built, Codes, Product
from hw.netlist.cells import Netlist
from hw.netlist.dense import Dense, dense
from hw.stages.unrolled import layer_luts


def constant(n: Netlist, p: Product, codes: Codes, most_bits: int) -> Built:
    sums: Codes = []
    formats: list[Int] = []
    for bank in range(p.banks):
        weights = p.weights[0, bank * p.size : (bank + 1) * p.size].T
        fmt = arithmetic.accumulator(p.counted, weights)
        assert isinstance(fmt, Int)
        inputs = codes[bank * p.synapses : (bank + 1) * p.synapses]
        layer = Dense(weights, np.zeros(p.size, np.int64), fmt)
        sums += dense(n, layer, inputs, p.counted)
        formats += [fmt] * p.size
    return sums, formats


def constant_sites(p: Product, most_bits: int) -> float:
    luts = 0.0
    for bank in range(p.banks):
        weights = p.weights[0, bank * p.size : (bank + 1) * p.size].T
        sums = arithmetic.accumulator(p.counted, weights)
        luts += layer_luts(Dense(weights, np.zeros(p.size, np.int64), sums), p.counted)
    return luts
