"""Staircases of many steps: binary search among thresholds in memory, one pipelined level for each bit."""

from __future__ import annotations

from functools import cached_property

from amaranth.hdl import Cat, Module, Signal, Value

from codesign.cost import Cost
from hw.loops import counter_cost, fold_counter
from hw.ports import elements
from hw.rom import Fields
from hw.stages.lanes import LaneDatapath, at_least_luts, compare_luts, reached, register
from hw.stages.stairs import Stairs, StairStage, stair_code, stair_code_luts


class SearchStage(StairStage):
    """Level k holds 2**k thresholds a channel and lane: read one (a clock), compare with it (a clock)."""

    @property
    def latency(self) -> int:
        return sum(1 + has_memory(fields) for fields in self.levels) + 1

    @cached_property
    def levels(self) -> list[list[Fields]]:
        """The thresholds of each level lane by lane, at the address count so far + fold * 2**level."""
        stairs = self.stairs
        halves = [1 << (stairs.count_bits - level - 1) for level in range(stairs.count_bits)]
        nodes = [stairs.thresholds[:, :, half - 1 :: 2 * half] for half in halves]
        return [[Fields([n[:, lane].reshape(-1)]) for lane in range(n.shape[1])] for n in nodes]

    @property
    def holds_x(self) -> bool:
        return has_memory(self.levels[0])

    def datapath(self, ahead: bool = False) -> LaneDatapath:
        return _Search(self, ahead)

    def datapath_cost(self) -> Cost:
        stairs, lanes, x_bits = self.stairs, self.input.lanes, self.input.format.bits
        fold_bits = (stairs.folds - 1).bit_length()
        cost = end_fields(stairs).cost() + counter_cost(stairs.folds)
        for level, fields in enumerate(self.levels):
            clocks = 1 + has_memory(fields)
            for f in fields:
                cost += f.cost() + Cost(lut=compare_luts(x_bits) if f.width else at_least_luts(x_bits))
            carried = lanes * (level + x_bits * (level + 1 < stairs.count_bits)) + fold_bits
            cost += Cost(ff=carried + lanes + (clocks - 1) * (lanes * (x_bits + level) + fold_bits))
        constant = not end_fields(stairs).width
        code = stair_code_luts(stairs.count_bits, self.format.bits, constant)
        return cost + Cost(lut=lanes * code, ff=lanes * self.format.bits)


def has_memory(fields: list[Fields]) -> bool:
    """Whether a level reads memory on any lane, so that all lanes take a clock more."""
    return any(f.width for f in fields)


def end_fields(stairs: Stairs) -> Fields:
    """The fields of a fold for the result: every lane's addend, then every lane's direction."""
    return Fields([*stairs.added.T, *stairs.falls.T])


class _Search(LaneDatapath):
    stage: SearchStage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stairs, lanes = self.stage.stairs, self.stage.input.lanes
        x, fold = self.x, fold_counter(m, self.valid, stairs.folds)
        counts: list[Value] = [Signal(0)] * lanes
        ends = []
        for level, fields in enumerate(self.stage.levels):
            rows = [f.read(m, Cat(count, fold))[0] for f, count in zip(fields, counts)]
            if has_memory(fields):
                x = register(m, x) if level else self.beside_memory(m)
                fold, counts = register(m, fold), [register(m, c) for c in counts]
            if level == stairs.count_bits - 1:
                ends = end_fields(stairs).read(m, fold)
            hits = [reached(v, row) for v, row in zip(elements(x, self.stage.input), rows)]
            counts = [register(m, Cat(hit, count)) for hit, count in zip(hits, counts)]
            x, fold = register(m, x), register(m, fold)
        bits = self.stage.format.bits
        codes = [stair_code(counts[k], ends[k], ends[lanes + k], bits) for k in range(lanes)]
        m.d.comb += self.y.eq(register(m, Cat(codes)))
        return m
