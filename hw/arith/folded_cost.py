"""What folded dot products cost: the products, their memories, accumulators and control."""

from __future__ import annotations

from dataclasses import replace

from codesign.cost import Cost
from hw.arith.folded import Folded
from hw.arith.order import Order
from hw.arith.product import Place
from hw.arith.product_cost import product_cost
from hw.arith.replay import replay_cost
from hw.buffer import skid_cost
from hw.copies import groups_of
from hw.loops import counters_cost
from hw.netlist.fanout import MOST_READERS
from hw.rom import rom_cost

_SHALLOW, _DEEP_TABLE = 48, 4.5
_TYPICAL_LATENCY = 4  # clocks of the sums


def folded_stream_cost(folded: Folded, order: Order | None = None) -> Cost:
    """Of a FoldedStream."""
    x_bits = folded.lanes * folded.x.bits
    fetch = Cost(ff=x_bits) if order is None else replay_cost(x_bits, order)
    if folded.multipliers:
        return fetch + folded.multipliers.cost() + _behind_multipliers_cost(folded) + _control_cost(folded)
    products = product_cost(folded.product, folded.sum_bits) + _memory_cost(folded)
    return (
        fetch + products + _accumulators_cost(folded) + _control_cost(folded) + _copies_cost(folded, order, products.ff)
    )


def _copies_cost(folded: Folded, order: Order | None, registers: float) -> Cost:
    """Of what is there several times: enables, of so many registers in the products, addresses, starts of sums."""
    x_groups, remembered = groups_of(folded.lanes * folded.x.bits), folded.product.place is Place.MEMORY
    enables = registers / MOST_READERS + x_groups * ((order is None) + (folded.fetch_clocks > 1)) + 2
    addresses = folded.word_groups if remembered and not folded.weights_in_blocks else 0
    words = folded.word_groups * remembered + (folded.folds - 1).bit_length() * addresses
    return Cost(ff=enables + words + (1 + (folded.beats != 1)) * folded.sum_groups)


def _memory_cost(folded: Folded) -> Cost:
    """Of the weights where they are in a memory, and of the places of those in the gates."""
    again = Cost(ff=folded.lanes * folded.x.bits) if folded.fetch_clocks > 1 else Cost()
    if folded.product.place is not Place.MEMORY:
        address = (folded.folds - 1).bit_length()
        return again + Cost(ff=address * folded.fetch_clocks)
    columns = min(folded.word_bits, 1 << min(folded.folds, 30))  # equal columns of the memory are one
    rom = rom_cost(folded.folds, columns)
    # Off the critical path abc9 maps a deep table worse than as one LUT6 a 64 bits: 4.7 LUTs at 64 words, 8.7 at 128.
    rom = replace(rom, lut=rom.lut * (_DEEP_TABLE if folded.folds > _SHALLOW else 1))
    return rom + again + Cost(ff=folded.word_bits) * folded.weights_in_blocks


def _accumulators_cost(folded: Folded) -> Cost:
    bits = folded.neurons * (folded.y.bits - folded.low_bits)
    adders = Cost(lut=bits * (folded.folds > folded.results or folded.starts.width > 0), ff=bits)
    return adders + folded.starts.cost() + skid_cost(folded.neurons * folded.y.bits)


def _behind_multipliers_cost(folded: Folded) -> Cost:
    assert folded.multipliers is not None
    held = skid_cost(folded.neurons * folded.y.bits)
    return folded.starts.cost() + held if folded.multipliers.accumulates else _accumulators_cost(folded)


def _control_cost(folded: Folded) -> Cost:
    counts = [folded.results, folded.beats or folded.folds]
    clocks = folded.multipliers.latency if folded.multipliers else _TYPICAL_LATENCY
    return counters_cost(counts) + Cost(lut=4, ff=folded.fetch_clocks + clocks + 3)
