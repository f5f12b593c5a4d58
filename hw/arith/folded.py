"""Dot products folded over time: a part of them a clock, summed in accumulators, weights from a ROM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from codesign.formats import Format, Int
from hw.arith.multipliers import Multipliers
from hw.arith.product import Place, Product
from hw.arith.sums import Sums, stored, sums_of
from hw.copies import EACH, groups_of
from hw.loops import COUNTED_IN_TABLES
from hw.netlist.chains import SHORT_BITS
from hw.netlist.clock import MOST_LEVELS
from hw.netlist.verilog import run_bits
from hw.rom import Fields, rom_in_blocks, table_luts
from hw.stream import StreamType, pack

LOWER = SHORT_BITS - 1  # bits of the lower half of an accumulator: its carry is the chain's last bit


@dataclass(frozen=True, eq=False)
class Folded:
    """`runs` (results,) beats of x, one run after the other, make one result of each neuron.

    weights (folds, neurons, synapses), in the order of use; bias (results, neurons). The neurons are split
    evenly into `banks`, and so are the lanes of x: a bank's neurons read its `synapses` lanes. With one fold the
    weights are constants in the logic. `late`: x comes a clock later than it has to. `dsp_lanes`: neurons that
    share a DSP48E1; 0: none is used. `levels` of logic between the registers of the circuits in LUTs.
    """

    x: Format
    w: Format
    weights: np.ndarray
    bias: np.ndarray
    runs: np.ndarray
    y: Format
    banks: int = 1
    late: bool = False
    dsp_lanes: int = 0
    levels: float = MOST_LEVELS

    @property
    def folds(self) -> int:
        return self.weights.shape[0]

    @property
    def results(self) -> int:
        return len(self.runs)

    @cached_property
    def beats(self) -> int:
        """Of every run where they are equally long; else 0."""
        return int(self.runs[0]) if len(np.unique(self.runs)) == 1 else 0

    @property
    def counts_places(self) -> bool:
        """Whether counters of results and beats say the place of the weights: not where a carry chain counts, behind
        which synthesis would look for the tables."""
        power_of_two = self.beats > 0 and self.beats & (self.beats - 1) == 0
        return power_of_two and max(self.results, self.beats) <= COUNTED_IN_TABLES

    @property
    def neurons(self) -> int:
        return self.weights.shape[1]

    @property
    def synapses(self) -> int:
        """Inputs of a neuron a clock."""
        return self.weights.shape[2]

    @property
    def lanes(self) -> int:
        return self.banks * self.synapses

    @property
    def word_bits(self) -> int:
        """Bits of all weights of one clock."""
        return self.neurons * self.synapses * self.product.w.bits

    def words(self) -> list[int]:
        """The weight memory: synapse 0 of neuron 0 lowest."""
        each, codes = self.neurons * self.synapses, self.product.w.encode(self.weights)
        stream = StreamType((self.folds * each,), Int.of(self.product.w.bits, signed=False), each)
        packed = pack(codes[None].astype(np.int64), stream)[0]
        return [int.from_bytes(word.astype("<u4").tobytes(), "little") for word in packed]

    @cached_property
    def product(self) -> Product:
        """What one clock adds, where LUTs do it; its weights as they are stored."""
        return stored(Product(self.x, self.w, self.weights, self.banks, self.levels), self.y.bits)

    @cached_property
    def multipliers(self) -> Multipliers | None:
        """The DSP48E1s, where they do it."""
        if not self.dsp_lanes:
            return None
        return Multipliers(self.x, self.y, self.weights, self.banks, self.dsp_lanes)

    @property
    def sums(self) -> Sums:
        """The circuit of the products: as wide as accumulators that may wrap need it."""
        return sums_of(self.product, self.sum_bits)

    @property
    def sum_bits(self) -> int:
        return max(1, self.y.bits - self.product.unit_bits)

    @cached_property
    def initial(self) -> np.ndarray:
        """What each sum starts from (results, neurons): bias, and what the circuits leave out."""
        if self.multipliers:
            left = np.broadcast_to(self.multipliers.correction, self.weights.shape[:2])
        else:
            left = self.product.correction
        return self.bias + np.add.reduceat(left, self.runs.cumsum() - self.runs)

    @property
    def low_bits(self) -> int:
        """Low bits that all results have in common, and that the accumulators leave out."""
        return self.product.unit_bits if len(np.unique(self.initial % 2)) == 1 else 0

    @property
    def low(self) -> int:
        """These bits."""
        return int(self.initial[0, 0]) & self.low_bits

    @property
    def step_bits(self) -> int:
        """The power of two, in units of the accumulators, that a one of the circuits' sums is worth."""
        return self.product.unit_bits - self.low_bits

    @cached_property
    def starts(self) -> Fields:
        """The accumulators' first values, by result fold."""
        if self.multipliers and self.multipliers.accumulates:
            return self.multipliers.starts(self.initial)
        return Fields((self.initial >> self.low_bits).T)

    @property
    def fetch_clocks(self) -> int:
        """From the choice of a beat until it and its weights are in registers: block RAM needs a second one behind it,
        tables of weights one before, for every so many of them."""
        if self.multipliers:  # whose inputs are registers
            return 1
        return 2 if self.late or self.product.place is Place.MEMORY else 1

    @property
    def enables(self) -> int:
        """Groups of registers that take an enable of their own."""
        return sum(self.enable_groups)

    @property
    def enable_groups(self) -> tuple[int, int, int]:
        """Of inputs and weights held again, and of the circuits."""
        again = groups_of(self.lanes * self.x.bits) if self.fetch_clocks > 1 else 0
        if self.multipliers:
            return again, 0, groups_of(self.multipliers.count)
        if self.product.place is Place.MEMORY:
            return again, self.word_groups, self.neurons * run_bits(self.sums.netlist)
        return again, 0, run_bits(self.sums.netlist)

    @property
    def word_groups(self) -> int:
        """Parts of the weight memory's words, so that no address in tables has too many readers."""
        return groups_of(self.word_bits, 1 if self.weights_in_blocks else ceil(table_luts(self.folds)))

    @property
    def weights_in_blocks(self) -> bool:
        return rom_in_blocks(self.folds, self.word_bits)

    @property
    def total_bits(self) -> int:
        """Of an accumulator."""
        return self.y.bits - self.low_bits

    @property
    def term_bits(self) -> int:
        """Of what a clock adds to an accumulator."""
        if self.multipliers:
            most = int(self.multipliers.cascades.highest.sum(1).max())
            return min(most.bit_length(), self.total_bits)
        return min(int(self.product.most.max()).bit_length(), self.sum_bits) + self.step_bits

    @property
    def halves(self) -> bool:
        """Whether accumulators are two halves, the upper one a clock behind: one carry chain would be too long."""
        in_slices = self.multipliers is not None and self.multipliers.accumulates
        return not in_slices and self.levels < MOST_LEVELS and self.total_bits > SHORT_BITS

    @property
    def sum_groups(self) -> int:
        """Groups of accumulators: whole ones, none with too many registers."""
        together = max(1, EACH // max(1, self.total_bits))
        return ceil(self.neurons / together)

    @property
    def latency(self) -> int:
        """Clocks from the choice of a result's last beat until the result is offered."""
        return self.fetch_clocks + (self.multipliers or self.sums).latency + 1 + self.halves
