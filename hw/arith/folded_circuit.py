"""The circuits of folded dot products: on streams, and by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from amaranth.hdl import Cat, Const, EnableInserter, Fragment, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.arith.folded import LOWER, Folded
from hw.arith.order import Order
from hw.arith.product import Place
from hw.arith.replay import replay
from hw.buffer import Skid
from hw.copies import branched, copies, groups_of, held, slices_of
from hw.dealt import Dealt
from hw.elastic import Chain, Datapath, gate
from hw.loops import counters_and_ends, fold_counter
from hw.netlist.circuit import Circuit
from hw.netlist.verilog import run_bits
from hw.ports import element, resize
from hw.register import register
from hw.rom import Field, Rom


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
        m.submodules.core = Fragment.get(core := FoldedCircuit(self.folded), platform)
        then = None if self.then is None else Chain(self.then, ahead=True)
        behind = Dealt(Module() if then is None else then, platform)
        own = groups_of(len(self.i.payload))  # of inputs
        sizes = self.folded.enables, len(core.control), 0 if then is None else behind.enables, own
        m.submodules.skid = skid = Skid(len(self.o.payload), sum(sizes))
        ends = np.cumsum([0, *sizes]).tolist()
        groups, control, after, inputs = (skid.runs[a:b] for a, b in pairwise(ends))
        m.d.comb += [core.run.eq(skid.run), core.runs.eq(groups), core.control.eq(control)]
        connect(m, skid.o, flipped(self.o))
        if then is None:
            m.d.comb += [skid.issue.eq(core.issue), skid.data.eq(core.y)]
        else:
            m.submodules.then = behind.enabled(list(after))
            m.d.comb += [then.x.eq(core.y), then.valid.eq(core.issue), skid.data.eq(then.y), skid.issue.eq(then.issue)]
            gate(m, skid, then)
        if self.order is None:
            x = held(m, self.i.payload, list(inputs))
            m.d.comb += [core.x.eq(x), core.valid.eq(self.i.valid), self.i.ready.eq(skid.run)]
        else:
            m.submodules.replay = kept = replay(len(self.i.payload), self.order)
            connect(m, flipped(self.i), kept.i)
            m.d.comb += [core.x.eq(kept.x), core.valid.eq(kept.valid), core.last.eq(kept.last)]
            m.d.comb += [kept.run.eq(skid.run), kept.enable.eq(inputs)]
        return m


class FoldedCircuit(wiring.Component):
    """`valid` counts a beat, which is in `x` a clock later; `issue` says that `y` loads results at this clock.

    `last`: the beat ends a run; needed where runs differ in length. `run` is what enables the circuit as a whole: the
    registers of instances do not know by themselves. `runs`: the same for groups of registers (Folded.enable_groups);
    `control`, once it is elaborated: for those that `run` would have too many of.
    """

    valid: Signal
    last: Signal
    run: Signal
    runs: Signal
    x: Signal
    issue: Signal
    y: Signal

    def __init__(self, folded: Folded) -> None:
        self.folded, self.control = folded, Signal(0)
        x_bits, y_bits = folded.lanes * folded.x.bits, folded.neurons * folded.y.bits
        control = {"valid": In(1), "last": In(1), "run": In(1), "runs": In(folded.enables)}
        super().__init__({**control, "issue": Out(1), "x": In(x_bits), "y": Out(y_bits)})

    def elaborate(self, platform: object) -> Module:
        self._outer, m = Module(), Module()
        f = self.folded
        result, address, first, last = self._places(m)
        x = held(self._outer, self.x, self._runs[0]) if f.fetch_clocks > 1 else self.x
        clocks = f.latency - 1
        counted, issue = Signal(clocks), Signal()
        m.d.sync += counted.eq(Cat(self.valid, counted))
        if f.multipliers and f.multipliers.accumulates:
            start, groups = self._starts(m, result, clocks - 2), groups_of(f.multipliers.count)
            goes = copies(m, Cat(self.valid, counted)[clocks - 1], groups)
            before = register(m, first, clocks - 2)
            firsts = [first] if f.beats == 1 else copies(m, before, groups, reset_less=True)
            places = self._multipliers_places(m, address)
            y = f.multipliers.results(m, self._elements(x), places, start, firsts, goes, self._runs[2])
            m.d.comb += self.y.eq(Cat(*y))
        else:
            summed = clocks - f.halves
            start = self._starts(m, result, summed - 1)
            goes = branched(m, Cat(self.valid, counted)[summed - 2], f.sum_groups)
            before = register(m, first, summed - 2)
            firsts = [first] * f.sum_groups if f.beats == 1 else branched(m, before, f.sum_groups, reset_less=True)
            self._accumulate(m, self._sums(m, x, address), start, firsts, goes)
        m.d.sync += issue.eq(Cat(self.valid, counted)[clocks - 1] & register(m, last, clocks - 1))
        m.d.comb += self.issue.eq(issue)
        timed = Dealt(m, platform)
        self.control = Signal(timed.enables - 1)
        self._outer.submodules.timed = timed.enabled([self.run, *self.control])
        return self._outer

    def _starts(self, m: Module, result: Value, clocks: int) -> list[Field]:
        """What the sums of a result begin with, so many clocks and one later."""
        count = self.folded.starts.addresses
        if count == 1 or not clocks:
            return self.folded.starts.read(m, [register(m, result, clocks)] * count)
        return self.folded.starts.read(m, copies(m, register(m, result, clocks - 1), count, reset_less=True))

    @property
    def _runs(self) -> list[list[Value]]:
        """By what they enable."""
        ends = np.cumsum([0, *self.folded.enable_groups]).tolist()
        return [list(self.runs[a:b]) for a, b in pairwise(ends)]

    def _places(self, m: Module) -> tuple[Value, Value, Value, Value]:
        """The result that the beat belongs to, the place of its weights, and whether it begins and ends a run."""
        f = self.folded
        if f.beats:
            (result, beat), (_, last) = counters_and_ends(m, [f.results, f.beats], self.valid)
            address = Cat(beat, result) if f.counts_places else _counted(m, f.folds, self.valid)
            return result, address, beat == 0, last
        first = Signal(init=1)
        with m.If(self.valid):
            m.d.sync += first.eq(self.last)
        return _counted(m, f.results, self.valid & self.last), _counted(m, f.folds, self.valid), first, self.last

    def _multipliers_places(self, m: Module, address: Value) -> Sequence[Value]:
        """The place of the weights as often as they are read by it: counted apart where that is often."""
        f = self.folded
        assert f.multipliers
        count = f.multipliers.addresses
        return [address] if count == 1 else fold_counter(m, self.valid, f.folds, count)

    def _elements(self, x: Value) -> list[Value]:
        bits = self.folded.x.bits
        return [element(x[k * bits : (k + 1) * bits], self.folded.x) for k in range(self.folded.lanes)]

    def _sums(self, m: Module, x: Value, address: Value) -> list[Value]:
        """Each neuron's part of its sum in this clock, from inputs and the place of their weights."""
        f = self.folded
        if f.multipliers:
            return f.multipliers.sums(m, self._elements(x), self._multipliers_places(m, address), self._runs[2])
        sums = f.sums
        if f.product.place is Place.MEMORY:
            y = Cat(self._neuron(m, x, w, k) for k, w in enumerate(self._weights(m, address)))
        else:
            m.submodules.sums = circuit = Circuit(sums.netlist, enabled=True)
            m.d.comb += [circuit.run.eq(Cat(*self._runs[2])), circuit.x.eq(x)]  # type: ignore[attr-defined]
            if f.product.place is not Place.CONSTANT:
                m.d.comb += circuit.fold.eq(register(m, address, f.fetch_clocks))  # type: ignore[attr-defined]
            y = circuit.y  # type: ignore[attr-defined]
        ends = np.cumsum([0, *(fmt.bits for fmt in sums.formats * (f.neurons // len(sums.formats)))]).tolist()
        formats = sums.formats * (f.neurons // len(sums.formats))
        return [element(y[a:b], fmt) for fmt, a, b in zip(formats, ends, ends[1:], strict=False)]

    def _weights(self, m: Module, address: Value) -> list[Value]:
        """This clock's word of the weight memory, by neuron."""
        f = self.folded
        parts, runs, bits = slices_of(f.word_bits, f.word_groups), self._runs[1], f.synapses * f.product.w.bits
        if f.weights_in_blocks:
            m.submodules.weights = rom = Rom(f.words(), f.word_bits)
            m.d.comb += rom.address.eq(address)
            word = held(self._outer, rom.data, runs)
        else:
            data: list[Value] = []
            for k, (part, place) in enumerate(zip(parts, copies(m, address, len(parts), reset_less=True), strict=True)):
                mask = (1 << (part.stop - part.start)) - 1
                rom = Rom([w >> part.start & mask for w in f.words()], part.stop - part.start)
                self._outer.submodules[f"weights{k}"] = EnableInserter(runs[k])(rom)
                m.d.comb += rom.address.eq(place)
                data.append(rom.data)
            word = Cat(*data)
        return [word[k * bits : (k + 1) * bits] for k in range(f.neurons)]

    def _neuron(self, m: Module, x: Value, w: Value, k: int) -> Value:
        """A neuron's sum as its code."""
        f = self.folded
        bits = f.synapses * f.x.bits
        bank = k // (f.neurons // f.banks)
        m.submodules[f"sum{k}"] = circuit = Circuit(f.sums.netlist, enabled=True)
        inputs, size = x[bank * bits : (bank + 1) * bits], run_bits(f.sums.netlist)
        runs = Cat(*self._runs[2][k * size : (k + 1) * size])
        m.d.comb += [circuit.run.eq(runs), circuit.x.eq(inputs), circuit.w.eq(w)]  # type: ignore[attr-defined]
        return circuit.y  # type: ignore[attr-defined]

    def _accumulate(
        self, m: Module, sums: list[Value], start: list[Field], firsts: Sequence[Value], goes: Sequence[Value]
    ) -> None:
        """The sums may wrap on the way: only the result must fit. Groups of them, each with its `first` and `go`."""
        f, results = self.folded, []
        for group, first, go in zip(slices_of(len(sums), len(goes)), firsts, goes, strict=True):
            later = (_delayed(m, go), register(m, first)) if f.halves else None
            for value, begin in zip(sums[group], start[group], strict=True):
                total = _total(m, f.total_bits, value << f.step_bits, begin, (go, first), later)
                results += [Const(f.low, f.low_bits), total]
        m.d.comb += self.y.eq(Cat(*results))


Control = tuple[Value, Value]  # of accumulators: whether they take what comes, and whether that is the first of a sum


def _total(m: Module, bits: int, value: Value, begin: Field, now: Control, later: Control | None) -> Value:
    """An accumulator: as a whole, or where there is a `later` in halves."""
    go, first = now
    if later is None:
        total = Signal(bits, reset_less=True)
        with m.If(go):
            m.d.sync += total.eq(Mux(first, begin, total) + value)
        return total
    term, start = resize(value, bits), resize(Value.cast(begin), bits)
    lower, carry, upper = (Signal(n, reset_less=True) for n in (LOWER, 1, bits - LOWER))
    with m.If(go):
        m.d.sync += Cat(lower, carry).eq(Mux(first, start[:LOWER], lower) + term[:LOWER])
    above, rest = register(m, start[LOWER:]), register(m, term[LOWER:])
    (go, first) = later
    with m.If(go):  # the carry of the lower half as one
        m.d.sync += upper.eq((Cat(1, Mux(first, above, upper)) + Cat(carry, rest)) >> 1)
    return Cat(register(m, lower), upper)


def _delayed(m: Module, value: Value) -> Signal:
    """A clock later."""
    later = Signal()
    m.d.sync += later.eq(value)
    return later


def _counted(m: Module, count: int, step: Value) -> Value:
    """How many steps there were, round and round."""
    return fold_counter(m, step, count)[0]
