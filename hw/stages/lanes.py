"""What the stages that treat every element by itself share: their base class, channel folds, small circuits."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Generic, TypeVar

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value

from codesign.cost import Cost
from codesign.formats import Format
from codesign.graph import Op, Operand, TensorType
from hw.elastic import Chain, Datapath, Elastic, elastic_cost, elastic_schedule
from hw.fitted import fitted
from hw.netlist.circuit import Circuit
from hw.netlist.comparator import at_least_netlist
from hw.rom import Field
from hw.stream import StreamType

_IN_TABLES = 3  # bits of two numbers that one table compares
AnyOp = TypeVar("AnyOp", bound=Op)


@dataclass(frozen=True, eq=False)
class ElementStage(Generic[AnyOp]):
    """A stage that applies `op` to every element of its input, `lanes` elements a beat, and keeps the order.

    A kind of stage gives `latency` (clocks from a beat taken to its result offered), `datapath` and its cost;
    `holds_x`: the first clock only waits for a memory, which it need not where it knows of the beat before.
    """

    input: StreamType
    op: AnyOp

    def __post_init__(self) -> None:
        _ = self.type  # refuses an operator that does not fit the input

    @property
    def type(self) -> TensorType:
        return self.op.infer(Operand(TensorType(self.input.shape, self.input.format)))

    @property
    def format(self) -> Format:
        """The format of the result."""
        assert self.type.format is not None
        return self.type.format

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        return (StreamType(self.input.shape, self.format, self.input.lanes),)

    @property
    def latency(self) -> int:
        raise NotImplementedError

    @property
    def holds_x(self) -> bool:
        return False

    def datapath(self, ahead: bool = False) -> Datapath:
        """The circuit; `ahead` where `holds_x` and the beat's `valid` comes a clock before it, a clock quicker."""
        raise NotImplementedError

    def datapath_cost(self) -> Cost:
        raise NotImplementedError

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self.op.run(self.type, *frames).astype(np.int64),)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (elastic_schedule(arrive[0], self.latency),)

    def cost(self) -> Cost:
        return self.datapath_cost() + elastic_cost(self.outputs[0].beat_bits, self.latency)

    def rtl(self, then: Datapath | None = None) -> Elastic:
        """`then`: a datapath behind it, without a handshake between."""
        own = self.datapath()
        return Elastic(own if then is None else Chain(own, then))

    def by_fold(self, rows: np.ndarray) -> np.ndarray:
        """Parameters (C or 1, ...) -> (folds, lanes, ...): those of each lane in every beat k, k % folds = fold."""
        lanes = self.input.lanes
        folds = len(rows) // gcd(len(rows), lanes)
        return rows[np.arange(folds * lanes) % len(rows)].reshape(folds, lanes, *rows.shape[1:])


class LaneDatapath(Datapath):
    """The datapath of an ElementStage."""

    def __init__(self, stage: ElementStage[AnyOp], ahead: bool = False) -> None:
        super().__init__(stage.input.beat_bits, stage.outputs[0].beat_bits, stage.latency - ahead, ahead)
        self.stage = stage

    def beside_memory(self, m: Module) -> Value:
        """x when the memory's word is there that was addressed with the beat's `valid`."""
        return self.x if self.ahead else register(m, self.x)


def register(m: Module, value: Value) -> Signal:
    """The value a clock ago."""
    kept = Signal(value.shape(), reset_less=True)
    m.d.sync += kept.eq(value)
    return kept


def register_field(m: Module, field: Field) -> Field:
    """The field a clock ago, for a constant itself."""
    return field if isinstance(field, int) else register(m, field)


def select(index: Value, bits: list[int]) -> Value:
    """bits[index] as one small truth table (at most 64 entries), which becomes a LUT."""
    mask = sum(bit << k for k, bit in enumerate(bits))
    return Const(mask, len(bits)).bit_select(index, 1)


def at_least(x: Value, threshold: int) -> Value:
    """x >= threshold, a constant: one LUT for every five bits of x, the lowest first, without a carry chain."""
    bits = len(x)
    if x.shape().signed:  # counted from the lowest number, the sign bit is an ordinary inverted one
        x, threshold = Cat(x[:-1], ~x[-1]), threshold + (1 << (bits - 1))
    if threshold <= 0 or threshold >= 1 << bits:
        return Const(int(threshold <= 0), 1)
    reached: Value = Const(1, 1)  # of the bits below: they are at least the threshold's
    for start in range(0, bits, 5):
        digit = x[start : start + 5]
        limit = (threshold >> start) & ((1 << len(digit)) - 1)
        row = [int(v > limit or (v == limit and below)) for below in (0, 1) for v in range(1 << len(digit))]
        reached = select(Cat(digit, reached), row)
    return reached


def reached(m: Module, x: Value, threshold: Field) -> Value:
    """x >= threshold, of a constant or a memory's."""
    if isinstance(threshold, int):
        return at_least(x, threshold)
    bits = len(x - threshold) - 1  # what the two have in common
    signed = x.shape().signed or threshold.shape().signed
    if bits <= _IN_TABLES:
        return x >= threshold
    m.submodules += (compare := Circuit(at_least_netlist(bits, signed)))
    m.d.comb += [compare.x.eq(x), compare.t.eq(threshold)]  # type: ignore[attr-defined]
    return compare.y  # type: ignore[attr-defined]


def at_least_luts(bits: int) -> float:
    """Of a comparison with a constant; those of one lane share their low digits."""
    return fitted("compare.digit") * -(-max(bits - 1, 1) // 5)


def compare_luts(bits: int) -> float:
    """Of a comparison with a variable: a carry chain of two bits a LUT."""
    return fitted("compare.bit") * bits + fitted("compare.one")


def ones(reached: list[Value]) -> Value:
    """How many of 2**n - 1 thermometer bits (ones, then zeros) are set: n bits, each of which turns with every bit
    that is its power of two further."""
    bits = len(reached).bit_length()
    return Cat(Cat(*reached[(1 << bit) - 1 :: 1 << bit]).xor() for bit in range(bits))
