"""Folded products in DSP48E1s: weights that share multipliers, cascades over the synapses, sums in the slice or behind.

Where a neuron has one synapse a clock and every lane holds whole results, the slice accumulates them itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, Module, Value, signed

from codesign.cost import Cost
from codesign.formats import Format
from hw.arith.dsp import PRODUCT_CLOCKS, Accumulator, Cascade
from hw.arith.packing import FACTOR_BITS, SUM_BITS, WORD_BITS, Cascades, packing_of
from hw.arith.tree import adder_tree, tree_cost, tree_latency, tree_levels
from hw.copies import EACH, copies, groups_of
from hw.loops import counter_cost
from hw.ports import resize
from hw.register import delay_cost, delayed, register
from hw.rom import Field, Fields

_SHARED = 2  # tables' addresses, of which one delayed: a register serves both


@dataclass(frozen=True, eq=False)
class Multipliers:
    """Of a Folded: weights (folds, neurons, synapses), results of format y, `lanes` neurons a multiplier at most."""

    x: Format
    y: Format
    weights: np.ndarray
    banks: int
    lanes: int

    @cached_property
    def cascades(self) -> Cascades:
        packing = packing_of(self.x, self.weights, self.lanes)
        if packing is None:
            raise ValueError(f"{self.lanes} products with {self.x} do not fit a multiplier")
        return Cascades.longest(self.x, self.weights, packing, self.banks)

    @property
    def synapses(self) -> int:
        return self.weights.shape[2]

    @property
    def count(self) -> int:
        """DSP48E1s."""
        return len(self.cascades.groups) * self.synapses

    @cached_property
    def accumulates(self) -> bool:
        """Whether the slices hold the results."""
        room = self.cascades.packing.room(min(self.lanes, self.weights.shape[1] // self.banks))
        return self.synapses == 1 and self.y.bits <= min(room)

    @property
    def latency(self) -> int:
        """Clocks from x and its weights to the sums of one clock."""
        c, clocks = self.cascades, PRODUCT_CLOCKS + self.spread
        return clocks if self.accumulates else clocks + c.length + tree_latency(tree_levels(c.count))

    @property
    def _together(self) -> int:
        """Multipliers that share a factor: those of a bank's neurons."""
        return len(self.cascades.groups) // self.banks

    @property
    def spread(self) -> bool:
        """Whether factors come from several registers, a clock later: one would have too many readers."""
        return groups_of(self._together) > 1

    def _delay(self, synapse: int) -> int:
        """Clocks that the operands of a synapse wait."""
        return self.cascades.delay(synapse) + self.spread

    @property
    def correction(self) -> np.ndarray:
        """What the sums of one clock have too much, less (neurons,)."""
        return np.zeros(self.weights.shape[1], np.int64) if self.accumulates else -self.cascades.offsets.sum(1)

    def fields(self, synapse: int) -> Fields:
        """What the multipliers of a synapse read: their words' digits, group by group."""
        return Fields(self._digits[:, :, synapse].T)

    @cached_property
    def _digits(self) -> np.ndarray:
        """(folds, neurons, synapses)"""
        return self.cascades.digits(self.weights)

    @cached_property
    def addresses(self) -> int:
        """In how many registers the place of the weights is wanted: by tables of synapses that are not delayed, and
        once by those that are, unless there are few."""
        wanted = Counter[bool]()
        for k in range(self.synapses):
            wanted[self._delay(k) > 0] += self.fields(k).addresses
        return max(1, wanted[False]) + (wanted[True] > 0 and wanted.total() > _SHARED)

    def _apart(self, synapse: int) -> bool:
        """Whether the tables of a delayed synapse have registers of their own for the place, as those of all that are
        as late read it too often."""
        fields, late = self.fields(synapse), self._delay(synapse)
        return late > 0 and fields.width > 0 and (fields.addresses > 1 or self._late_readers[late] > EACH)

    @cached_property
    def _late_readers(self) -> Counter[int]:
        """Cells that read a bit of the place, by its delay."""
        readers = Counter[int]()
        for k in range(self.synapses):
            readers[self._delay(k)] += self.fields(k).readers * self.fields(k).addresses
        return readers

    def starts(self, initial: np.ndarray) -> Fields:
        """What accumulating slices start from, initial (results, neurons): digits as above."""
        return Fields(self.cascades.digits(initial + self._turned).T)

    @property
    def _turned(self) -> int:
        """Added to a result so that its lane is at least 0."""
        return (1 << (self.y.bits - 1)) if self.y.signed else 0

    def cost(self) -> Cost:
        """Of the slices, their memories and delays, and the sums over a neuron's cascades."""
        delays = [self._delay(k) for k in range(self.synapses)]
        memories = [self.fields(k) for k in range(self.synapses)]
        address_bits = (len(self.weights) - 1).bit_length() if any(f.width for f in memories) else 0
        apart = sum(memories[k].addresses for k in range(self.synapses) if self._apart(k))
        cost = Cost(dsp=self.count, ff=address_bits * (max(delays) + apart))
        if self.addresses > 1:
            cost += counter_cost(len(self.weights), self.addresses)
        for delay, memory in zip(delays, memories, strict=True):
            cost += memory.cost() + self._factors_cost(delay)
        return cost + self._adders_cost()

    def _factors_cost(self, delay: int) -> Cost:
        """Of the registers of a synapse's factors."""
        bits = self.banks * self.x.bits
        if not self.spread:
            return delay_cost(bits, delay)
        return delay_cost(bits, delay - 1) + Cost(ff=bits * groups_of(self._together))

    def _adders_cost(self) -> Cost:
        """Of a tree over each neuron's cascades."""
        c, cost = self.cascades, Cost()
        if c.count > 1:
            for highest in c.highest:
                cost += tree_cost([int(h).bit_length() for h in highest])
        return cost

    # --- the circuit ---

    def sums(self, m: Module, x: list[Value], places: Sequence[Value], runs: Sequence[Value]) -> list[Value]:
        """Each neuron's part of its sum in this clock, less the correction; `places` (addresses), all the same, a clock
        ahead of x (lanes); `runs`, all the same, for multipliers in order."""
        operands = self._operands(m, x, places)
        return [
            value
            for k, group in enumerate(self.cascades.groups)
            for value in self._group_sums(m, k, group, operands, runs)
        ]

    def _operands(self, m: Module, x: list[Value], places: Sequence[Value]) -> list[tuple[list[Value], list[Value]]]:
        """Of every synapse: the words and factors by group, delayed as its place in the cascade asks."""
        addresses, operands, undelayed = [places[-1]], [], list(places)
        for synapse in range(self.synapses):
            delay = self._delay(synapse)
            while len(addresses) <= delay:
                addresses.append(register(m, addresses[-1]))
            fields = self.fields(synapse)
            own = [addresses[delay]] * fields.addresses
            if not delay and fields.width:
                own, undelayed = undelayed[: len(own)], undelayed[len(own) :]
            elif self._apart(synapse):
                own = copies(m, addresses[delay - 1], len(own), reset_less=True)
            row = fields.read(m, own)
            operands.append((self._words(row, WORD_BITS), self._factors(m, x[synapse :: self.synapses], delay)))
        return operands

    def _factors(self, m: Module, banks: list[Value], delay: int) -> list[Value]:
        """By group, of a factor for each bank."""
        count, made = groups_of(self._together), list[list[Value]]()
        for x in banks:
            if self.spread:
                made.append([*copies(m, delayed(m, x, delay - 1), count, reset_less=True)])
            else:
                made.append([delayed(m, x, delay)])
        share = [k * count // self._together for k in range(self._together)]
        return [resize(own[k], FACTOR_BITS) for own in made for k in share]

    def _words(self, row: list[Field], bits: int) -> list[Value]:
        """Digits of all groups -> a word for each."""
        words, start = [], 0
        for group in self.cascades.groups:
            digits = [_value(d) for d in row[start : start + len(group)]]
            start += len(group)
            low = [resize(d, self.cascades.packing.spacing) for d in digits[:-1]]
            words.append(Cat(*low, resize(digits[-1], bits - sum(map(len, low)))))
        return words

    def _group_sums(
        self, m: Module, k: int, group: range, operands: list[tuple[list[Value], list[Value]]], runs: Sequence[Value]
    ) -> list[Value]:
        c = self.cascades
        parts: list[list[Value]] = [[] for _ in group]
        for j, start in enumerate(c.starts):
            ours = operands[start : start + c.length]
            offsets = c.offsets[list(group), j]
            m.submodules += (chain := Cascade(len(ours), int(c.packing.words(offsets))))
            m.d.comb += [
                chain.run.eq(self._of(runs, k)),
                chain.a.eq(Cat(words[k] for words, _ in ours)),
                chain.b.eq(Cat(factors[k] for _, factors in ours)),
            ]
            for lane, n in enumerate(group):
                low = lane * c.packing.spacing
                parts[lane].append(chain.p[low : low + int(c.highest[n, j]).bit_length()])
        return [adder_tree(m, p, tree_levels(c.count)) for p in parts]

    def results(
        self,
        m: Module,
        x: list[Value],
        places: Sequence[Value],
        start: list[Field],
        firsts: Sequence[Value],
        goes: Sequence[Value],
        runs: Sequence[Value],
    ) -> list[Value]:
        """Each neuron's result out of accumulating slices; `start` and `first` come a clock before `go`, all three for
        slices in order."""
        ((words, factors),) = self._operands(m, x, places)
        results = list[Value]()
        begins = self._words(start, SUM_BITS)
        for k, (group, word, begin) in enumerate(zip(self.cascades.groups, words, begins, strict=True)):
            m.submodules += (part := Accumulator())
            m.d.comb += [part.run.eq(self._of(runs, k)), part.a.eq(word), part.b.eq(factors[k])]
            m.d.comb += [part.start.eq(begin), part.first.eq(self._of(firsts, k))]
            m.d.comb += [part.go.eq(self._of(goes, k))]
            lanes = [part.p[k * self.cascades.packing.spacing :][: self.y.bits] for k in range(len(group))]
            results += [Cat(lane[:-1], lane[-1] ^ bool(self._turned)) for lane in lanes]
        return results

    def _of(self, runs: Sequence[Value], group: int) -> Value:
        """What enables the multipliers of a group of neurons."""
        return runs[group * len(runs) // len(self.cascades.groups)]


def _value(digit: Field) -> Value:
    return Const(digit, signed(SUM_BITS)) if isinstance(digit, int) else digit
