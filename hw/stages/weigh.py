"""Every place of an image times a whole number of its own: one multiplier a lane."""

from __future__ import annotations

from math import prod

import numpy as np
from amaranth.hdl import Array, Cat, Module, Value

from codesign.cost import Cost
from codesign.ops.weigh import Weigh
from hw.loops import counters, counters_cost, table
from hw.ports import elements, encode
from hw.rom import table_luts
from hw.stages.join import LEAST_DSP_BITS, product_luts
from hw.stages.lanes import ElementStage, LaneDatapath, register


class WeighStage(ElementStage[Weigh]):
    """Clocks: x and its weight, their product, the result: the registers of a DSP48E1."""

    @property
    def latency(self) -> int:
        return 3

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rows, columns, beats a place."""
        *rows, columns, channels = self.input.shape
        return prod(rows), columns, channels // self.input.lanes

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The different rows of weights, and which of them each row has."""
        return np.unique(self.op.weights.reshape(self.counts[:2]), axis=0, return_inverse=True)

    def datapath(self, ahead: bool = False) -> LaneDatapath:
        return _Weighed(self, ahead)

    def datapath_cost(self) -> Cost:
        x, w, y = self.input.format.bits, int(self.op.weights.max()).bit_length(), self.format.bits
        lane = Cost(dsp=1) if y >= LEAST_DSP_BITS else Cost(lut=product_luts(x, w), ff=x + y * 2)
        different, which = self.rows
        tables = len(different) * w * table_luts(self.counts[1]) + len(different).bit_length() * table_luts(len(which))
        return lane * self.input.lanes + Cost(lut=tables, ff=w) + counters_cost(self.counts)


class _Weighed(LaneDatapath):
    stage: WeighStage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage = self.stage
        weight = register(m, self._weight(m))
        values = (register(m, x) for x in elements(self.x, stage.input))
        products = [register(m, x * weight) for x in values]
        m.d.comb += self.y.eq(Cat(register(m, encode(p, stage.format)) for p in products))
        return m

    def _weight(self, m: Module) -> Value:
        """That of the place of the beat in `x`."""
        (row, column, _), _ = counters(m, self.stage.counts, self.valid)
        different, which = self.stage.rows
        return Array([table(column, own.tolist()) for own in different])[table(row, which.reshape(-1).tolist())]
