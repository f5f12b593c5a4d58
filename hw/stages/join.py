"""Two streams into one, element by element."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import stream, wiring

from codesign.cost import Cost
from codesign.formats import Int
from hw.buffer import buffer_cost
from hw.elastic import Datapath, elastic_cost
from hw.ending import Ending
from hw.fitted import fitted
from hw.ports import elements, encode
from hw.stages.lanes import compare_luts, register
from hw.stream import StreamType
from hw.timing import serve


def _together(arrive: tuple[np.ndarray, ...]) -> np.ndarray:
    """Cycle in which each pair of beats is taken: when the later one is there."""
    return serve(np.maximum(arrive[0], arrive[1]))


@dataclass(frozen=True)
class _Join:
    """Two streams of the same elements and lanes, their formats as they are; both beats are taken together."""

    a: StreamType
    b: StreamType

    def __post_init__(self) -> None:
        if (self.a.size, self.a.lanes) != (self.b.size, self.b.lanes):
            raise ValueError(f"{type(self).__name__} of {self.a} and {self.b}")

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return self.a, self.b

    @property
    def latency(self) -> int:
        """Clocks from a pair to its result."""
        return 1

    def accepts(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        """Both inputs go together."""
        return (_together(arrive),) * 2

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (_together(arrive) + self.latency,)


@dataclass(frozen=True)
class Add(_Join):
    """a + b, exact."""

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        a, b = self.a.format, self.b.format
        return (replace(self.a, format=Int(a.lo + b.lo, a.hi + b.hi)),)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        a, b = frames
        return (a.astype(np.int64) + b.reshape(a.shape),)

    def cost(self) -> Cost:
        bits = self.outputs[0].beat_bits
        return buffer_cost(bits) + Cost(lut=fitted("join.sum bit") * bits + fitted("join.one"))

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _JoinCircuit(self, then)

    def datapath(self) -> Datapath:
        return _Combined(self)

    def combined(self, a: Value, b: Value) -> Value:
        return a + b


@dataclass(frozen=True)
class Extreme(_Join):
    """The larger of a and b; the smaller, where `least`."""

    least: bool = False

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        choose, a, b = min if self.least else max, self.a.format, self.b.format
        return (replace(self.a, format=Int(choose(a.lo, b.lo), choose(a.hi, b.hi))),)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        a, b = frames
        choose = np.minimum if self.least else np.maximum
        return (choose(a.astype(np.int64), b.reshape(a.shape)),)

    def cost(self) -> Cost:
        (out,), compared = self.outputs, max(self.a.format.bits, self.b.format.bits) + 1
        chosen = fitted("choice.two") * out.beat_bits + compare_luts(compared) * out.lanes
        return buffer_cost(out.beat_bits) + Cost(lut=chosen + fitted("join.one"))

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _JoinCircuit(self, then)

    def datapath(self) -> Datapath:
        return _Combined(self)

    def combined(self, a: Value, b: Value) -> Value:
        return Mux((a < b) if self.least else (a > b), a, b)


_MULTIPLY_CLOCKS = 3  # operands, product, result: the registers of a DSP48E1
LEAST_DSP_BITS = 9  # Yosys puts smaller products into LUTs


def product_luts(a: int, b: int) -> float:
    """Of numbers of so many bits: each adder takes the ANDs of a row into itself, the first those of two; without one
    two ANDs share a LUT."""
    return fitted("product.bit") * max(a, b) * max(min(a, b) - 1, 0.5)


@dataclass(frozen=True)
class Mul(_Join):
    """a * b, exact."""

    @property
    def outputs(self) -> tuple[StreamType, ...]:
        a, b = self.a.format, self.b.format
        ends = [x * y for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
        return (replace(self.a, format=Int(min(ends), max(ends))),)

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        a, b = frames
        return (a.astype(np.int64) * b.reshape(a.shape),)

    @property
    def latency(self) -> int:
        return _MULTIPLY_CLOCKS

    def cost(self) -> Cost:
        a, b, out = self.a.format.bits, self.b.format.bits, self.outputs[0]
        lane = (
            Cost(dsp=1)
            if out.format.bits >= LEAST_DSP_BITS
            else Cost(lut=product_luts(a, b), ff=a + b + 2 * out.format.bits)
        )
        return elastic_cost(out.beat_bits, _MULTIPLY_CLOCKS) + lane * self.a.lanes + Cost(lut=fitted("join.one"))

    def rtl(self, then: Datapath | None = None) -> wiring.Component:
        return _JoinCircuit(self, then)

    def datapath(self) -> Datapath:
        return _Products(self)


class _JoinCircuit(Ending["Join"]):
    i0: stream.Interface
    i1: stream.Interface

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pipe = self.ending(m, self.stage.datapath())
        m.d.comb += [
            pipe.i.payload.eq(Cat(self.i0.payload, self.i1.payload)),
            pipe.i.valid.eq(self.i0.valid & self.i1.valid),
            self.i0.ready.eq(self.i1.valid & pipe.i.ready),
            self.i1.ready.eq(self.i0.valid & pipe.i.ready),
        ]
        return m


class _Combined(Datapath):
    """Lane by lane, one clock later: what a stage combines, both beats in `x`, a's lowest."""

    def __init__(self, stage: Add | Extreme) -> None:
        self.stage = stage
        super().__init__(stage.a.beat_bits + stage.b.beat_bits, stage.outputs[0].beat_bits, 1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt = self.stage.outputs[0].format
        m.d.comb += self.y.eq(Cat(register(m, encode(self.stage.combined(a, b), fmt)) for a, b in _pairs(self)))
        return m


class _Products(Datapath):
    """Lane by lane: a * b, both beats in `x`, a's lowest."""

    def __init__(self, stage: Mul) -> None:
        self.stage = stage
        super().__init__(stage.a.beat_bits + stage.b.beat_bits, stage.outputs[0].beat_bits, _MULTIPLY_CLOCKS)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt = self.stage.outputs[0].format
        products = (register(m, register(m, a) * register(m, b)) for a, b in _pairs(self))
        m.d.comb += self.y.eq(Cat(register(m, encode(p, fmt)) for p in products))
        return m


def _pairs(path: _Combined | _Products) -> Iterator[tuple[Value, Value]]:
    """The elements of both beats, lane by lane."""
    stage, cut = path.stage, path.stage.a.beat_bits
    return zip(elements(path.x[:cut], stage.a), elements(path.x[cut:], stage.b), strict=True)


Join = Add | Extreme | Mul
