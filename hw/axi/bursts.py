"""How a transfer of whole frames falls into bursts."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.registers import FRAMES_BITS
from hw.axi.signatures import BURST_BYTES

_BLOCK_BITS = (BURST_BYTES - 1).bit_length()
_AHEAD = 2 * BURST_BYTES  # frames are counted on while a burst is offered

# addr: of the first 64-bit word; len: words less one; end: of the last byte, in its block; final: nothing follows.
BURST = data.StructLayout({"addr": 32, "len": 4, "end": _BLOCK_BITS, "final": 1})


class Bursts(wiring.Component):
    """`frames` frames of `frame_bytes` bytes from any `address`, cut where an aligned block of 128 bytes ends.

    So no burst has more than 16 beats, none crosses 4 KiB, and all but the final one run to the end of a block.
    `go` starts; `stop` forgets what was not offered yet. `o.payload` stays as it is behind the final burst.
    Bytes are counted frame by frame while they are used: no product, no wide counter, and no clock is lost, as the
    accelerator takes at least one for a frame.
    """

    go: Signal
    stop: Signal
    address: Signal
    frames: Signal
    o: stream.Interface
    finished: Signal

    def __init__(self, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        super().__init__(
            {
                "go": In(1), "stop": In(1), "address": In(32), "frames": In(FRAMES_BITS),
                "o": Out(stream.Signature(BURST)), "finished": Out(1),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pending = Signal(range(_AHEAD + self.frame_bytes))  # bytes of frames begun, not in a burst yet
        left, at = Signal(FRAMES_BITS), Signal(32)
        block, inside = at[_BLOCK_BITS:], at[:_BLOCK_BITS]
        room, fills, offer = Signal(range(BURST_BYTES + 1)), Signal(), Signal()
        end, taken, begun = Signal(_BLOCK_BITS), Signal.like(pending), Signal()
        m.d.comb += [
            self.finished.eq((pending == 0) & (left == 0) & ~self.o.valid),
            room.eq(BURST_BYTES - inside),
            fills.eq(pending >= room),
            taken.eq(Mux(fills, room, pending)),
            end.eq(Mux(fills, BURST_BYTES - 1, inside + pending - 1)),
            begun.eq((pending < _AHEAD) & (left != 0)),
            offer.eq((self.o.ready | ~self.o.valid) & (fills | ((pending != 0) & (left == 0)))),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.go):
            m.d.sync += [at.eq(self.address), left.eq(self.frames - 1), pending.eq(self.frame_bytes)]
        with m.Elif(self.stop):
            m.d.sync += [left.eq(0), pending.eq(0)]
        with m.Else():
            more = Mux(begun, self.frame_bytes, 0)
            m.d.sync += [pending.eq(pending + more - Mux(offer, taken, 0)), left.eq(left - begun)]
            with m.If(offer):
                burst = self.o.payload
                m.d.sync += [
                    self.o.valid.eq(1),
                    burst.addr.eq(Cat(Const(0, 3), at[3:])),
                    burst.len.eq(end[3:] - inside[3:]),
                    burst.end.eq(end),
                    burst.final.eq((left == 0) & (pending <= room)),
                    at.eq(Cat(Const(0, _BLOCK_BITS), block + 1)),
                ]
        return m
