"""Between the words of memory and the beats of the accelerator, at any byte alignment.

A beat is `beat_bytes` bytes and beats follow each other without gaps, so a beat begins at any byte of a word. A step a
clock moves up to a word: of a beat of more than a word the last step moves what is left of it.
"""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.signatures import WORD_BYTES

_WORD_BITS = 8 * WORD_BYTES


class _Steps:
    """Counts the steps of a beat; `size`: bytes that this step moves; `place`: byte of the word where it begins."""

    def __init__(self, m: Module, beat_bytes: int, offset: Value) -> None:
        self.count = -(-beat_bytes // WORD_BYTES)
        rest = beat_bytes - (self.count - 1) * WORD_BYTES
        self.number, self.moved = Signal(range(max(self.count, 2))), Signal(3)
        self.at_last, self.place, self.past = Signal(), Signal(3), Signal(4)
        m.d.comb += [
            self.at_last.eq(self.number == self.count - 1),
            self.place.eq(offset + self.moved),
            self.past.eq(self.place + Mux(self.at_last, rest, WORD_BYTES)),
        ]
        self.offset = offset

    def advance(self, m: Module) -> None:
        m.d.sync += [
            self.number.eq(Mux(self.at_last, 0, self.number + 1)),
            self.moved.eq(self.past[:3] - self.offset),
        ]


class Unpacker(wiring.Component):
    """Words from memory -> beats; the first beat begins at byte `offset` of the first word.

    A beat comes when the word behind its last byte has come too: offer any word behind the last.
    """

    offset: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, beat_bytes: int) -> None:
        self.beat_bytes = beat_bytes
        word, beat = stream.Signature(_WORD_BITS), stream.Signature(8 * beat_bytes)
        super().__init__({"offset": In(3), "i": In(word), "o": Out(beat)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps = _Steps(m, self.beat_bytes, self.offset)
        before, some = Signal(_WORD_BITS, reset_less=True), Signal()
        beat = Signal(steps.count * _WORD_BITS, reset_less=True)
        both, step = Cat(before, self.i.payload), Signal()
        word_at = Array(both[8 * k : 8 * k + _WORD_BITS] for k in range(WORD_BYTES))
        m.d.comb += [
            step.eq(some & self.i.valid & (self.o.ready | ~self.o.valid)),
            self.i.ready.eq(~some | (step & steps.past[3])),
            self.o.payload.eq(beat),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [before.eq(self.i.payload), some.eq(1)]
        with m.If(step):
            steps.advance(m)
            m.d.sync += [beat.eq(Cat(beat[_WORD_BITS:], word_at[steps.place])), self.o.valid.eq(steps.at_last)]
        return m


class Packer(wiring.Component):
    """Beats -> words of memory; the first beat goes to byte `offset` of the first word, bytes before it are anything.

    `flush`: offer the word that is not full yet, and words of anything behind it.
    """

    offset: Signal
    flush: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, beat_bytes: int) -> None:
        self.beat_bytes = beat_bytes
        word, beat = stream.Signature(_WORD_BITS), stream.Signature(8 * beat_bytes)
        super().__init__({"offset": In(3), "flush": In(1), "i": In(beat), "o": Out(word)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps = _Steps(m, self.beat_bytes, self.offset)
        held, step = Signal(_WORD_BITS, reset_less=True), Signal()
        piece, turned, word = Signal(_WORD_BITS), Signal(_WORD_BITS), Signal(_WORD_BITS)
        pieces = Array(self.i.payload[k * _WORD_BITS : (k + 1) * _WORD_BITS] for k in range(steps.count))
        # The piece with its first byte at its place; what leaves at the top comes in at the bottom.
        turns = Array(Cat(piece, piece)[_WORD_BITS - 8 * k : 2 * _WORD_BITS - 8 * k] for k in range(WORD_BYTES))
        lanes = [Mux(steps.place > k, held[8 * k : 8 * k + 8], turned[8 * k : 8 * k + 8]) for k in range(WORD_BYTES)]
        full = steps.past[3]
        m.d.comb += [
            piece.eq(pieces[steps.number]),
            turned.eq(turns[steps.place]),
            word.eq(Cat(lanes)),
            self.o.payload.eq(word),
            self.o.valid.eq((self.i.valid & full) | self.flush),
            step.eq(self.i.valid & (self.o.ready | ~full)),
            self.i.ready.eq(step & steps.at_last),
        ]
        with m.If(step):
            steps.advance(m)
            m.d.sync += held.eq(Mux(full, turned, word))
        return m
