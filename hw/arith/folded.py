"""Dot products folded over time: a part of them a clock, summed in accumulators, weights from a ROM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.formats import Format
from hw.arith.multipliers import Multipliers
from hw.arith.order import Order
from hw.arith.product import Place, Product, Sums
from hw.arith.replay import replay
from hw.buffer import Skid
from hw.elastic import Chain, Datapath, gate
from hw.loops import counters
from hw.netlist.circuit import Circuit
from hw.ports import element
from hw.register import register
from hw.rom import Field, Fields, Rom, rom_in_blocks
from hw.stream import StreamType, pack


@dataclass(frozen=True, eq=False)
class Folded:
    """`runs` (results,) beats of x, one run after the other, make one result of each neuron.

    weights (folds, neurons, synapses), in the order of use; bias (results, neurons). The neurons are split
    evenly into `banks`, and so are the lanes of x: a bank's neurons read its `synapses` lanes. With one fold the
    weights are constants in the logic. `late`: x comes a clock later than it has to. `dsp_lanes`: neurons that
    share a DSP48E1; 0: none is used.
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
        return self.neurons * self.synapses * self.w.bits

    def words(self) -> list[int]:
        """The weight memory: synapse 0 of neuron 0 lowest."""
        each = self.neurons * self.synapses
        packed = pack(self.weights[None], StreamType((self.folds * each,), self.w, each))[0]
        return [int.from_bytes(word.astype("<u4").tobytes(), "little") for word in packed]

    @cached_property
    def product(self) -> Product:
        """What one clock adds, where LUTs do it."""
        return Product(self.x, self.w, self.weights, self.banks)

    @cached_property
    def multipliers(self) -> Multipliers | None:
        """The DSP48E1s, where they do it."""
        if not self.dsp_lanes:
            return None
        return Multipliers(self.x, self.y, self.weights, self.banks, self.dsp_lanes)

    @property
    def sums(self) -> Sums:
        """The circuit of the products: as wide as accumulators that may wrap need it."""
        return self.product.sums(self.sum_bits)

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

    @property
    def starts(self) -> Fields:
        """The accumulators' first values, by result fold."""
        if self.multipliers and self.multipliers.accumulates:
            return self.multipliers.starts(self.initial)
        return Fields((self.initial >> self.low_bits).T)

    @property
    def fetch_clocks(self) -> int:
        """From the choice of a beat until it and its weights are in registers: block RAM needs a second one."""
        if self.multipliers:  # whose inputs are registers
            return 1
        remembered = self.product.place is Place.MEMORY and rom_in_blocks(self.folds, self.word_bits)
        return 2 if self.late or remembered else 1

    @property
    def latency(self) -> int:
        """Clocks from the choice of a result's last beat until the result is offered."""
        return self.fetch_clocks + (self.multipliers or self.sums).latency + 1


class FoldedStream(wiring.Component):
    """Folded products on streams: reads beats from the input, or from the vector that it keeps, in an `order`.

    `then`: a datapath behind the accumulators, without a handshake between.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, folded: Folded, order: Order | None = None, then: Datapath | None = None) -> None:
        self.folded, self.order, self.then = folded, order, then
        y_bits = folded.neurons * folded.y.bits if then is None else len(then.y)
        super().__init__({
            "i": In(stream.Signature(folded.lanes * folded.x.bits)), "o": Out(stream.Signature(y_bits))
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core = FoldedCircuit(self.folded)
        m.submodules.skid = skid = Skid(len(self.o.payload))
        m.submodules.core = EnableInserter(skid.run)(core)
        m.d.comb += core.run.eq(skid.run)
        connect(m, skid.o, flipped(self.o))
        if self.then is None:
            m.d.comb += [skid.issue.eq(core.issue), skid.data.eq(core.y)]
        else:
            m.submodules.then = EnableInserter(skid.run)(then := Chain(self.then, ahead=True))
            m.d.comb += [then.x.eq(core.y), then.valid.eq(core.issue), skid.data.eq(then.y), skid.issue.eq(then.issue)]
            gate(m, skid, then)
        if self.order is None:
            x = Signal(len(self.i.payload), reset_less=True)
            with m.If(skid.run):
                m.d.sync += x.eq(self.i.payload)
            m.d.comb += [core.x.eq(x), core.valid.eq(self.i.valid), self.i.ready.eq(skid.run)]
        else:
            m.submodules.replay = kept = replay(len(self.i.payload), self.order)
            connect(m, flipped(self.i), kept.i)
            m.d.comb += [core.x.eq(kept.x), core.valid.eq(kept.valid), core.last.eq(kept.last), kept.run.eq(skid.run)]
        return m


class FoldedCircuit(wiring.Component):
    """`valid` counts a beat, which is in `x` a clock later; `issue` says that `y` loads results at this clock.

    `last`: the beat ends a run; needed where runs differ in length. `run` is what enables the circuit as a whole: the
    registers of instances do not know by themselves.
    """

    valid: Signal
    last: Signal
    run: Signal
    x: Signal
    issue: Signal
    y: Signal

    def __init__(self, folded: Folded) -> None:
        self.folded = folded
        x_bits, y_bits = folded.lanes * folded.x.bits, folded.neurons * folded.y.bits
        control = {"valid": In(1), "last": In(1), "run": In(1), "issue": Out(1)}
        super().__init__({**control, "x": In(x_bits), "y": Out(y_bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        f = self.folded
        result, address, first, last = self._places(m)
        x = register(m, self.x, f.fetch_clocks - 1)
        clocks = f.latency - 1
        counted = Signal(clocks)
        m.d.sync += counted.eq(Cat(self.valid, counted))
        if f.multipliers and f.multipliers.accumulates:
            start, begins = f.starts.read(m, register(m, result, clocks - 2)), register(m, first, clocks - 1)
            y = f.multipliers.results(m, self._elements(x), address, start, begins, counted[-1], self.run)
            m.d.comb += self.y.eq(Cat(*y))
        else:
            start = f.starts.read(m, register(m, result, clocks - 1))
            self._accumulate(m, self._sums(m, x, address), start, register(m, first, clocks), counted[-1])
        m.d.comb += self.issue.eq(counted[-1] & register(m, last, clocks))
        return m

    def _places(self, m: Module) -> tuple[Value, Value, Value, Value]:
        """The result that the beat belongs to, the place of its weights, and whether it begins and ends a run."""
        f = self.folded
        if f.beats:
            (result, beat), (_, last) = counters(m, [f.results, f.beats], self.valid)
            power_of_two = f.beats & (f.beats - 1) == 0
            address = Cat(beat, result) if power_of_two else _counted(m, f.folds, self.valid)
            return result, address, beat == 0, last
        first = Signal(init=1)
        with m.If(self.valid):
            m.d.sync += first.eq(self.last)
        return _counted(m, f.results, self.valid & self.last), _counted(m, f.folds, self.valid), first, self.last

    def _elements(self, x: Value) -> list[Value]:
        bits = self.folded.x.bits
        return [element(x[k * bits : (k + 1) * bits], self.folded.x) for k in range(self.folded.lanes)]

    def _sums(self, m: Module, x: Value, address: Value) -> list[Value]:
        """Each neuron's part of its sum in this clock, from inputs and the place of their weights."""
        f = self.folded
        if f.multipliers:
            return f.multipliers.sums(m, self._elements(x), address, self.run)
        sums = f.sums
        if f.product.place is Place.MEMORY:
            y = Cat(self._neuron(m, x, w, k) for k, w in enumerate(self._weights(m, address)))
        else:
            m.submodules.sums = circuit = Circuit(sums.netlist, enabled=True)
            m.d.comb += [circuit.run.eq(self.run), circuit.x.eq(x)]  # type: ignore[attr-defined]
            if f.product.place is not Place.CONSTANT:
                m.d.comb += circuit.fold.eq(register(m, address, f.fetch_clocks))  # type: ignore[attr-defined]
            y = circuit.y  # type: ignore[attr-defined]
        ends = np.cumsum([0, *(fmt.bits for fmt in sums.formats * (f.neurons // len(sums.formats)))]).tolist()
        formats = sums.formats * (f.neurons // len(sums.formats))
        return [element(y[a:b], fmt) for fmt, a, b in zip(formats, ends, ends[1:], strict=False)]

    def _weights(self, m: Module, address: Value) -> list[Value]:
        """This clock's word of the weight memory, by neuron."""
        f = self.folded
        m.submodules.weights = rom = Rom(f.words(), f.word_bits)
        m.d.comb += rom.address.eq(address)
        word, bits = register(m, rom.data, f.fetch_clocks - 1), f.synapses * f.w.bits
        return [word[k * bits : (k + 1) * bits] for k in range(f.neurons)]

    def _neuron(self, m: Module, x: Value, w: Value, k: int) -> Value:
        """A neuron's sum as its code."""
        f = self.folded
        bits = f.synapses * f.x.bits
        bank = k // (f.neurons // f.banks)
        m.submodules[f"sum{k}"] = circuit = Circuit(f.sums.netlist, enabled=True)
        inputs = x[bank * bits : (bank + 1) * bits]
        m.d.comb += [circuit.run.eq(self.run), circuit.x.eq(inputs), circuit.w.eq(w)]  # type: ignore[attr-defined]
        return circuit.y  # type: ignore[attr-defined]

    def _accumulate(self, m: Module, sums: list[Value], start: list[Field], first: Value, go: Value) -> None:
        """The sums may wrap on the way: only the result must fit."""
        f, results = self.folded, []
        for value, begin in zip(sums, start, strict=True):
            total = Signal(f.y.bits - f.low_bits, reset_less=True)
            with m.If(go):
                m.d.sync += total.eq(Mux(first, begin, total) + (value << f.step_bits))
            results += [Const(f.low, f.low_bits), total]
        m.d.comb += self.y.eq(Cat(*results))


def _counted(m: Module, count: int, step: Value) -> Value:
    """How many steps there were, round and round."""
    (index,), _ = counters(m, [count], step)
    return index
