"""A layer with constant weights as gates: codes in, sums or staircases of them as codes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from codesign.formats import Binary, Format
from codesign.ops.threshold import Threshold
from hw.netlist.cells import FALSE, Literal, Lut, Netlist
from hw.netlist.heap import Heap, summed
from hw.netlist.matrix import Number, matrix, sum_ranges
from hw.netlist.patterns import GROUPS, pattern_sums
from hw.netlist.staircase import DIRECT, Stairs, count
from hw.netlist.tables import table_of


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


Code = Sequence[Literal]  # an element, lowest bit first, as streams carry it


def takes(layer: Dense, x: Format) -> bool:
    """Whether every staircase of the layer has a circuit here."""
    if layer.activation is None:
        return True
    numbers, weights, constants = _terms(layer, [[0] * x.bits] * len(layer.weights), x)
    lows, highs = sum_ranges(numbers, weights, constants)
    return all(s.takes for s in _stairs(layer.activation, lows, highs))


def dense(n: Netlist, layer: Dense, inputs: Sequence[Code], x: Format) -> list[list[Literal]]:
    """The codes of the layer's N outputs."""
    numbers, weights, constants = _terms(layer, inputs, x)
    if layer.activation is None:
        whole = _cheapest(n, numbers, _ways(weights, constants, [0] * weights.shape[1], numbers))
        return [_extended(y, layer.sums) for y in whole]
    stairs = _stairs(layer.activation, *sum_ranges(numbers, weights, constants))
    sums = _cheapest(n, numbers, _ways(weights, constants, [s.offset() for s in stairs], numbers))
    return [_step(n, y, s, layer.activation, k) for k, (y, s) in enumerate(zip(sums, stairs, strict=True))]


Way = Callable[[Netlist, Sequence[Number]], list[Number]]


def _ways(
    weights: np.ndarray, constants: np.ndarray, offsets: Sequence[int], numbers: Sequence[Number]
) -> list[Way]:  # fmt: skip
    """The circuits that there are for these sums."""
    ways: list[Way] = [lambda n, x: matrix(n, x, weights, constants, offsets)]
    units = set(np.unique(np.abs(weights)).tolist()) - {0}
    if all(x.lo == 0 and len(x.bits) == 1 for x in numbers) and len(units) == 1 and (u := units.pop()) & (u - 1) == 0:
        ranges = sum_ranges(numbers, weights, constants)
        ways += [
            partial(pattern_sums, weights=weights, constants=constants, offsets=offsets, ranges=ranges, group=g)
            for g in GROUPS
        ]
    return ways


def _cheapest(n: Netlist, inputs: Sequence[Number], ways: Sequence[Way]) -> list[Number]:
    """The sums in the way that takes the fewest look-up tables, found by trying each."""
    return (min(ways, key=lambda way: _sites(way, inputs)) if len(ways) > 1 else ways[0])(n, inputs)


def _sites(way: Way, inputs: Sequence[Number]) -> int:
    trial = Netlist()
    way(trial, [replace(x, bits=tuple(trial.input(str(k), len(x.bits)))) for k, x in enumerate(inputs)])
    return sum(isinstance(cell, Lut) for cell in trial.cells)


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
        value = base + step * (stairs.reached + sum(bit << k for k, bit in enumerate(row)))
        return (value > 0) if isinstance(fmt, Binary) else value

    if len(counted) <= DIRECT:
        of = [table_of(lambda row, j=j: code(row) >> j, len(counted)) for j in range(fmt.bits)]
        return [n.lut(table, counted) for table in of]
    heap = Heap(constant=base + step * stairs.reached)
    heap.add(counted, sign=step)
    return summed(n, heap, fmt.bits)
