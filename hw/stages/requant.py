"""Requantization by multiply and shift: one multiplier a lane, in DSP48E1s."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value

from codesign.cost import Cost
from codesign.formats import Format, Int
from codesign.graph import GraphError
from codesign.ops.requant import Requant
from hw.fitted import fitted
from hw.loops import counter_cost, fold_counter
from hw.ports import elements, resize
from hw.rom import Field, Fields
from hw.stages.lanes import ElementStage, LaneDatapath, register, register_field

# The signed ports of a DSP48E1; a wider multiplier is cut into unsigned digits and a signed rest.
_A_BITS, _B_BITS, _DIGIT = 25, 18, 17


class RequantStage(ElementStage[Requant]):
    """Clocks: x and its multiplier and offset; products; (their sum, where there are two;) + offset; even; clamp."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.takes(self.input.format):
            raise GraphError(f"a multiplier takes {_A_BITS} bits; {self.input.format} has more")

    @staticmethod
    def takes(x: Format) -> bool:
        """Whether a multiplier is wide enough for x."""
        return signed_bits(x) <= _A_BITS

    @property
    def latency(self) -> int:
        return 5 + (self.digits > 1)

    @property
    def digits(self) -> int:
        """Products a lane: of x with every digit of the multiplier."""
        m = Int(int(self.op.multiplier.min()), int(self.op.multiplier.max()))
        x_bits, m_bits = signed_bits(self.input.format), signed_bits(m)
        if m_bits <= _B_BITS or (m_bits <= _A_BITS and x_bits <= _B_BITS):
            return 1
        return -(-(m_bits - 1) // _DIGIT)

    @property
    def sums(self) -> Int:
        """The range of x * multiplier + offset, a half included where ties go to even."""
        x, m, b = self.input.format, self.op.multiplier, self.op.offset + self.half
        ends = np.array([m * x.lo + b, m * x.hi + b])
        return Int(int(ends.min()), int(ends.max()))

    @property
    def half(self) -> int:
        """Added so that a cut rounds half up."""
        return (1 << self.op.shift) >> 1 if self.op.rounding == "half_even" else 0

    @property
    def fields(self) -> Fields:
        """Of a fold: every lane's multiplier digits, lowest digit first, then every lane's offset."""
        channels = max(len(self.op.multiplier), len(self.op.offset))
        m = self.by_fold(np.broadcast_to(self.op.multiplier, channels))
        b = self.by_fold(np.broadcast_to(self.op.offset + self.half, channels))
        digits = [(m >> (_DIGIT * k)) & ((1 << _DIGIT) - 1) for k in range(self.digits - 1)]
        return Fields([c for rows in (*digits, m >> (_DIGIT * (self.digits - 1)), b) for c in rows.T])

    @property
    def holds_x(self) -> bool:
        return True

    def datapath(self, ahead: bool = False) -> LaneDatapath:
        return _MultiplyShift(self, ahead)

    def datapath_cost(self) -> Cost:
        fields, out, level_bits = self.fields, self.format, self._level_bits
        beyond = -(-max(level_bits - out.bits, 0) // 5)
        uneven = 0 if out == Int.of(out.bits, out.signed) else level_bits  # limits that no bit pattern shows
        lut = fitted("requant.bit") * out.bits + beyond + fitted("requant.uneven bit") * uneven
        lut += fitted("requant.tie bit") * self.op.shift * bool(self.half)
        same = max(out.bits - level_bits, 0)  # upper bits that are all the sign: one register, also in the skid
        lane = Cost(lut=lut - fitted("buffer.bit") * same, ff=level_bits + out.bits - 2 * same) + self._sum_cost()
        return lane * self.input.lanes + fields.cost() + counter_cost(fields.depth, fields.addresses)

    @property
    def _level_bits(self) -> int:
        return max(self.sums.bits - self.op.shift, 1)

    def _sum_cost(self) -> Cost:
        """Of a lane's products and sum; a constant offset is seldom added in the multiplier."""
        x_bits, bits = self.input.format.bits, self.sums.bits
        if self.shifts_only:
            return Cost(lut=fitted("requant.shift bit") * bits, ff=fitted("requant.shift ff") * (2 * x_bits + bits))
        if self.digits > 1:
            return Cost(fitted("requant.digit bit") * bits, fitted("requant.digit ff") * bits, dsp=self.digits)
        if all(f.lo == f.hi for f in self.fields.formats):
            return Cost(lut=fitted("requant.offset bit") * bits, ff=fitted("requant.offset ff") * bits, dsp=1)
        return Cost(dsp=1)

    @property
    def shifts_only(self) -> bool:
        """Whether every lane multiplies by a constant power of two, which takes no multiplier."""
        digits = self.fields.formats[: self.input.lanes * self.digits]
        return all(f.lo == f.hi and f.lo >= 0 and f.lo & (f.lo - 1) == 0 for f in digits)


def signed_bits(numbers: Format) -> int:
    return numbers.bits + (not numbers.signed)


class _MultiplyShift(LaneDatapath):
    stage: RequantStage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, lanes = self.stage, self.stage.input.lanes
        fields = stage.fields
        row = fields.read(m, fold_counter(m, self.valid, fields.depth, fields.addresses))
        x = self.beside_memory(m)
        codes = []
        for lane, value in enumerate(elements(x, stage.input)):
            *digits, offset = row[lane::lanes]
            codes.append(self._result(m, self._sum(m, value, digits, offset)))
        m.d.comb += self.y.eq(Cat(codes))
        return m

    def _sum(self, m: Module, x: Value, digits: list[Field], offset: Field) -> Value:
        """x * multiplier + offset, two clocks later; three where the multiplier has digits."""
        products = [register(m, x * digit) for digit in digits]
        offset = register_field(m, offset)
        if len(products) > 1:
            high = sum(p << (_DIGIT * k) for k, p in enumerate(products) if k)
            products, offset = [register(m, products[0] + offset), register(m, high)], 0
        total = Signal(Shape(self.stage.sums.bits, self.stage.sums.signed), reset_less=True)
        m.d.sync += total.eq(sum(products) + offset)
        return total

    def _result(self, m: Module, total: Value) -> Value:
        """The sum, rounded and limited: its code, two clocks later."""
        out, shift = self.stage.format, self.stage.op.shift
        rounded = total >> shift
        if self.stage.half:  # half up is one too high where the lower neighbour of a tie is the even one
            tie = ~total[:shift].any()
            rounded = Cat(rounded[0] & ~tie, rounded[1:])
            rounded = rounded.as_signed() if total.shape().signed else rounded
        level = register(m, rounded)
        limited = Mux(level < out.lo, out.lo, Mux(level > out.hi, out.hi, level))
        return register(m, resize(limited, out.bits))
