"""The cocotb bench of every design: frames back to back, random stalls, a reset in mid-frame.

It stands alone in BUILD/sim: numpy, cocotb, cocotbext-axi and what ../manifest.json and ../vectors say. Environment:
CODESIGN_BUILD the build folder; CODESIGN_VECTORS words to send in place of BUILD/vectors (golden words that are not
there are not compared); CODESIGN_STALLS "seed,idle,pressure"; CODESIGN_RESULTS a file (.npz) for the words and cycles.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

BUILD = Path(os.environ.get("CODESIGN_BUILD") or Path(__file__).parents[1])
VECTORS = Path(os.environ.get("CODESIGN_VECTORS") or BUILD / "vectors")
RTL = json.loads((BUILD / "manifest.json").read_text())["rtl"]
SEED, IDLE, PRESSURE = (float(x) for x in os.environ.get("CODESIGN_STALLS", "1,0.25,0.25").split(","))
WATCHDOG_CYCLES = 100_000
DRAIN_CYCLES = 64  # after the last expected beat, in which no further one may come


@cocotb.test()
async def frames_back_to_back(dut: Any) -> None:
    """Every word equal without stalls; latency and interval in cycles."""
    bench = await Bench.start(dut)
    await bench.send_all()
    bench.report_timing()
    bench.compare()


@cocotb.test()
@cocotb.parametrize(extra_seed=[0, 1])
async def random_stalls(dut: Any, extra_seed: int) -> None:
    """Every word equal with idle gaps on the inputs and back-pressure on the outputs."""
    bench = await Bench.start(dut)
    bench.stall(int(SEED) + extra_seed)
    await bench.send_all()
    bench.compare()


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After resets with beats in every stage, the whole batch comes out right."""
    bench = await Bench.start(dut)
    bench.stall(int(SEED))
    for part in (0.3, 0.5, 0.8):  # several, as state that survives may hit the start of a frame by chance
        await bench.send_until(max(1, int(part * bench.beats_in())))
        await bench.reset()
    await bench.send_all()
    bench.compare()


@dataclass
class Stream:
    """One observed stream: its signals, the words that it should and did carry, and the cycle of every beat."""

    entry: dict[str, Any]
    name: str
    source: str
    valid: Any
    ready: Any
    data: Any
    bits: int
    golden: np.ndarray | None
    beats_seen: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)

    def observe(self, cycle: int) -> bool:
        """Note the beat that the coming clock edge transfers, if there is one."""
        if not (self.valid.value and self.ready.value):
            return False
        self.beats_seen.append(int(self.data.value))
        self.cycles.append(cycle)
        return True

    def words(self, frames: int) -> np.ndarray:
        """uint32 words (frames, beats, words) of the first `frames` frames."""
        count, size = frames * self.entry["beats"], -(-self.bits // 32)
        seen = self.beats_seen[:count]
        assert len(seen) == count, f"{self.name} carried {len(seen)} of {count} beats"
        raw = b"".join(beat.to_bytes(4 * size, "little") for beat in seen)
        return np.frombuffer(raw, "<u4").astype(np.uint32).reshape(frames, -1, size)

    def waits(self) -> str:
        state = {(1, 0): "blocked", (0, 1): "empty", (0, 0): "idle", (1, 1): "moving"}
        return f"{self.name} is {state[int(self.valid.value), int(self.ready.value)]} after {len(self.cycles)} beats"


class Bench:
    """The design with its drivers and one observer of all its streams."""

    def __init__(self, dut: Any) -> None:
        self.dut, self.clock, self.reset_n = dut, getattr(dut, RTL["clock"]), getattr(dut, RTL["reset"])
        self.inputs = [_port(dut, e, golden("inputs", k)) for k, e in enumerate(RTL["inputs"])]
        self.outputs = [_port(dut, e, golden("outputs", k)) for k, e in enumerate(RTL["outputs"])]
        self.edges = [_edge(dut, e, golden("edges", e["index"])) for e in RTL["edges"]]
        self.sources = [self._driver(AxiStreamSource, e) for e in RTL["inputs"]]
        self.sinks = [self._driver(AxiStreamSink, e) for e in RTL["outputs"]]
        self.cycle = self.quiet = 0
        self.frames = len(_present(self.inputs[0].golden))

    def _driver(self, kind: type, entry: dict[str, Any]) -> Any:
        bus = AxiStreamBus.from_prefix(self.dut, entry["port"])
        driver = kind(bus, self.clock, self.reset_n, reset_active_level=False)
        driver.log.setLevel("WARNING")
        return driver

    @classmethod
    async def start(cls, dut: Any) -> Bench:
        """The clock running, the design reset, every stream observed."""
        getattr(dut, RTL["reset"]).value = 0
        bench = cls(dut)
        Clock(bench.clock, 10, unit="ns").start()
        await bench.reset()
        cocotb.start_soon(bench._observe())
        return bench

    async def reset(self) -> None:
        """Reset for a few cycles; what was on its way is forgotten."""
        self.reset_n.value = 0
        await ClockCycles(self.clock, 4)
        for driver in [*self.sources, *self.sinks]:
            driver.clear()
        for stream in [*self.inputs, *self.outputs, *self.edges]:
            stream.beats_seen.clear()
            stream.cycles.clear()
        self.reset_n.value = 1
        self.cycle = self.quiet = 0

    async def _observe(self) -> None:
        """Sample all streams before every clock edge; fail when nothing moves for long."""
        streams = [*self.inputs, *self.outputs, *self.edges]
        while True:
            await RisingEdge(self.clock)
            if not self.reset_n.value:
                continue
            moved = [s.observe(self.cycle) for s in streams]
            self.cycle += 1
            self.quiet = 0 if any(moved) else self.quiet + 1
            assert self.quiet < WATCHDOG_CYCLES or self._complete(), self._stalled()

    def _complete(self) -> bool:
        return all(len(s.cycles) >= self.frames * s.entry["beats"] for s in [*self.inputs, *self.outputs])

    def _stalled(self) -> str:
        streams = [*self.inputs, *self.edges, *self.outputs]
        return f"the design stalled at cycle {self.cycle}: " + "; ".join(s.waits() for s in streams)

    def stall(self, seed: int) -> None:
        """Independent idle gaps and back-pressure on every port."""
        for k, source in enumerate(self.sources):
            source.set_pause_generator(stalls(f"{seed} source {k}", IDLE))
        for k, sink in enumerate(self.sinks):
            sink.set_pause_generator(stalls(f"{seed} sink {k}", PRESSURE))

    def beats_in(self) -> int:
        """Input beats of the whole batch."""
        return self.frames * sum(s.entry["beats"] for s in self.inputs)

    def _queue_all(self) -> None:
        for source, stream in zip(self.sources, self.inputs, strict=True):
            octets = np.ascontiguousarray(_present(stream.golden).astype("<u4")).view(np.uint8)
            for frame in octets[..., : stream.bits // 8]:
                source.send_nowait(frame.tobytes())

    async def send_until(self, beats: int) -> None:
        """Send the batch until the design accepted that many input beats."""
        self._queue_all()
        while sum(len(s.cycles) for s in self.inputs) < beats:
            await RisingEdge(self.clock)

    async def send_all(self) -> None:
        """Send the batch, receive every frame, and wait for beats that should not come."""
        self._queue_all()
        for _ in range(self.frames):
            for sink, stream in zip(self.sinks, self.outputs, strict=True):
                frame = await sink.recv()
                beats = len(frame.tdata) * 8 // stream.bits
                assert beats == stream.entry["beats"], f"{stream.name}: tlast after {beats} beats"
        while not self._complete():  # inputs whose last beats the outputs do not need
            await RisingEdge(self.clock)
        await ClockCycles(self.clock, DRAIN_CYCLES)
        self._check_counts()
        self._save()

    def _check_counts(self) -> None:
        for s in self.outputs:
            assert len(s.cycles) == self.frames * s.entry["beats"], f"{s.name} sent more than its frames"

    def timing(self) -> tuple[np.ndarray, np.ndarray]:
        """For every frame, the cycle of its first input beat and of its last output beat."""
        count = self.frames
        first = [s.cycles[: count * s.entry["beats"] : s.entry["beats"]] for s in self.inputs]
        last = [s.cycles[s.entry["beats"] - 1 :: s.entry["beats"]] for s in self.outputs]
        return np.min(first, axis=0), np.max(last, axis=0)

    def report_timing(self) -> None:
        first, last = self.timing()
        apart = np.diff(last)[(self.frames - 1) // 2 :]
        interval = f", interval {apart.max()} cycles" if len(apart) else ""
        cocotb.log.info(f"latency {last[0] - first[0] + 1} cycles{interval} ({self.frames} frames)")

    def _save(self) -> None:
        path = os.environ.get("CODESIGN_RESULTS")
        if path:
            first, last = self.timing()
            outputs = {f"outputs_{k}": s.words(self.frames) for k, s in enumerate(self.outputs)}
            edges = {f"edges_{s.entry['index']}": s.words(self.frames) for s in self.edges}
            np.savez(path, first_in=first, last_out=last, **outputs, **edges)

    def compare(self) -> None:
        """AssertionError that names the first stage, frame, element and values that differ."""
        for stream in [*self.edges, *self.outputs]:
            if stream.golden is not None:
                _compare(stream, stream.words(len(stream.golden)), stream.golden)


def _compare(stream: Stream, got: np.ndarray, want: np.ndarray) -> None:
    wrong = np.argwhere((got != want).any(axis=-1))
    if not len(wrong):
        return
    frame, beat = (int(k) for k in wrong[0])
    pairs = list(zip(decode(stream.entry, got[frame, beat]), decode(stream.entry, want[frame, beat]), strict=True))
    lane = next((k for k, (g, w) in enumerate(pairs) if g != w), None)
    where = f"first difference at {stream.name}, made by '{stream.source}': frame {frame}, beat {beat}"
    assert lane is not None, f"{where}: the bits above the elements differ"
    index = beat * stream.entry["lanes"] + lane
    raise AssertionError(f"{where}, element {index} is {pairs[lane][0]}, should be {pairs[lane][1]}")


def decode(entry: dict[str, Any], beat: np.ndarray) -> list[int]:
    """The element values of a beat's words."""
    bits, word = entry["element_bits"], sum(int(w) << (32 * k) for k, w in enumerate(beat))
    codes = [(word >> (k * bits)) & ((1 << bits) - 1) for k in range(entry["lanes"])]
    if entry["binary"]:
        return [2 * c - 1 for c in codes]
    return [c - (1 << bits) if entry["signed"] and c >> (bits - 1) else c for c in codes]


def stalls(seed: str, rate: float) -> Iterator[bool]:
    """True in cycles to stall; phases without stalls, with even stalls and with bursts, `rate` on average."""
    rng = random.Random(seed)
    while True:
        length = rng.randint(1, 64 if rng.randrange(8) else 1024)
        now = rng.choice([0.0, rate, rate, 2 * rate])
        for _ in range(length):
            yield rng.random() < now


def golden(kind: str, k: int) -> np.ndarray | None:
    """The words of a vector file, None when there is no such file."""
    path = VECTORS / f"{kind}_{k}.npy"
    return np.load(path) if path.exists() else None


def _present(words: np.ndarray | None) -> np.ndarray:
    assert words is not None, f"{VECTORS} has no inputs_K.npy for every input"
    return words


def _port(dut: Any, entry: dict[str, Any], words: np.ndarray | None) -> Stream:
    valid, ready, data = (getattr(dut, f"{entry['port']}_t{s}") for s in ("valid", "ready", "data"))
    return Stream(entry, f"port '{entry['name']}'", entry["name"], valid, ready, data, entry["port_bits"], words)


def _edge(dut: Any, entry: dict[str, Any], words: np.ndarray | None) -> Stream:
    valid, ready, data = (getattr(dut, f"edge{entry['index']}_{s}") for s in ("valid", "ready", "data"))
    name = f"edge {entry['index']} ({entry['source']} -> {entry['target']})"
    return Stream(entry, name, entry["source"], valid, ready, data, entry["data_bits"], words)
