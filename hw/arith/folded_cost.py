"""What folded dot products cost: the products, their memories, accumulators and control."""

from __future__ import annotations

from codesign.cost import Cost
from hw.arith.folded import LOWER, Folded
from hw.arith.order import Order
from hw.arith.product import Place
from hw.arith.replay import replay_cost
from hw.arith.sums import product_cost
from hw.buffer import skid_cost
from hw.copies import groups_of
from hw.fitted import fitted
from hw.loops import counter_cost, counters_cost
from hw.netlist.fanout import MOST_READERS
from hw.rom import rom_cost

_TYPICAL_LATENCY = 4  # clocks of the sums


def folded_stream_cost(folded: Folded, order: Order | None = None) -> Cost:
    """Of a FoldedStream, without building its gates."""
    if folded.multipliers:
        return _multiplied_cost(folded, order)
    return _around(folded, order, formula_products(folded), _TYPICAL_LATENCY)


def counted_stream_cost(folded: Folded, order: Order | None = None) -> Cost:
    """The same with the gates counted."""
    if folded.multipliers:
        return _multiplied_cost(folded, order)
    return _around(folded, order, counted_products(folded), folded.sums.latency)


def formula_products(folded: Folded) -> Cost:
    """Of the products' gates, before they are built."""
    return product_cost(folded.product, folded.sum_bits)


def counted_products(folded: Folded) -> Cost:
    """Of the products' gates."""
    copies = folded.neurons if folded.product.place is Place.MEMORY else 1
    return folded.sums.cost * copies


def _multiplied_cost(folded: Folded, order: Order | None) -> Cost:
    assert folded.multipliers is not None
    behind = _behind_multipliers_cost(folded) + _control_cost(folded, folded.multipliers.latency)
    return _fetch_cost(folded, order) + folded.multipliers.cost() + behind


def _around(folded: Folded, order: Order | None, products: Cost, clocks: int) -> Cost:
    """With all that is around the products' gates, which take so many clocks."""
    outside = _fetch_cost(folded, order) + _memory_cost(folded) + _copies_cost(folded, products.ff)
    return products + outside + _accumulators_cost(folded) + _control_cost(folded, clocks)


def _fetch_cost(folded: Folded, order: Order | None) -> Cost:
    x_bits = folded.lanes * folded.x.bits
    return Cost(ff=x_bits) if order is None else replay_cost(x_bits, order)


def _copies_cost(folded: Folded, registers: float) -> Cost:
    """Of what is there several times: enables, of so many registers in the products, addresses, starts of sums."""
    x_groups, remembered = groups_of(folded.lanes * folded.x.bits), folded.product.place is Place.MEMORY
    enables = registers / MOST_READERS + x_groups * (1 + (folded.fetch_clocks > 1)) + 1
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
    return rom_cost(folded.folds, columns) + again + Cost(ff=folded.word_bits) * folded.weights_in_blocks


def _accumulators_cost(folded: Folded) -> Cost:
    bits = folded.neurons * (folded.y.bits - folded.low_bits)
    summed = folded.folds > folded.results or folded.starts.width > 0
    adders = Cost(lut=fitted("folded.sum bit") * bits * summed, ff=bits)
    return adders + _halves_cost(folded) + folded.starts.cost() + skid_cost(folded.neurons * folded.y.bits)


def _halves_cost(folded: Folded) -> Cost:
    """Of what accumulators in halves take more: the carry, the lower half again, what the upper one adds; enables."""
    if not folded.halves:
        return Cost()
    upper = max(0, folded.term_bits - LOWER) + (folded.total_bits - LOWER) * (folded.starts.width > 0)
    return Cost(lut=folded.neurons, ff=folded.neurons * (LOWER + 1 + upper) + 2 * folded.sum_groups)


def _behind_multipliers_cost(folded: Folded) -> Cost:
    assert folded.multipliers is not None
    held = skid_cost(folded.neurons * folded.y.bits)
    return folded.starts.cost() + held if folded.multipliers.accumulates else _accumulators_cost(folded)


def _control_cost(folded: Folded, clocks: int) -> Cost:
    control = Cost(lut=fitted("folded.one"), ff=folded.fetch_clocks + clocks + 3)
    return counters_cost([folded.results, folded.beats]) + _address_cost(folded) + control


def _address_cost(folded: Folded) -> Cost:
    """Of what counts the weights' places, where the other counters do not say it."""
    return Cost() if folded.counts_places else counter_cost(folded.folds)
