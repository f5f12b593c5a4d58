"""A vector kept while it is read several times, and the next one taken meanwhile."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from codesign.cost import Cost
from hw.loops import counters, counters_cost
from hw.memory import ram, ram_cost
from hw.timing import serve


class Replay(wiring.Component):
    """Reads each vector of `beats` beats `passes` times: while `valid` and `run`, `x` is the beat a clock later.

    Two vectors fit, so that the second is written while the first is read; a beat can be read in the clock
    after it was taken. `i.ready` comes from registers only.
    """

    i: stream.Interface
    valid: Signal
    run: Signal
    x: Signal

    def __init__(self, bits: int, beats: int, passes: int) -> None:
        self.bits, self.beats, self.passes = bits, beats, passes
        super().__init__({"i": In(stream.Signature(bits)), "valid": Out(1), "run": In(1), "x": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ram = memory = ram(replay_depth(self.beats), self.bits)
        write, read = memory.write_port(), memory.read_port()
        full = Signal(2)
        taken, step = self.i.valid & self.i.ready, self.valid & self.run
        (written,), (wrote,) = counters(m, [self.beats], taken)
        (_, reading), (released, _) = counters(m, [self.passes, self.beats], step)
        into, out_of = _toggle(m, taken & wrote), _toggle(m, step & released)
        m.d.comb += [
            self.i.ready.eq(~full.bit_select(into, 1)),
            self.valid.eq(full.bit_select(out_of, 1) | ((into == out_of) & (reading < written))),
            write.addr.eq(Cat(written, into)), write.data.eq(self.i.payload), write.en.eq(taken),
            read.addr.eq(Cat(reading, out_of)), read.en.eq(self.run), self.x.eq(read.data),
        ]  # fmt: skip
        filled = Mux(taken & wrote, Cat(~into, into), 0)
        emptied = Mux(step & released, Cat(~out_of, out_of), 0)
        m.d.sync += full.eq((full | filled) & ~emptied)
        return m


def _toggle(m: Module, when: Value) -> Signal:
    """Which of the two halves: the other one from `when` on."""
    half = Signal()
    m.d.sync += half.eq(half ^ when)
    return half


def replay_depth(beats: int) -> int:
    """Words of the memory: two halves, each a power of two."""
    return 2 << (beats - 1).bit_length()


def replay_times(arrive: np.ndarray, beats: int, passes: int) -> tuple[np.ndarray, np.ndarray]:
    """Arrival times (vectors * beats) -> times of the writes, and of the reads (vectors * passes * beats)."""
    vectors = arrive.reshape(-1, beats)
    writes = np.empty_like(vectors)
    reads = np.empty((len(vectors), passes * beats), dtype=np.int64)
    wrote, read, released = -1, -1, [-1, -1]  # the last beat's times; when each half became free
    for k, vector in enumerate(vectors):
        first = np.maximum(vector, 0)
        first[0] = max(first[0], wrote + 1, released[k % 2] + 1)
        writes[k] = written = serve(first)
        ready = np.concatenate([written + 1, np.full((passes - 1) * beats, written[-1] + 1)])
        ready[0] = max(ready[0], read + 1)
        reads[k] = serve(ready)
        wrote, read = written[-1], reads[k, -1]
        released[k % 2] = read
    return writes.reshape(-1), reads.reshape(-1)


def replay_cost(bits: int, beats: int, passes: int) -> Cost:
    """Of a Replay, its output register included."""
    half = (beats - 1).bit_length()
    control = counters_cost([beats]) + counters_cost([passes, beats]) + Cost(lut=9 + half / 2, ff=4)
    return control + ram_cost(replay_depth(beats), bits)
