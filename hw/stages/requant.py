"""Requantization by multiply and shift: one multiplier a lane, in DSP48E1s."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import groupby
from operator import add

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

from codesign.cost import Cost
from codesign.formats import Format, Int
from codesign.graph import GraphError
from codesign.ops.requant import Requant
from hw.dealt import enables_of, shares_of
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

    @cached_property
    def sums(self) -> Int:
        """The range of x * multiplier + offset, a half included where ties go to even."""
        x, m, b = self.input.format, self.op.multiplier, self.op.offset + self.half
        ends = np.array([m * x.lo + b, m * x.hi + b])
        return Int(int(ends.min()), int(ends.max()))

    @property
    def half(self) -> int:
        """Added so that a cut rounds half up."""
        return (1 << self.op.shift) >> 1 if self.op.rounding == "half_even" else 0

    @cached_property
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
        if not self.sums.signed and self.sums.bits <= self.op.shift:
            return Cost()  # always 0: synthesis takes all of it out
        fields, out, level_bits = self.fields, self.format, self._level_bits
        lut = fitted("requant.tie bit") * self.op.shift * bool(self.half) + self._limits_luts
        same = max(out.bits - level_bits, 0)  # upper bits that are all the sign: one register, also in the skid
        lane = Cost(lut=lut - fitted("buffer.bit") * same, ff=level_bits + out.bits - 2 * same)
        control = counter_cost(fields.depth, fields.addresses) + Cost(ff=enables_of(self._registers) - 1)
        multipliers = Cost(dsp=sum(self._multiplied))
        return lane * self.input.lanes + multipliers + self._sums_cost + self._delays_cost + fields.cost() + control

    @property
    def _level_bits(self) -> int:
        return max(self.sums.bits - self.op.shift, 1)

    @property
    def _limits(self) -> int:
        """Of the result, as far as the bits of a level tell that they matter."""
        level = Int.of(self._level_bits, self.sums.signed)
        return (level.lo < self.format.lo) + (level.hi > self.format.hi)

    @property
    def _limits_luts(self) -> float:
        """Of a lane: a limit on one side sets or resets registers, those on two are chosen in front of them."""
        out, level_bits = self.format, self._level_bits
        uneven = out != Int.of(out.bits, out.signed)  # limits that no bit pattern shows
        told = -(-max(level_bits - out.bits, 0) // 5) + fitted("requant.uneven bit") * uneven * level_bits
        return (told if self._limits else 0) + (fitted("requant.bit") * out.bits if self._limits == 2 else 0)

    @property
    def _multiplied(self) -> list[bool]:
        """Of every lane's digits whether a multiplier takes it: constant powers of two are shifts."""
        return [not _is_shift(f) for f in self.fields.formats[: self.input.lanes * self.digits]]

    @property
    def _sums_cost(self) -> Cost:
        """Of all lanes' products and sums, where they are not inside the multipliers."""
        x_bits, sum_bits, lanes = self.input.format.bits, self.sums.bits, self.input.lanes
        kept = sum_bits if self.half else self._level_bits  # of the sum: below a cut only a tie is told
        added = [b.lo % (1 << sum_bits) for b, apart in zip(self._offsets, self._apart, strict=True) if apart]
        ones = fitted("requant.one") * sum(b.bit_count() for b in added)
        if self.shifts_only:
            unread = 0 if self.half else sum(min(self.op.shift, _zeros(b)) for b in added)
            negated = sum(f.lo < 0 for f in self.fields.formats[: lanes * self.digits])
            return Cost(ones + negated * x_bits, (2 * x_bits + kept) * lanes - 2 * unread)
        if self.digits > 1:
            high = Cost(fitted("requant.digit bit") * (sum_bits - _DIGIT), kept)
            return high * lanes + Cost(ones, x_bits * len(added))
        return Cost(ones, kept * len(added))

    @property
    def _factors(self) -> list[Int]:
        """Of every lane the multiplier's lowest digit."""
        return self.fields.formats[: self.input.lanes]

    @property
    def _offsets(self) -> list[Int]:
        return self.fields.formats[-self.input.lanes :]

    @property
    def _apart(self) -> list[bool]:
        """Of every lane whether its offset is added outside of a multiplier: synthesis takes the zeros at a constant's
        end out of that."""
        return [self.shifts_only or (m.lo == m.hi and m.lo % 2 == 0) for m in self._factors]

    @property
    def _delays_cost(self) -> Cost:
        """Of bits that nothing changes on their way: three registers or more of one enable are a shift register."""
        shares, x, lane = shares_of(self._registers), self.fields.width, len(self._lane_registers)
        behind, cost = x + self.input.lanes, Cost()
        for k, (factor, offset, apart) in enumerate(zip(self._factors, self._offsets, self._apart, strict=True)):
            product, *_, total, level, result = shares[behind + k * lane :][:lane]
            ends, kept = [total, level, *([] if self._limits else [result])], self._kept(factor, offset)
            cost += _delayed([*([] if factor.lo < 0 else [shares[x + k]]), product, *ends], kept)
            cost += _delayed(ends, (self._level_bits - bool(self.half) - kept) * apart)
        return cost

    def _kept(self, factor: Int, offset: Int) -> int:
        """Bits of a level that are those of the product: below the lowest one of a constant offset."""
        if not self.shifts_only or self.digits > 1 or offset.lo != offset.hi:
            return 0
        return max(0, min(_zeros(offset.lo), self.sums.bits) - max(self.op.shift, _zeros(factor.lo)))

    @property
    def _registers(self) -> list[int]:
        """Bits of each, in the order in which they are dealt out to enables."""
        lanes = self.input.lanes
        return [*[1] * self.fields.width, *[signed_bits(self.input.format)] * lanes, *self._lane_registers * lanes]

    @property
    def _lane_registers(self) -> list[int]:
        """Of a lane behind its x: products, what two of them are added from, sum, level, result."""
        sum_bits = self.sums.bits
        products = [signed_bits(self.input.format) + f.bits for f in self.fields.formats[: self.digits]]
        parts = [sum_bits - _DIGIT] * 2 if self.digits > 1 else []
        return [*products, *parts, sum_bits, self._level_bits, self.format.bits]

    @property
    def shifts_only(self) -> bool:
        """Whether every lane multiplies by a constant power of two, which takes no multiplier."""
        return not any(self._multiplied)


def _is_shift(digit: Int) -> bool:
    """0, or a power of two of either sign."""
    size = abs(digit.lo)
    return digit.lo == digit.hi and size & (size - 1) == 0


def _zeros(number: int) -> int:
    """At its end; as many as there may be of 0."""
    return (number & -number).bit_length() - 1 if number else 64


def _delayed(shares: Sequence[int], bits: int) -> Cost:
    """What so many bits in registers of these enables, one behind the other, take more as shift registers."""
    runs = [len(list(run)) for _, run in groupby(shares)]
    return Cost() if bits <= 0 else sum((Cost(lut=bits, ff=-n * bits) for n in runs if n > 2), Cost())


def signed_bits(numbers: Format) -> int:
    return numbers.bits + (not numbers.signed)


class _MultiplyShift(LaneDatapath):
    stage: RequantStage

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, lanes = self.stage, self.stage.input.lanes
        fields = stage.fields
        row = fields.read(m, fold_counter(m, self.valid, fields.depth, fields.addresses))
        codes = []
        for lane, value in enumerate(self._factors(m)):
            *digits, offset = row[lane::lanes]
            codes.append(self._result(m, self._sum(m, value, digits, offset)))
        m.d.comb += self.y.eq(Cat(codes))
        return m

    def _factors(self, m: Module) -> list[Value]:
        """x of every lane when its fields are there, in registers of its own: those of a multiplier take one enable.

        With a sign: beside a wide number without one Yosys takes the sign bits of a negative constant for digits.
        """
        if self.ahead:
            return elements(self.x, self.stage.input)
        signed = [Cat(x, Const(0, int(not x.shape().signed))).as_signed() for x in elements(self.x, self.stage.input)]
        return [register(m, x) for x in signed]

    def _sum(self, m: Module, x: Value, digits: list[Field], offset: Field) -> Value:
        """x * multiplier + offset, two clocks later; three where the multiplier has digits."""
        low, *higher = [register(m, x * digit) for digit in digits]
        offset = register_field(m, offset)
        if higher:  # registers of no more bits than they hold, so that they belong into the multipliers
            high = reduce(add, (p.shift_left(_DIGIT * k) for k, p in enumerate(higher)))
            low, offset = register(m, low + offset), register(m, high).shift_left(_DIGIT)
        total = Signal(Shape(self.stage.sums.bits, self.stage.sums.signed), reset_less=True)
        m.d.sync += total.eq(low + offset)
        return total

    def _result(self, m: Module, total: Value) -> Value:
        """The sum, rounded and limited: its code, two clocks later."""
        out, shift = self.stage.format, self.stage.op.shift
        rounded = total.shift_right(shift) if self.stage.sums.signed or shift < len(total) else Const(0, 1)
        if self.stage.half:  # half up is one too high where the lower neighbour of a tie is the even one
            tie = ~total[:shift].any()
            rounded = Cat(rounded[0] & ~tie, rounded[1:])
            rounded = rounded.as_signed() if total.shape().signed else rounded
        level = register(m, rounded)
        limited = Mux(level < out.lo, out.lo, Mux(level > out.hi, out.hi, level))
        return register(m, resize(limited, out.bits))
