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


def replay_reads(arrive: np.ndarray, beats: int, passes: int) -> np.ndarray:
    """Arrival times (vectors * beats) -> when each pass over each vector reads its last beat (vectors, passes)."""
    starts = _read_starts(_ready_starts(arrive, beats)[:, -1], beats, passes)
    return starts[:, None] + np.arange(1, passes + 1) * beats - 1


def replay_writes(arrive: np.ndarray, beats: int, passes: int) -> np.ndarray:
    """Arrival times (vectors * beats) -> times of the writes; a vector waits until its half has been read."""
    ready = _ready_starts(arrive, beats)
    freed = np.zeros(len(ready), np.int64)
    freed[2:] = _read_starts(ready[:, -1], beats, passes)[:-2] + passes * beats
    starts = serve(np.maximum(ready[:, -1], freed), beats)
    freed[1:] = np.maximum(freed[1:], starts[:-1] + beats)
    return (np.maximum(ready, freed[:, None]) + np.arange(beats)).reshape(-1)


def _ready_starts(arrive: np.ndarray, beats: int) -> np.ndarray:
    """When a vector would have to start so that its beats up to this one, one a clock, are all there."""
    vectors = np.maximum(arrive, 0).reshape(-1, beats)
    return np.maximum.accumulate(vectors - np.arange(beats), axis=1)


def _read_starts(ready: np.ndarray, beats: int, passes: int) -> np.ndarray:
    """When the reading of each vector starts, as if its first pass had no gap: a clock behind its writing.

    Only arrivals and reading itself ever hold it up: with two passes or more, a vector whose writing waits for its
    half, or for the one before it, is there before the reader is.
    """
    return serve(ready + 1, passes * beats)


def replay_cost(bits: int, beats: int, passes: int) -> Cost:
    """Of a Replay, its output register included."""
    half = (beats - 1).bit_length()
    control = counters_cost([beats]) + counters_cost([passes, beats]) + Cost(lut=9 + half / 2, ff=4)
    return control + ram_cost(replay_depth(beats), bits)
