"""The counter behind an order in which not every pass reads all beats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from codesign.cost import Cost
from hw.arith.order import Order
from hw.copies import KEPT
from hw.fitted import fitted
from hw.loops import counter_cost, decreased, fold_counter, increased
from hw.rom import Fields, Rom


@dataclass(frozen=True)
class _Step:
    """One of a walk: its place in the table of beats, its pass, how many steps of the pass come after it."""

    place: int
    of: int
    left: int


class Walk(wiring.Component):
    """The steps of an order, round and round: `beat`, whether it is the `last` of its pass, whether it is the `end`.

    `following` and `ended`: the beat and the end of the next step; `coming`: the beat of the one behind it. All come
    from registers, and what is read of the tables goes straight into registers: no choice stands before a table, which
    synthesis would mix with it. There must be no `step` in the first clock after a reset.
    """

    step: Signal
    beat: Signal
    last: Signal
    end: Signal
    following: Signal
    ended: Signal
    coming: Signal

    def __init__(self, order: Order) -> None:
        self.order, beat = order, range(order.beats)
        flags = {"last": Out(1), "end": Out(1), "ended": Out(1)}
        beats = {"beat": Out(beat), "following": Out(beat), "coming": Out(beat)}
        super().__init__({"step": In(1), **beats, **flags})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beats, _ = self.order.patterns
        *soon, read, then = islice(_steps(self.order), 5)
        fetched = Signal()
        fetch = self.step | ~fetched
        place, at_ends = self._places(m, read, then, fetched)
        ends = Signal(2)
        with m.If(fetch):
            m.d.sync += ends.eq(at_ends)
        now = Cat(ends, _read(m, beats, place, fetch))
        current, following, coming = (Signal(len(now), init=int(beats[s.place]) << 2 | self._ends(s)) for s in soon)
        with m.If(self.step):
            m.d.sync += [current.eq(following), following.eq(coming), coming.eq(now)]
        m.d.sync += fetched.eq(1)
        m.d.comb += [Cat(self.last, self.end, self.beat).eq(current), self.coming.eq(coming[2:])]
        m.d.comb += Cat(self.ended, self.following).eq(following[1:])
        return m

    def _places(self, m: Module, begin: _Step, then: _Step, fetched: Value) -> tuple[Value, Value]:
        """The place of a step and its ends: `begin` after a reset, `then` a clock later, from there on by `step`."""
        passes, final, bits = _passes(self.order), self.order.passes - 1, _bits(self.order)
        # Two registers of the place: behind the carry chain of a counter synthesis would look for the table's logic.
        place, counted = (Signal(bits[0], init=begin.place, attrs=KEPT) for _ in range(2))
        left, of_final = Signal(bits[1], init=begin.left), Signal(init=begin.of == final)
        last = Signal(init=not begin.left)
        turn = ~fetched | (self.step & last)
        (number,) = fold_counter(m, turn, len(passes))
        words = np.roll(passes @ (1 << np.cumsum([0, *bits[:-1]])), -then.of - 1)  # the one behind `then` first
        following = _read(m, words, number, turn)
        with m.If(turn):
            first = Const(then.place | (then.left | (then.of == final) << bits[1]) << bits[0], sum(bits))
            word = Mux(fetched, following, first)
            m.d.sync += [Cat(counted, left, of_final).eq(word), place.eq(word), last.eq(word[bits[0] : -1] == 0)]
        with m.Elif(self.step):
            above = increased(counted)
            m.d.sync += [counted.eq(above), place.eq(above), left.eq(decreased(left)), last.eq(left == 1)]
        return place, Cat(last, last & of_final)

    def _ends(self, step: _Step) -> int:
        """Whether it is the last of its pass; twice: whether it is the end."""
        return 0 if step.left else 1 | (step.of == self.order.passes - 1) << 1


def _steps(order: Order) -> Iterator[_Step]:
    """Round and round."""
    _, first = order.patterns
    for of in cycle(range(order.passes)):
        yield from (_Step(int(first[of]) + k, of, int(order.runs[of]) - 1 - k) for k in range(order.runs[of]))


def _passes(order: Order) -> np.ndarray:
    """By pass: the place where it begins, how many steps come after its first, whether it is the last one."""
    _, first = order.patterns
    return np.stack([first, order.runs - 1, np.arange(order.passes) == order.passes - 1], axis=1)


def _bits(order: Order) -> tuple[int, int, int]:
    """Of such numbers, the place being any."""
    beats, _ = order.patterns
    return (len(beats) - 1).bit_length(), int(order.runs.max() - 1).bit_length(), 1


def _read(m: Module, words: np.ndarray, address: Value, enable: Value) -> Value:
    """words[address], as of the last clock with `enable`."""
    rom = Rom([int(w) for w in words], int(words.max()).bit_length())
    m.submodules += EnableInserter(enable)(rom)
    m.d.comb += rom.address.eq(address)
    return rom.data


def walk_cost(order: Order) -> Cost:
    """Of a Walk."""
    beats, passes = order.patterns[0], _passes(order)
    state = sum(_bits(order))
    tables = Fields([beats]).cost() + Fields(list(passes.T)).cost()
    held = 4 + state + (len(beats) - 1).bit_length() + 3 * (2 + (order.beats - 1).bit_length())
    own = Cost(lut=fitted("walk.bit") * state + fitted("walk.one"), ff=held)
    return tables + counter_cost(len(passes)) + own
