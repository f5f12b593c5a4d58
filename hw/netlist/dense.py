"""A layer with constant weights as gates: codes in, sums or staircases of them as codes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from codesign.formats import Binary, Format
from codesign.ops.threshold import Threshold
from hw.netlist.cells import FALSE, Literal, Netlist
from hw.netlist.chains import added
from hw.netlist.heap import Heap
from hw.netlist.matrix import Number, matrix, sum_ranges
from hw.netlist.neurons import MOST_BITS, codes_of, from_table
from hw.netlist.patterns import GROUPS, pattern_sums
from hw.netlist.staircase import DIRECT, Stairs, count
from hw.netlist.tables import number_of, tables_of


@dataclass(frozen=True, eq=False)
class Dense:
    """Weights (K, N) and bias (N,) as integers, the format of the N sums, and the staircase behind them, if any."""

    weights: np.ndarray
    bias: np.ndarray
    sums: Format
    activation: Threshold | None = None

    @property
    def output(self) -> Format:
        return self.sums if self.activation is None else self.activation.format

    def only(self, neurons: Sequence[int]) -> Dense:
        """The layer with some of its neurons."""
        op = self.activation
        if op is not None:
            rows = [a[neurons] if len(a) > 1 else a for a in (op.thresholds, op.base, op.step)]
            op = replace(op, thresholds=rows[0], base=rows[1], step=rows[2])
        return replace(self, weights=self.weights[:, neurons], bias=self.bias[neurons], activation=op)


Code = Sequence[Literal]  # an element, lowest bit first, as streams carry it


def takes(layer: Dense, x: Format, gates: str = "auto") -> bool:
    """Whether every staircase of the layer has a circuit here."""
    if layer.activation is None or gates == "table":
        return True
    numbers, weights, constants = _terms(layer, [[0] * x.bits] * len(layer.weights), x)
    lows, highs = sum_ranges(numbers, weights, constants)
    return all(s.takes for s in _stairs(layer.activation, lows, highs))


def dense(n: Netlist, layer: Dense, inputs: Sequence[Code], x: Format, gates: str = "auto") -> list[list[Literal]]:
    """The codes of the layer's N outputs, by `gates`: "unrolled" sums, "table" for every neuron, "auto" the cheaper."""
    everything = range(layer.weights.shape[1])
    if gates == "table":
        return _mixed(n, inputs, layer, x, everything)
    small = [k for k in everything if gates == "auto" and fan_in_bits(layer, k, x) <= MOST_BITS]
    choices = [[], small, [k for k in small if _table_is_cheaper(layer, k, x)]] if small else [[]]
    ways: list[Way] = [partial(_mixed, layer=layer, x=x, tabled=chosen) for chosen in choices]
    return _cheapest(n, inputs, ways)


def fan_in_bits(layer: Dense, neuron: int, x: Format) -> int:
    """Bits that a neuron reads."""
    return int(np.count_nonzero(layer.weights[:, neuron])) * x.bits


def _table_is_cheaper(layer: Dense, neuron: int, x: Format) -> bool:
    """Of one neuron alone."""
    alone = layer.only([neuron])
    blank = [[0] * x.bits] * len(layer.weights)
    table, sums = (_sites(partial(_mixed, layer=alone, x=x, tabled=t), blank) for t in ([0], []))
    return table <= sums


def _mixed(
    n: Netlist, inputs: Sequence[Code], layer: Dense, x: Format, tabled: Sequence[int]
) -> list[list[Literal]]:  # fmt: skip
    """Some neurons as tables, the others as sums."""
    others = [k for k in range(layer.weights.shape[1]) if k not in set(tabled)]
    made = {k: _table(n, layer, k, inputs, x) for k in tabled}
    if others:
        made |= dict(zip(others, _summed(n, layer.only(others), inputs, x), strict=True))
    return [made[k] for k in range(layer.weights.shape[1])]


def _table(n: Netlist, layer: Dense, neuron: int, inputs: Sequence[Code], x: Format) -> list[Literal]:
    """One neuron's code, by enumeration of all that it reads."""
    reads = np.flatnonzero(layer.weights[:, neuron])
    weights = layer.weights[reads, neuron].astype(np.int64)
    codes = codes_of(weights, int(layer.bias[neuron]), x, layer.activation, neuron, layer.output)
    return from_table(n, codes, layer.output.bits, [bit for k in reads for bit in inputs[k]])


def _summed(n: Netlist, layer: Dense, inputs: Sequence[Code], x: Format) -> list[list[Literal]]:
    """Sums in compressor heaps, and staircases behind them."""
    numbers, weights, constants = _terms(layer, inputs, x)
    if layer.activation is None:
        whole = _cheapest(n, numbers, _ways(weights, constants, [0] * weights.shape[1], numbers))
        return [_extended(y, layer.sums) for y in whole]
    stairs = _stairs(layer.activation, *sum_ranges(numbers, weights, constants))
    sums = _cheapest(n, numbers, _ways(weights, constants, [s.offset() for s in stairs], numbers))
    return [_step(n, y, s, layer.activation, k) for k, (y, s) in enumerate(zip(sums, stairs, strict=True))]


MOST_SHARED = 5_000  # weights of which common parts are looked for where there are patterns, too

Way = Callable[[Netlist, Sequence[Any]], list[Any]]  # of numbers, or of codes


def _ways(
    weights: np.ndarray, constants: np.ndarray, offsets: Sequence[int], numbers: Sequence[Number]
) -> list[Way]:  # fmt: skip
    """The circuits that there are for these sums."""
    shared: Way = partial(matrix, weights=weights, constants=constants, offsets=offsets)
    units = set(np.unique(np.abs(weights)).tolist()) - {0}
    if len(units) != 1 or (u := units.pop()) & (u - 1) or any(x.lo or len(x.bits) != 1 for x in numbers):
        return [shared]
    ranges = sum_ranges(numbers, weights, constants)
    ways: list[Way] = [
        partial(pattern_sums, weights=weights, constants=constants, offsets=offsets, ranges=ranges, group=g)
        for g in GROUPS
    ]
    return ways if np.count_nonzero(weights) > MOST_SHARED else [shared, *ways]


def _cheapest(n: Netlist, inputs: Sequence[Any], ways: Sequence[Way]) -> list[Any]:
    """What the ways make, in the way that takes the fewest look-up tables, found by trying each."""
    if len(ways) == 1:
        return ways[0](n, inputs)
    tried = [(trial := n.copied(), way(trial, inputs)) for way in ways]
    best, made = min(tried, key=lambda pair: pair[0].sites)
    n.become(best)
    return made


def _sites(way: Way, inputs: Sequence[Any]) -> int:
    """Look-up tables of a way, on inputs of its own."""
    trial = Netlist()
    way(trial, [_renewed(trial, str(k), x) for k, x in enumerate(inputs)])
    return trial.sites


def _renewed(trial: Netlist, name: str, x: Any) -> Any:
    """A number or a code of as many bits."""
    return (
        replace(x, bits=tuple(trial.input(name, len(x.bits)))) if isinstance(x, Number) else trial.input(name, len(x))
    )


def _terms(layer: Dense, inputs: Sequence[Code], x: Format) -> tuple[list[Number], np.ndarray, np.ndarray]:
    """Inputs as numbers, and the weights and constants that go with them: a binary code b is worth 2 b - 1."""
    weights, bias = layer.weights.astype(np.int64), layer.bias.astype(np.int64)
    if isinstance(x, Binary):
        return [Number(tuple(code), 0, 0, 1) for code in inputs], 2 * weights, bias - weights.sum(0)
    return [number(code, x) for code in inputs], weights, bias


def number(code: Code, x: Format) -> Number:
    """A two's complement code: its top bit inverted counts from the lowest value up."""
    if not x.signed:
        return Number(tuple(code), 0, x.lo, x.hi)
    return Number((*code[:-1], code[-1] ^ 1), -(1 << (x.bits - 1)), x.lo, x.hi)


def _stairs(op: Threshold, lows: Sequence[int], highs: Sequence[int]) -> list[Stairs]:
    rows = np.broadcast_to(op.thresholds, (len(lows), op.thresholds.shape[1])).tolist()
    return [Stairs.of(row, lo, hi) for row, lo, hi in zip(rows, lows, highs, strict=True)]


def _extended(y: Number, fmt: Format) -> list[Literal]:
    """The code of a number that counts from 0."""
    fill = y.bits[-1] if y.lo < 0 else FALSE
    return [*y.bits, *[fill] * (fmt.bits - len(y.bits))]


def _step(n: Netlist, y: Number, stairs: Stairs, op: Threshold, column: int) -> list[Literal]:
    """The code of base + step * count."""
    base, step = (int(values[column if len(values) > 1 else 0]) for values in (op.base, op.step))
    counted, fmt = count(n, y, stairs), op.format

    def code(row: Sequence[int]) -> int:
        value = base + step * (stairs.reached + number_of(row))
        return (value > 0) if isinstance(fmt, Binary) else value

    if len(counted) <= DIRECT:
        return [n.lut(table, counted) for table in tables_of(code, len(counted), fmt.bits)]
    heap = Heap(constant=base + step * stairs.reached)
    heap.add(counted, sign=step)
    return added(n, heap, fmt.bits)
