"""Staircases of many steps: binary search among thresholds in memory, one pipelined level for each bit."""

from __future__ import annotations

from functools import cached_property

from amaranth.hdl import Cat, Module, Signal, Value

from codesign.cost import Cost
from hw.copies import EACH, copies
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

    def addresses_at(self, level: int) -> list[int]:
        """Registers of each lane's count so far, so that none has too many readers."""
        return [f.addresses for f in self.levels[level]] if level < len(self.levels) else [1] * self.input.lanes

    def reads_a_fold(self, level: int) -> int:
        """And how many of these each register of the fold stands beside."""
        return max(1, EACH // max(1, *(f.readers for f in self.levels[level])))

    def folds_at(self, level: int) -> int:
        """Registers of the fold that a level reads its memory by."""
        if level == len(self.levels):
            return 1
        read = -(-sum(self.addresses_at(level)) // self.reads_a_fold(level))
        return read if has_memory(self.levels[level]) else max(read, self.folds_behind(level))

    def folds_behind(self, level: int) -> int:
        """And those a clock later, behind the memory."""
        return end_fields(self.stairs).addresses if level == len(self.levels) - 1 else 1

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
            cost += Cost(ff=fold_bits * (self.folds_at(level) + self.folds_behind(level) - 2))
            cost += Cost(ff=level * (sum(self.addresses_at(level)) - lanes))
        constant = not end_fields(stairs).width
        code = stair_code_luts(stairs.count_bits, self.format.bits, constant)
        return cost + Cost(lut=lanes * code, ff=lanes * self.format.bits)


def has_memory(fields: list[Fields]) -> bool:
    """Whether a level reads memory on any lane, so that all lanes take a clock more."""
    return any(f.width for f in fields)


def end_fields(stairs: Stairs) -> Fields:
    """The fields of a fold for the result: every lane's addend, then every lane's direction."""
    return Fields([*stairs.added.T, *stairs.falls.T])


def _registers(m: Module, value: Value, count: int) -> list[Value]:
    return list(copies(m, value, count, reset_less=True)) if count > 1 else [register(m, value)]


class _Search(LaneDatapath):
    stage: SearchStage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stairs, lanes = self.stage.stairs, self.stage.input.lanes
        x, folds = self.x, fold_counter(m, self.valid, stairs.folds, self.stage.folds_at(0))
        counts: list[list[Value]] = [[Signal(0)] * n for n in self.stage.addresses_at(0)]
        ends = []
        for level, fields in enumerate(self.stage.levels):
            nth, each = iter(range(sum(map(len, counts)))), self.stage.reads_a_fold(level)
            places = [[Cat(count, folds[next(nth) // each]) for count in own] for own in counts]
            rows = [f.read(m, own)[0] for f, own in zip(fields, places, strict=True)]
            if has_memory(fields):
                x = register(m, x) if level else self.beside_memory(m)
                folds = _registers(m, folds[0], self.stage.folds_behind(level))
                counts = [[register(m, own[0])] for own in counts]
            if level == stairs.count_bits - 1:
                ends = end_fields(stairs).read(m, folds[: end_fields(stairs).addresses])
            hits = [reached(m, v, row) for v, row in zip(elements(x, self.stage.input), rows)]
            following = [Cat(hit, own[0]) for hit, own in zip(hits, counts, strict=True)]
            counts = [_registers(m, c, n) for c, n in zip(following, self.stage.addresses_at(level + 1), strict=True)]
            x, folds = register(m, x), _registers(m, folds[0], self.stage.folds_at(level + 1))
        bits = self.stage.format.bits
        codes = [stair_code(counts[k][0], ends[k], ends[lanes + k], bits) for k in range(lanes)]
        m.d.comb += self.y.eq(register(m, Cat(codes)))
        return m
