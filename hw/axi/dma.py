"""Read and write engines of a 64-bit HP port: frames that lie packed in memory, from and to any byte address.

Both: `go` starts a transfer of `frames` (>= 1) frames at `address`, where `done` is up and `stop` is not; `done` falls
and rises when the transfer has ended. `stop` (held) ends it: nothing new is asked for, what was asked for is drained,
a write with no byte enabled; then `idle` rises. `error`: memory answered with an error in this clock.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.bursts import Bursts
from hw.axi.packing import Packer, Unpacker
from hw.axi.registers import FRAMES_BITS
from hw.axi.signatures import HP_READ, HP_WRITE, INCR, WORD_BYTES
from hw.buffer import Buffer

OUTSTANDING = 8  # what an HP port takes: 128 words, more than its latency
_SIZE = WORD_BYTES.bit_length() - 1
_CACHE = 0b0011  # normal memory, neither cached nor buffered elsewhere: the response comes from memory

_COMMON = {
    "go": In(1), "stop": In(1), "address": In(32), "frames": In(FRAMES_BITS),
    "idle": Out(1), "done": Out(1), "error": Out(1),
}  # fmt: skip


class _Engine(wiring.Component):
    """What reading and writing share."""

    go: Signal
    stop: Signal
    address: Signal
    frames: Signal
    idle: Signal
    done: Signal
    error: Signal
    axi: wiring.PureInterface

    def __init__(self, beats: int, beat_bytes: int, ports: dict[str, wiring.Member]) -> None:
        self.beats, self.beat_bytes = beats, beat_bytes
        super().__init__({**_COMMON, **ports})

    def bursts(self, m: Module, channel: wiring.PureInterface, answered: Value) -> tuple[Bursts, Signal]:
        """Ask for the transfer's bursts on ar or aw, at most OUTSTANDING unanswered; and how many are."""
        m.submodules.bursts = bursts = Bursts(self.beats * self.beat_bytes)
        outstanding = Signal(range(OUTSTANDING + 1))
        room, asked = outstanding != OUTSTANDING, channel.payload
        m.d.comb += [
            bursts.go.eq(self.go), bursts.stop.eq(self.stop),
            bursts.address.eq(self.address), bursts.frames.eq(self.frames),
            channel.valid.eq(bursts.o.valid & room), bursts.o.ready.eq(channel.ready & room),
            asked.addr.eq(bursts.o.payload.addr), asked.len.eq(bursts.o.payload.len),
            asked.size.eq(_SIZE), asked.burst.eq(INCR), asked.cache.eq(_CACHE),
        ]  # fmt: skip
        m.d.sync += outstanding.eq(outstanding + (channel.valid & channel.ready) - answered)
        return bursts, outstanding

    def offset(self, m: Module) -> Signal:
        """Where in a word the transfer begins."""
        offset = Signal(3)
        with m.If(self.go):
            m.d.sync += offset.eq(self.address)
        return offset

    def count(self, m: Module, moved: Value) -> tuple[Signal, Signal]:
        """Whether beats of the transfer are still to move, and whether the next is the last of its frame."""
        left, beat = Signal(FRAMES_BITS), Signal(range(max(self.beats, 2)))
        some, at_last = Signal(), Signal()
        m.d.comb += [some.eq(left != 0), at_last.eq(beat == self.beats - 1)]
        with m.If(self.go | self.stop):
            m.d.sync += [left.eq(Mux(self.stop, 0, self.frames)), beat.eq(0)]
        with m.Elif(moved):
            m.d.sync += [beat.eq(Mux(at_last, 0, beat + 1)), left.eq(left - at_last)]
        return some, at_last


class ReadEngine(_Engine):
    """Memory -> the accelerator's beats of `beat_bytes`, `beats` a frame; `last` with a frame's last one."""

    o: stream.Interface
    last: Signal

    def __init__(self, beats: int, beat_bytes: int) -> None:
        ports = {"axi": Out(HP_READ), "o": Out(stream.Signature(8 * beat_bytes)), "last": Out(1)}
        super().__init__(beats, beat_bytes, ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        r, taken, exhausted = self.axi.r, Signal(), Signal()
        bursts, outstanding = self.bursts(m, self.axi.ar, taken & r.payload.last)
        m.submodules.words = words = Buffer(8 * WORD_BYTES)
        m.submodules.unpacker = unpacker = ResetInserter(self.go | self.stop)(Unpacker(self.beat_bytes))
        some, at_last = self.count(m, self.o.valid & self.o.ready)
        m.d.comb += [
            taken.eq(r.valid & r.ready), self.error.eq(taken & r.payload.resp[1]),
            words.i.valid.eq(r.valid), words.i.payload.eq(r.payload.data), r.ready.eq(words.i.ready),
            exhausted.eq(bursts.finished & (outstanding == 0) & ~words.o.valid),
            unpacker.offset.eq(self.offset(m)),
            unpacker.i.valid.eq(words.o.valid | exhausted), unpacker.i.payload.eq(words.o.payload),
            words.o.ready.eq(unpacker.i.ready | self.stop),
            self.o.payload.eq(unpacker.o.payload), self.last.eq(at_last),
            self.o.valid.eq(unpacker.o.valid & some), unpacker.o.ready.eq(self.o.ready & some),
            self.idle.eq(exhausted), self.done.eq(exhausted & ~some),
        ]  # fmt: skip
        return m


class WriteEngine(_Engine):
    """The accelerator's beats -> memory; `last` comes with the beats, `truncated` when it is not where it must be."""

    i: stream.Interface
    last: Signal
    truncated: Signal

    def __init__(self, beats: int, beat_bytes: int) -> None:
        ports = {"axi": Out(HP_WRITE), "i": In(stream.Signature(8 * beat_bytes)), "last": In(1), "truncated": Out(1)}
        super().__init__(beats, beat_bytes, ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        b, taken = self.axi.b, Signal()
        bursts, outstanding = self.bursts(m, self.axi.aw, b.valid)
        m.submodules.packer = packer = ResetInserter(self.go | self.stop)(Packer(self.beat_bytes))
        some, at_last = self.count(m, taken)
        m.d.comb += [
            b.ready.eq(1), self.error.eq(b.valid & b.payload.resp[1]),
            packer.offset.eq(self.offset(m)), packer.flush.eq(~some),
            packer.i.valid.eq(self.i.valid & some), packer.i.payload.eq(self.i.payload),
            self.i.ready.eq(packer.i.ready & some), taken.eq(self.i.valid & self.i.ready),
            self.truncated.eq(taken & (self.last != at_last)),
            self.idle.eq(bursts.finished & (outstanding == 0)), self.done.eq(self.idle & ~some),
        ]  # fmt: skip
        self._send(m, bursts, packer)
        return m

    def _send(self, m: Module, bursts: Bursts, packer: Packer) -> None:
        """Words of the packer, or empty ones behind `stop`, for bursts that were offered."""
        m.submodules.words = words = Buffer(len(self.axi.w.payload.as_value()))
        w, word, end = self.axi.w, data.View(self.axi.w.payload.shape(), words.i.payload), bursts.o.payload.end
        owed = Signal(range(-1, OUTSTANDING + 1))  # bursts accepted less bursts sent: data may go before the address is
        open_, final, sent, first = Signal(), Signal(), Signal(), Signal()
        place = Signal(4)
        accepted = self.axi.aw.valid & self.axi.aw.ready
        m.d.comb += [
            open_.eq((owed > 0) | ((owed == 0) & self.axi.aw.valid)),
            # The final burst is the last one offered, and its payload stays.
            final.eq(bursts.o.payload.final & (owed == Mux(bursts.o.valid, 0, 1))),
            words.i.valid.eq(open_ & (packer.o.valid | self.stop)),
            packer.o.ready.eq(open_ & words.i.ready),
            sent.eq(words.i.valid & words.i.ready),
            word.last.eq((place == 15) | (final & (place == end[3:]))),
            word.data.eq(packer.o.payload),
            word.strb.eq(Mux(self.stop, 0, _enabled(first, packer.offset, word.last & final, end[:3]))),
            w.valid.eq(words.o.valid), w.payload.eq(words.o.payload), words.o.ready.eq(w.ready),
        ]  # fmt: skip
        m.d.sync += owed.eq(owed + accepted - (sent & word.last))
        with m.If(self.go):
            m.d.sync += [place.eq(self.address[3:7]), first.eq(1)]
        with m.Elif(sent):
            m.d.sync += [place.eq(place + 1), first.eq(0)]


def _enabled(first: Value, begin: Value, at_end: Value, end: Value) -> Value:
    """The bytes of a word that belong to the transfer: from `begin` in the first word, to `end` in the last."""
    begun = [~first | (begin <= k) for k in range(WORD_BYTES)]
    not_past = [~at_end | (end >= k) for k in range(WORD_BYTES)]
    return Cat(a & b for a, b in zip(begun, not_past, strict=True))
