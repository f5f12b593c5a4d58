"""What folded dot products cost: LUTs by the operands that are added, fitted to synthesized stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codesign.cost import Cost
from codesign.formats import Binary, Format
from hw.arith import dot
from hw.arith.folded import Folded
from hw.arith.order import Order
from hw.arith.replay import replay_cost
from hw.arith.tree import LEVELS_A_CLOCK, tree_levels
from hw.buffer import skid_cost
from hw.loops import counters_cost
from hw.rom import rom_cost

# LUTs a bit of a two-operand adder: plain operands, and operands that are masked by a weight's bit on the way in
# (a carry element takes the sum of the masked bits from one LUT and one masked bit from another).
_PLAIN, _MASKED = 1.0, 2.0
_SHALLOW, _DEEP_TABLE = 48, 4.5


def folded_stream_cost(folded: Folded, order: Order | None = None) -> Cost:
    """Of a FoldedStream."""
    x_bits = folded.lanes * folded.x.bits
    fetch = Cost(ff=x_bits) if order is None else replay_cost(x_bits, order)
    return fetch + _memory_cost(folded) + _sums_cost(folded) + _accumulators_cost(folded) + _control_cost(folded)


def _memory_cost(folded: Folded) -> Cost:
    again = Cost(ff=folded.word_bits + folded.lanes * folded.x.bits) if folded.fetch_clocks > 1 else Cost()
    if folded.constants:
        return again
    columns = min(folded.word_bits, 1 << min(folded.folds, 30))  # equal columns of the memory are one
    memory = rom_cost(folded.folds, columns)
    # Off the critical path abc9 maps a deep table worse than as one LUT6 a 64 bits: 4.7 LUTs at 64 words, 8.7 at 128.
    return replace(memory, lut=memory.lut * (_DEEP_TABLE if folded.folds > _SHALLOW else 1)) + again


def _accumulators_cost(folded: Folded) -> Cost:
    bits = folded.neurons * (folded.y.bits - folded.low_bits)
    adders = Cost(lut=bits * (folded.folds > folded.results or folded.starts.width > 0), ff=bits)
    return adders + folded.starts.cost() + skid_cost(folded.neurons * folded.y.bits)


def _control_cost(folded: Folded) -> Cost:
    counts = [folded.results, folded.beats or folded.folds]
    return counters_cost(counts) + Cost(lut=4, ff=folded.latency + 2)


def _sums_cost(folded: Folded) -> Cost:
    """Of the circuits between weights and accumulators."""
    if folded.constants:
        return _constant_cost(folded)
    x, w = folded.x, folded.w
    plus, minus = dot.variable_planes(x, w)
    masked = _plane_cost(folded.synapses, x, masked=True, depth=folded.depth)
    if not (isinstance(x, Binary) and isinstance(w, Binary)):
        masked *= 1 - 0.5**folded.folds  # weight bits that are zero in every fold
    neuron = masked * (plus + minus * (not _shares(x, w)))
    sum_bits = _row_bits(x) + tree_levels(dot.rows_of(folded.synapses, x))
    neuron += _join_cost([sum_bits + k for k in range(plus)], minus, folded.depth)
    shared = _plane_cost(folded.synapses, x, masked=False, depth=folded.depth) * folded.banks
    return neuron * folded.neurons + shared * _shares(x, w)


def _shares(x: Format, w: Format) -> bool:
    """Whether the neurons read the sum of all inputs."""
    return isinstance(w, Binary) and not isinstance(x, Binary)


def _row_bits(x: Format) -> int:
    return 2 if isinstance(x, Binary) else x.bits


def _plane_cost(inputs: int, x: Format, masked: bool, depth: dot.Depth) -> Cost:
    """Of the tree over one plane."""
    rows, bits = dot.rows_of(inputs, x), _row_bits(x)
    lut = inputs * 2 / 3 if isinstance(x, Binary) else 0.0
    if rows == 1 and masked and not isinstance(x, Binary):
        lut += bits
    first = _MASKED if masked and not isinstance(x, Binary) else _PLAIN
    tree = _tree_cost([bits] * rows, first, depth.levels)
    return tree + Cost(lut=lut)


def _tree_cost(bits: Sequence[int], first: float, levels: int) -> Cost:
    """Of `adder_tree` over rows of so many bits; `first`: LUTs a bit in the first level."""
    cost = Cost()
    for level in range(1, levels + 1):
        pairs = [(a, b) for a, b in zip(bits[::2], bits[1::2], strict=False)]
        cost += Cost(lut=sum(min(p) for p in pairs) * (first if level == 1 else _PLAIN))
        bits = [max(p) + 1 for p in pairs] + list(bits[len(bits) & ~1 :])
        if level % LEVELS_A_CLOCK == 0 or level == levels:
            cost += Cost(ff=sum(bits))
    return cost


def _join_cost(sums: list[int], minus: int, depth: dot.Depth) -> Cost:
    """Of adding the planes' sums and subtracting `minus` of them at the end."""
    last = max(sums, default=0) + 1
    return _tree_cost(sums, _PLAIN, depth.joins) + (Cost(lut=last, ff=last) + Cost(ff=last)) * (minus > 0)


def _constant_cost(folded: Folded) -> Cost:
    """Of the circuits of constant weights."""
    cost, x = Cost(), folded.x
    for neuron in folded.constants:
        for side in (neuron.plus, neuron.minus):
            for chosen, _ in side:
                cost += _plane_cost(len(chosen), x, masked=False, depth=folded.depth)
        sums = [_row_bits(x) + tree_levels(dot.rows_of(len(c), x)) + k for c, k in neuron.plus]
        cost += _join_cost(sums, len(neuron.minus) + (neuron.inputs < 0), folded.depth)
    shared = any(n.inputs for n in folded.constants)
    return cost + _plane_cost(folded.synapses, x, masked=False, depth=folded.depth) * (shared * folded.banks)
