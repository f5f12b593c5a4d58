"""A stage against its golden and its timing model, in Amaranth's simulator: what every stage's tests share.

`check_stage` compares words under stalls and after a reset in mid-frame and watches the stream rules;
`check_schedule` compares cycles.  A stage of several inputs takes one array (frames, *shape) for each.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import ResetInserter, Signal
from amaranth.lib import stream
from amaranth.sim import Simulator, SimulatorContext

from hw.flow import flow
from hw.pipeline import Stage, alone
from hw.rtl import verilog
from hw.stream import StreamType, pack, unpack

Frames = Sequence[np.ndarray]

SILENCE_CYCLES = 20_000  # a stage that moves no beat for so long is stuck


Seeds = Sequence[int | None]


def check_stage(stage: Stage, frames: Frames, seeds: Seeds = (None, 1, 2), reset: bool = True) -> None:
    """Assert golden == RTL, frames back to back; seed None never stalls; `reset` adds one in mid-frame.

    frames: one array (frames, *shape) per input of the stage, or for a stage of one input that array's list.
    """
    arrays = _per_input(stage, frames)
    wanted = stage.golden(*arrays)
    for value, out in zip(wanted, stage.outputs, strict=True):
        assert value.shape[1:] == out.shape and out.format.contains(value), f"golden leaves {out}"
    for seed in seeds:
        for cut in (False, True) if reset and seed is not None else (False,):
            got = Bench(stage, arrays, seed=seed, cut=cut).run()
            for port, out in enumerate(stage.outputs):
                what = f"{_name(stage)}: output {port}, seed {seed}, reset {cut}"
                _assert_equal(wanted[port], unpack(got[port].words(out), out), what)


def measure_schedule(stage: Stage, frames: Frames, arrive: Frames | None = None) -> list[np.ndarray]:
    """Cycles at which the RTL offers its output beats; input beat k waits at its port from arrive[k] on."""
    arrays = _per_input(stage, frames)
    arrive = arrive or steady(stage, len(arrays[0]))
    return [got.cycles() for got in Bench(stage, arrays, arrive=arrive).run()]


def check_schedule(stage: Stage, frames: Frames, seeds: Seeds = (None, 1)) -> None:
    """Assert that `schedule` gives the RTL's own cycles: for beats every cycle (None) and for random gaps.

    With gaps, assert the same of `flow` where readers stall at random.
    """
    count = len(_per_input(stage, frames)[0])
    for seed in seeds:
        arrive = steady(stage, count) if seed is None else ragged(stage, count, seed)
        measured = measure_schedule(stage, frames, arrive)
        for port, (m, s) in enumerate(zip(measured, stage.schedule(*arrive), strict=True)):
            _assert_equal(np.asarray(s), m, f"{stage}: cycles of output {port}, seed {seed}")
        if seed is not None:
            check_flow(stage, frames, seed)


def check_flow(stage: Stage, frames: Frames, seed: int) -> None:
    """Assert that `flow` gives the cycles in which the RTL takes and offers beats, its readers stalling at random."""
    arrays = _per_input(stage, frames)
    arrive = ragged(stage, len(arrays[0]), seed)
    bench = Bench(stage, arrays, seed=seed, arrive=arrive)
    offered = [got.cycles() for got in bench.run()]
    found = flow(stage, tuple(arrive), tuple(np.array(left) for left in bench.left))
    for k, (got, wanted) in enumerate(zip(bench.accepted, found.taken, strict=True)):
        while_it_ran = wanted[: len(got)]  # what no result needs may come after the last one
        _assert_equal(while_it_ran, np.array(got), f"{stage}: taken at input {k}, readers of seed {seed}")
    for k, (got, wanted) in enumerate(zip(offered, found.offered, strict=True)):
        _assert_equal(wanted, got, f"{stage}: offered at output {k}, readers of seed {seed}")


def steady(stage: Stage, frames: int) -> list[np.ndarray]:
    """Arrival times of a beat every cycle on every input."""
    return [np.arange(frames * i.beats, dtype=np.int64) for i in stage.inputs]


def ragged(stage: Stage, frames: int, seed: int) -> list[np.ndarray]:
    """Arrival times with random gaps, dense and sparse stretches alternating."""
    rng = np.random.default_rng(seed)
    gaps = [rng.integers(1, 1 + rng.choice([1, 2, 9], frames * i.beats)) for i in stage.inputs]
    return [np.cumsum(g, dtype=np.int64) - 1 for g in gaps]


def random_frames(stage: Stage, count: int, seed: int = 0) -> list[np.ndarray]:
    """Seeded frames within every input's format: all lowest, all highest, then random."""
    rng = np.random.default_rng(seed)
    arrays = []
    for i in stage.inputs:
        codes = rng.integers(0, 1 << i.format.bits, (count, *i.shape), dtype=np.uint64)
        values = np.clip(i.format.to_int(codes), i.format.lo, i.format.hi)
        values[:1], values[1:2] = i.format.lo, i.format.hi
        arrays.append(values)
    return arrays


def verilog_of(stage: Stage) -> str:
    """A stage of one input and output as a design of its own, module `accelerator`, with primitives for synthesis."""
    return verilog(alone(stage))


def every_frame(stream_type: StreamType) -> np.ndarray:
    """All frames of a stream: (2 ** bits, *shape), for exhaustive comparison of small stages."""
    bits = stream_type.size * stream_type.format.bits
    assert bits <= 16, f"{stream_type} has too many frames"
    codes = np.arange(1 << bits, dtype=np.uint64)[:, None] >> (
        np.arange(stream_type.size, dtype=np.uint64) * np.uint64(stream_type.format.bits)
    )
    values = stream_type.format.to_int(codes & np.uint64((1 << stream_type.format.bits) - 1))
    legal = np.all((values >= stream_type.format.lo) & (values <= stream_type.format.hi), axis=1)
    return values[legal].reshape(-1, *stream_type.shape)


Offer = tuple[int, int]  # the cycle in which a beat was first offered, and its payload


@dataclass
class Taken:
    """The beats that left an output, with the cycle in which each was first offered."""

    beats: list[Offer]

    def words(self, out: StreamType) -> np.ndarray:
        width = -(-out.beat_bits // 32) * 4
        octets = b"".join(payload.to_bytes(width, "little") for _, payload in self.beats)
        return np.frombuffer(octets, dtype="<u4").reshape(-1, out.beats, width // 4)

    def cycles(self) -> np.ndarray:
        return np.array([cycle for cycle, _ in self.beats], dtype=np.int64)


class Bench:
    """One simulation: sends the frames, stalls at random (seed), gathers and checks every output beat."""

    def __init__(
        self, stage: Stage, arrays: Frames, seed: int | None = None, cut: bool = False,
        arrive: Frames | None = None,
    ) -> None:  # fmt: skip
        self.name = _name(stage)
        self.sent = [_beats(a, i) for a, i in zip(arrays, stage.inputs, strict=True)]
        self.wanted = [len(arrays[0]) * out.beats for out in stage.outputs]
        self.cut, self.arrive = cut, arrive
        self.random = random.Random(seed)
        count = len(stage.inputs) + len(stage.outputs)
        self.flow = [1.0 if seed is None else self.random.choice([0.15, 0.5, 0.9, 1.0]) for _ in range(count)]
        component = stage.rtl()
        self.reset = Signal()
        self.circuit = ResetInserter(self.reset)(component)
        self.i = _ports(component, "i", len(stage.inputs))
        self.o = _ports(component, "o", len(stage.outputs))
        self.taken: list[Taken] = []
        self.accepted: list[list[int]] = []  # cycles in which each input's beats were taken
        self.left: list[list[int]] = []  # and each output's

    def run(self) -> list[Taken]:
        """Simulate until every wanted beat has come, and 20 cycles longer to see that no other follows."""
        simulator = Simulator(self.circuit)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self._bench)
        simulator.run()
        came = [len(t.beats) for t in self.taken]
        assert came == self.wanted, f"{self.name}: {came} beats came, {self.wanted} were wanted"
        return self.taken

    async def _bench(self, ctx: SimulatorContext) -> None:
        if self.cut:
            await self._traffic(ctx, self.random.randrange(1, 2 * max(map(len, self.sent))))
            ctx.set(self.reset, 1)
            await ctx.tick("sync")
            ctx.set(self.reset, 0)
        await self._traffic(ctx, None)

    async def _traffic(self, ctx: SimulatorContext, cycles: int | None) -> None:
        """Drive all ports for some cycles (None: until all is through)."""
        self.taken = [Taken([]) for _ in self.o]
        self.accepted, self.left = [[] for _ in self.i], [[] for _ in self.o]
        next_beat, offering = [0] * len(self.i), [False] * len(self.i)
        since: list[Offer | None] = [None] * len(self.o)
        cycle, quiet, tail = 0, 0, 20
        while cycle != cycles and tail:
            for k, port in enumerate(self.i):
                offering[k] = offering[k] or self._offers(k, next_beat[k], cycle)
                ctx.set(port.valid, offering[k])
                ctx.set(port.payload, self.sent[k][next_beat[k]] if offering[k] else 1)
            stops = [self.random.random() >= f for f in self.flow[len(self.i) :]]
            for port, stop in zip(self.o, stops, strict=True):
                ctx.set(port.ready, not stop)
            quiet += 1
            for k, port in enumerate(self.i):
                if offering[k] and ctx.get(port.ready):
                    next_beat[k], offering[k], quiet = next_beat[k] + 1, False, 0
                    self.accepted[k].append(cycle)
            for k, port in enumerate(self.o):
                since[k], moved = self._collect(ctx, k, port, stops[k], since[k], cycle)
                if moved:
                    quiet = 0
                    self.left[k].append(cycle)
            came = [len(t.beats) for t in self.taken]
            tail -= all(c >= w for c, w in zip(came, self.wanted, strict=True))
            assert quiet < SILENCE_CYCLES, f"{self.name}: no beat moves; {came} of {self.wanted} came"
            await ctx.tick("sync")
            cycle += 1
        for port in self.i:
            ctx.set(port.valid, 0)

    def _offers(self, k: int, beat: int, cycle: int) -> bool:
        """Whether input k starts to offer its next beat in this cycle."""
        if beat >= len(self.sent[k]):
            return False
        if self.arrive is not None:
            return bool(cycle >= self.arrive[k][beat])
        return self.random.random() < self.flow[k]

    def _collect(
        self,
        ctx: SimulatorContext,
        k: int,
        port: stream.Interface,
        stop: bool,
        since: Offer | None,
        cycle: int,
    ) -> tuple[Offer | None, bool]:
        """Watch one output in one cycle: the offer still open after it, and whether a beat moved."""
        if not ctx.get(port.valid):
            assert since is None, f"{self.name}: output {k} withdrew `valid` in cycle {cycle}"
            return None, False
        payload = ctx.get(port.payload)
        offer = since or (cycle, payload)
        assert offer[1] == payload, f"{self.name}: output {k} changed a waiting payload in cycle {cycle}"
        if stop:
            return offer, False
        self.taken[k].beats.append(offer)
        return None, True


def _per_input(stage: Stage, frames: Frames) -> list[np.ndarray]:
    """One array (frames, *shape) per input."""
    ranks = [len(i.shape) + 1 for i in stage.inputs]
    if [np.ndim(f) for f in frames] == ranks:
        return [np.asarray(f, dtype=np.int64) for f in frames]
    assert len(stage.inputs) == 1, "a stage of several inputs takes one array (frames, *shape) for each"
    return [np.asarray(frames, dtype=np.int64).reshape(-1, *stage.inputs[0].shape)]


def _beats(values: np.ndarray, stream_type: StreamType) -> list[int]:
    """Values (frames, *shape) -> the payload of every beat."""
    words = pack(values, stream_type)
    octets = words.astype("<u4").reshape(-1, words.shape[-1]).view(np.uint8)
    return [int.from_bytes(beat.tobytes(), "little") for beat in octets]


def _name(stage: Stage) -> str:
    """What a message calls a stage."""
    return f"{type(stage).__name__} of {', '.join(map(str, stage.inputs))}"


def _ports(component: object, letter: str, count: int) -> list[stream.Interface]:
    names: Iterator[str] = iter([letter]) if count == 1 else (f"{letter}{k}" for k in range(count))
    return [getattr(component, name) for name in names]


def _assert_equal(wanted: np.ndarray, got: np.ndarray, what: str) -> None:
    if not np.array_equal(wanted, got):
        where = tuple(int(k) for k in np.argwhere(wanted != got)[0])
        raise AssertionError(f"{what}: at {where} wanted {wanted[where]}, got {got[where]}")
