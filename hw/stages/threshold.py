"""Staircases by parallel comparators: one a threshold and lane."""

from __future__ import annotations

from amaranth.hdl import Cat, Module

from codesign.cost import Cost
from hw.fitted import fitted
from hw.loops import counter_cost, fold_counter
from hw.ports import elements
from hw.rom import Fields
from hw.stages.lanes import LaneDatapath, at_least_luts, compare_luts, ones, reached, register, register_field
from hw.stages.stairs import Stairs, StairStage, stair_code, stair_code_luts


class ThresholdStage(StairStage):
    """Compares with all thresholds at once: constants, or a memory's row where channels take turns on a lane.

    Clocks: the memory's row (where there is one); the comparisons; their count and the result's code.
    """

    @property
    def latency(self) -> int:
        return 2 + self.holds_x

    @property
    def holds_x(self) -> bool:
        return row_fields(self.stairs).width > 0

    def datapath(self, ahead: bool = False) -> LaneDatapath:
        return _Comparators(self, ahead)

    def datapath_cost(self) -> Cost:
        stairs, fields, x_bits = self.stairs, row_fields(self.stairs), self.input.format.bits
        lanes, bits, count = self.input.lanes, self.format.bits, stairs.thresholds.shape[2]
        used = sum(1 for f in fields.formats[: lanes * count] if f.lo <= self.input.format.hi)
        in_memory = sum(f.bits for f in fields.formats[: lanes * count] if f.lo != f.hi)
        compare = compare_luts(x_bits) if in_memory else at_least_luts(x_bits)
        code = fitted("stair.count") * (count - stairs.count_bits) + stair_code_luts(
            stairs.count_bits, bits, not fields.width
        )
        cost = Cost(lut=used * compare + lanes * code, ff=used + lanes * bits)
        if fields.width:
            cost += fields.cost() + counter_cost(stairs.folds, fields.addresses) + Cost(ff=lanes * x_bits)
        return cost


def row_fields(stairs: Stairs) -> Fields:
    """The fields of a fold: every lane's thresholds, then every lane's addend, then every lane's direction."""
    thresholds = stairs.thresholds.reshape(stairs.folds, -1)
    return Fields([*thresholds.T, *stairs.added.T, *stairs.falls.T])


class _Comparators(LaneDatapath):
    stage: ThresholdStage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stairs = self.stage.stairs
        fields = row_fields(stairs)
        row = fields.read(m, fold_counter(m, self.valid, stairs.folds, fields.addresses))
        x = self.beside_memory(m) if fields.width else self.x
        lanes, count = self.stage.input.lanes, stairs.thresholds.shape[2]
        codes = []
        for lane, value in enumerate(elements(x, self.stage.input)):
            hits = Cat(reached(m, value, t) for t in row[lane * count : (lane + 1) * count])
            added, falls = (register_field(m, row[lanes * k + lane]) for k in (count, count + 1))
            codes.append(stair_code(ones(list(register(m, hits))), added, falls, self.stage.format.bits))
        m.d.comb += self.y.eq(register(m, Cat(codes)))
        return m
