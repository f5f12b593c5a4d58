"""Any function of one small integer: its values in memory, one memory a lane."""

from __future__ import annotations

from collections import Counter
from math import ceil

import numpy as np
from amaranth.hdl import Cat, Module

from codesign.cost import Cost
from codesign.ops.table import Table
from hw.copies import groups_of
from hw.loops import counter_cost, fold_counter
from hw.rom import Rom, rom_in_blocks, table_luts, words_cost
from hw.stages.lanes import ElementStage, LaneDatapath, register


class TableStage(ElementStage[Table]):
    """Clocks: the memory, and a register behind it where it is block RAM."""

    @property
    def latency(self) -> int:
        return 1 + self.in_blocks

    @property
    def in_blocks(self) -> bool:
        return rom_in_blocks(self.folds << self.input.format.bits, self.format.bits)

    @property
    def folds(self) -> int:
        return len(self.by_fold(self.op.values))

    @property
    def fold_groups(self) -> int:
        """Registers of the fold, so that none has too many readers."""
        if self.in_blocks or self.folds == 1:
            return 1
        a_lane = self.format.bits * ceil(table_luts(self.folds << self.input.format.bits))
        return min(groups_of(self.input.lanes * a_lane), self.input.lanes)

    def words(self, lane: int) -> list[int]:
        """The codes of a lane's results, at the address code of x + fold * 2**(bits of x)."""
        x = self.input.format
        codes = np.arange(1 << x.bits, dtype=np.uint64)
        position = np.clip(x.to_int(codes), x.lo, x.hi) - self.op.lo
        return self.format.encode(self.by_fold(self.op.values)[:, lane, position]).reshape(-1).tolist()

    def datapath(self, ahead: bool = False) -> LaneDatapath:
        return _Lookup(self, ahead)

    def datapath_cost(self) -> Cost:
        cost = counter_cost(self.folds, self.fold_groups)
        for words, lanes in Counter(tuple(self.words(lane)) for lane in range(self.input.lanes)).items():
            cost += words_cost(words, self.format.bits) * lanes
        return cost + Cost(ff=self.format.bits * self.in_blocks * self.input.lanes)


class _Lookup(LaneDatapath):
    stage: TableStage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = self.stage.input.format.bits
        lanes, folds = self.stage.input.lanes, fold_counter(m, self.valid, self.stage.folds, self.stage.fold_groups)
        results = []
        for lane in range(lanes):
            rom = Rom(self.stage.words(lane), self.stage.format.bits)
            m.submodules[f"rom{lane}"] = rom
            fold = folds[lane * len(folds) // lanes]
            m.d.comb += rom.address.eq(Cat(self.x[lane * bits : (lane + 1) * bits], fold))
            results.append(rom.data)
        m.d.comb += self.y.eq(register(m, Cat(results)) if self.stage.in_blocks else Cat(results))
        return m
