"""Dot products folded over time: a part of them a clock, summed in accumulators, weights from a ROM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from codesign.formats import Format
from hw.arith import dot
from hw.arith.replay import Replay
from hw.arith.tree import register
from hw.buffer import Skid
from hw.elastic import Chain, Datapath
from hw.loops import counters
from hw.rom import Field, Fields, Rom, rom_in_blocks
from hw.stream import StreamType, pack


@dataclass(frozen=True, eq=False)
class Folded:
    """Every `beats` beats of x make one result of each neuron.

    weights (folds, neurons, synapses), in the order of use; bias (folds / beats, neurons). The neurons are split
    evenly into `banks`, and so are the lanes of x: a bank's neurons read its `synapses` lanes. With one fold the
    weights are constants in the logic. `late`: x comes a clock later than it has to.
    """

    x: Format
    w: Format
    weights: np.ndarray
    bias: np.ndarray
    beats: int
    y: Format
    banks: int = 1
    late: bool = False

    @property
    def folds(self) -> int:
        return self.weights.shape[0]

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
    def constants(self) -> list[dot.ConstantNeuron]:
        """The neurons where there is one fold; else empty."""
        return dot.constant_neurons(self.weights[0], self.neurons // self.banks) if self.folds == 1 else []

    @cached_property
    def initial(self) -> np.ndarray:
        """What each sum starts from (folds / beats, neurons): bias, and what the circuits leave out."""
        columns = self.weights.reshape(-1, self.beats, self.neurons, self.synapses)
        columns = columns.transpose(0, 1, 3, 2).reshape(len(columns), -1, self.neurons)
        if self.constants:
            return self.bias + dot.constant_correction(self.x, columns)
        return self.bias + dot.variable_correction(self.x, self.w, columns)

    @property
    def low_bits(self) -> int:
        """Low bits that all results have in common, and that the accumulators leave out."""
        return dot.unit_bits(self.x) if len(np.unique(self.initial % 2)) == 1 else 0

    @property
    def low(self) -> int:
        """These bits."""
        return int(self.initial[0, 0]) & self.low_bits

    @property
    def step_bits(self) -> int:
        """The power of two, in units of the accumulators, that a one of the circuits' sums is worth."""
        return dot.unit_bits(self.x) - self.low_bits

    @property
    def starts(self) -> Fields:
        """The accumulators' first values, by result fold."""
        return Fields((self.initial >> self.low_bits).T)

    @cached_property
    def depth(self) -> dot.Depth:
        """Registers between the weights and the accumulators."""
        if self.constants:
            return dot.constant_depth(self.constants, self.x, self.synapses)
        return dot.variable_depth(self.x, self.w, self.synapses)

    @property
    def fetch_clocks(self) -> int:
        """From the choice of a beat until it and its weights are in registers: block RAM needs a second one."""
        return 2 if self.late or (self.folds > 1 and rom_in_blocks(self.folds, self.word_bits)) else 1

    @property
    def latency(self) -> int:
        """Clocks from the choice of a result's last beat until the result is offered."""
        return self.fetch_clocks + self.depth.latency + 1


class FoldedStream(wiring.Component):
    """Folded products on streams: reads beats from the input, or from the vector that it keeps for `passes`.

    `then`: a datapath behind the accumulators, without a handshake between.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, folded: Folded, passes: int = 1, then: Datapath | None = None) -> None:
        self.folded, self.passes, self.then = folded, passes, then
        y_bits = folded.neurons * folded.y.bits if then is None else len(then.y)
        super().__init__({
            "i": In(stream.Signature(folded.lanes * folded.x.bits)), "o": Out(stream.Signature(y_bits))
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core = FoldedCircuit(self.folded)
        m.submodules.skid = skid = Skid(len(self.o.payload))
        m.submodules.core = EnableInserter(skid.run)(core)
        connect(m, skid.o, flipped(self.o))
        if self.then is None:
            m.d.comb += [skid.issue.eq(core.issue), skid.data.eq(core.y)]
        else:
            m.submodules.then = EnableInserter(skid.run)(then := Chain(self.then, ahead=True))
            m.d.comb += [then.x.eq(core.y), then.valid.eq(core.issue), skid.data.eq(then.y), skid.issue.eq(then.issue)]
        if self.passes == 1:
            x = Signal(len(self.i.payload), reset_less=True)
            with m.If(skid.run):
                m.d.sync += x.eq(self.i.payload)
            m.d.comb += [core.x.eq(x), core.valid.eq(self.i.valid), self.i.ready.eq(skid.run)]
        else:
            m.submodules.replay = kept = Replay(len(self.i.payload), self.folded.beats, self.passes)
            connect(m, flipped(self.i), kept.i)
            m.d.comb += [core.x.eq(kept.x), core.valid.eq(kept.valid), kept.run.eq(skid.run)]
        return m


class FoldedCircuit(wiring.Component):
    """`valid` counts a beat, which is in `x` a clock later; `issue` says that `y` loads results at this clock."""

    valid: Signal
    x: Signal
    issue: Signal
    y: Signal

    def __init__(self, folded: Folded) -> None:
        self.folded = folded
        x_bits, y_bits = folded.lanes * folded.x.bits, folded.neurons * folded.y.bits
        super().__init__({"valid": In(1), "x": In(x_bits), "issue": Out(1), "y": Out(y_bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        f = self.folded
        (fold, beat), (_, last) = counters(m, [f.folds // f.beats, f.beats], self.valid)
        x = dot.raw(register(m, self.x, f.fetch_clocks - 1), f.x, f.lanes)
        sums = self._sums(m, x, self._weights(m, fold, beat))
        clocks = f.latency - 1
        counted = Signal(clocks)
        m.d.sync += counted.eq(Cat(self.valid, counted))
        start = f.starts.read(m, register(m, fold, clocks - 1))
        self._accumulate(m, sums, start, register(m, beat == 0, clocks), counted[-1])
        m.d.comb += self.issue.eq(counted[-1] & register(m, last, clocks))
        return m

    def _weights(self, m: Module, fold: Signal, beat: Signal) -> list[Value]:
        """This clock's words of the weight memory, by neuron and synapse; none where they are constants."""
        f = self.folded
        if f.constants:
            return []
        m.submodules.weights = rom = Rom(f.words(), f.word_bits)
        m.d.comb += rom.address.eq(_address(m, f, fold, beat, self.valid))
        return dot.raw(register(m, rom.data, f.fetch_clocks - 1), f.w, f.neurons * f.synapses)

    def _sums(self, m: Module, x: list[Value], weights: list[Value]) -> list[Value]:
        """Each neuron's part of its sum in this clock."""
        f = self.folded
        sums, size = [], f.neurons // f.banks
        for bank in range(f.banks):
            inputs = x[bank * f.synapses : (bank + 1) * f.synapses]
            ours = range(bank * size, (bank + 1) * size)
            if f.constants:
                neurons = [dot.wired(f.constants[n], inputs, f.x) for n in ours]
            else:
                split = (weights[n * f.synapses : (n + 1) * f.synapses] for n in ours)
                neurons = [dot.variable_neuron(inputs, w, f.x, f.w) for w in split]
            sums += dot.dot_products(m, inputs, f.x, neurons, f.depth)
        return sums

    def _accumulate(self, m: Module, sums: list[Value], start: list[Field], first: Value, go: Value) -> None:
        """The sums may wrap on the way: only the result must fit."""
        f, results = self.folded, []
        for value, begin in zip(sums, start, strict=True):
            total = Signal(f.y.bits - f.low_bits, reset_less=True)
            with m.If(go):
                m.d.sync += total.eq(Mux(first, begin, total) + (value << f.step_bits))
            results += [Const(f.low, f.low_bits), total]
        m.d.comb += self.y.eq(Cat(*results))


def _address(m: Module, folded: Folded, fold: Signal, beat: Signal, step: Value) -> Value:
    """Counts the folds."""
    if folded.beats & (folded.beats - 1) == 0:
        return Cat(beat, fold)
    (address,), _ = counters(m, [folded.folds], step)
    return address
