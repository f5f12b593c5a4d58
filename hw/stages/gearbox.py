"""A stream's elements in narrower beats, or in wider ones that are no whole number of its own."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import stream

from codesign.cost import Cost
from hw.copies import EACH, groups_of, held
from hw.elastic import Datapath
from hw.ending import Ending
from hw.fitted import fitted
from hw.loops import rounds, table
from hw.pipeline import Stage
from hw.ways import choice_sites, chosen_in_parts, numbers_of


class Gearbox(Ending[Stage]):
    """Takes `taken` units a beat and gives `given`: windows of the beat at the input and the newest of those before it.

    Where it gives less than it takes, every step sends a window, and takes the beat when no other ends in it; else
    every step takes a beat, and sends the window that ends in it, if one does.
    """

    i: stream.Interface

    def __init__(self, stage: Stage, taken: int, given: int, then: Datapath | None) -> None:
        self.taken, self.given = taken, given
        super().__init__(stage, then)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taken, given, bits = self.taken, self.given, self.stage.outputs[0].beat_bits
        turns, own = numbers_of(bits, taken), _own_runs(bits, taken, given)
        buffer, both = self.ending(m, runs=own), Signal(init=_does_both(0, taken, given))
        runs = list(buffer.runs) if own else [buffer.i.ready]
        sends, takes = (Const(1), both) if given < taken else (both, Const(1))
        newest = self._newest(m, [self.i.valid & takes & (run | ~sends) for run in runs])
        sent = [self.i.valid & sends & runs[k * len(runs) // turns] for k in range(turns)]
        windows, steps = rounds(m, taken, sent), self.i.valid & (buffer.i.ready | ~sends)
        step = windows[0] if given < taken else rounds(m, given, [steps])[0]
        with m.If(steps):
            m.d.sync += both.eq(table(step, [_does_both(k + 1, taken, given) for k in range(max(taken, given))]))
        m.d.comb += [
            self.i.ready.eq(takes & (buffer.i.ready | ~sends)),
            buffer.i.valid.eq(self.i.valid & sends),
            buffer.i.payload.eq(self._window(m, newest, windows)),
        ]
        return m

    def _newest(self, m: Module, takes: Sequence[Value]) -> Value:
        """The beat at the input, and what a window that ends in it takes from those before."""
        before = Signal(_older(self.stage.outputs[0].beat_bits, self.given))
        newest = Cat(before, self.i.payload)
        m.d.comb += before.eq(held(m, newest[len(self.i.payload) :], takes))
        return newest

    def _window(self, m: Module, newest: Value, windows: Sequence[Signal]) -> Value:
        """The one to send next, each part of it by a number of its own."""
        bits = self.stage.outputs[0].beat_bits
        starts = [(_end(k, self.taken, self.given) - 1) * bits // self.given for k in range(self.taken)]
        return chosen_in_parts(m, [newest[start : start + bits] for start in starts], windows)


def gearbox_cost(bits: int, taken: int, given: int) -> Cost:
    """Of what is before the buffer of so many bits."""
    counter = (taken - 1).bit_length()
    lut = bits * choice_sites(taken) + fitted("narrower.counter bit") * counter + fitted("narrower.one")
    counters = counter * numbers_of(bits, taken) + (given > taken) * (given - 1).bit_length()
    made = Cost(lut=lut, ff=_older(bits, given) + _own_runs(bits, taken, given) + counters)
    return made + Cost(lut=fitted("gearbox.way") * bits * taken if given > 1 else 0, ff=1)


def _older(bits: int, given: int) -> int:
    """Bits of a window that can be from beats before the one in which it ends."""
    return bits // given * (given - 1)


def _own_runs(bits: int, taken: int, given: int) -> int:
    """Enables that all but the buffer takes, beside that one."""
    own = _older(bits, given) + (taken - 1).bit_length() * numbers_of(bits, taken)
    return groups_of(own) if bits + own > EACH else 0


def _end(k: int, taken: int, given: int) -> int:
    """Units of the beat at the input in which window k ends, up to its end: 1 .. taken."""
    return ((k + 1) * given - 1) % taken + 1


def _does_both(step: int, taken: int, given: int) -> int:
    """Whether a step sends and takes."""
    if given < taken:
        return int(_end(step, taken, given) + given > taken)
    return int(step * taken % given + taken >= given)
