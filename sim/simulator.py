"""Runs a built design: frames in, frames out, with the cycle of every frame."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.errors import CheckFailed, UserError
from sim.design import Design, EdgePort, StreamPort
from sim.stalls import NO_STALLS, Stalls

_INPUT, _OUTPUT, _EDGE = 0, 1, 2
_RUNNING, _DONE, _STALLED, _WRONG_LAST, _EXTRA_BEAT, _NOT_HELD = range(6)
_SLICE_S = 0.2  # how long one call into the harness lasts, about: progress and Ctrl-C wait for it
WATCHDOG_CYCLES = 1_000_000


class Stalled(CheckFailed):
    """No handshake anywhere for too long; the message names the ports and edges that wait."""


class ProtocolError(CheckFailed):
    """The design broke a stream rule; the message names the port or edge, frame and beat."""


@dataclass(frozen=True)
class SimResult:
    """Words (frames, beats, words) of every output and tapped edge; cycles count from the end of reset.

    first_in_cycle and last_out_cycle: for every frame the cycle of its first accepted input beat (of the earliest
    input) and of its last accepted output beat (of the latest output). cycles: until the last beat of the run.
    """

    outputs: tuple[np.ndarray, ...]
    first_in_cycle: np.ndarray
    last_out_cycle: np.ndarray
    cycles: int
    edges: dict[int, np.ndarray] | None

    @property
    def latency_cycles(self) -> int:
        """Of the first frame: from its first input beat to its last output beat, both cycles counted."""
        return int(self.last_out_cycle[0] - self.first_in_cycle[0]) + 1

    @property
    def interval_cycles(self) -> int | None:
        """Between the last output beats of consecutive frames, the most in the second half of the run.

        None with fewer than two frames. Means something in a run without stalls only.
        """
        distances = np.diff(self.last_out_cycle)
        return int(distances[len(distances) // 2 :].max()) if len(distances) else None


class _Fault(ctypes.Structure):
    _fields_ = (  # as in harness.cpp
        ("kind", ctypes.c_int32), ("index", ctypes.c_int32), ("frame", ctypes.c_uint64), ("beat", ctypes.c_uint64),
    )  # fmt: skip


@dataclass(frozen=True)
class Simulator:
    """A design and its built library; every run starts from power-up. Made by sim.verilator.build."""

    design: Design
    library: Path
    waves: Path | None
    taps: bool

    def run(
        self, inputs: Sequence[np.ndarray], frames: int, stalls: Stalls | None = None,
        reset_after: int | None = None, progress: Callable[[int, int], None] | None = None,
        watchdog_cycles: int = WATCHDOG_CYCLES,
    ) -> SimResult:  # fmt: skip
        """Send `frames` frames of words (frames, beats, words) back to back and collect what comes out.

        reset_after: reset after that many accepted input beats, then send everything from the start.
        progress(frames done, frames). Raises Stalled or ProtocolError.
        """
        if frames < 1:
            raise ValueError("a run needs at least one frame")
        return _Run(self, inputs, frames, stalls or NO_STALLS).complete(reset_after, progress, watchdog_cycles)


class _Run:
    """One run of the harness: owns the C++ object and the arrays that it fills."""

    def __init__(self, simulator: Simulator, inputs: Sequence[np.ndarray], frames: int, stalls: Stalls) -> None:
        self.simulator, self.design, self.frames, self.stalls = simulator, simulator.design, frames, stalls
        self.edge_ports: tuple[EdgePort, ...] = self.design.edges if simulator.taps else ()
        self.inputs = [_checked(w, p, frames) for w, p in zip(inputs, self.design.inputs, strict=True)]
        self.outputs = [np.zeros((frames, p.beats, p.words), np.uint32) for p in self.design.outputs]
        self.edges = [np.zeros((frames, p.beats, p.words), np.uint32) for p in self.edge_ports]
        self.first_in = np.zeros((len(self.inputs), frames), np.uint64)
        self.last_out = np.zeros((len(self.outputs), frames), np.uint64)

    def complete(
        self, reset_after: int | None, progress: Callable[[int, int], None] | None, watchdog: int
    ) -> SimResult:
        self.c = _open(self.simulator.library)
        self.handle = ctypes.c_void_p(self.c.sim_new())
        try:
            if self.simulator.waves is not None:
                self._trace(self.simulator.waves)
            self._connect()
            self.c.sim_start(self.handle, watchdog, self._reset_beat(reset_after), self.stalls.seed)
            self._run(progress)
        finally:
            self.c.sim_delete(self.handle)
        return self._result()

    def _trace(self, path: Path) -> None:
        try:
            path.touch()
        except OSError as e:
            raise UserError(f"cannot write {path}: {e.strerror}") from None
        self.c.sim_trace(self.handle, str(path).encode())

    def _reset_beat(self, reset_after: int | None) -> int:
        """0 is never; more beats than the run has would silently test nothing."""
        beats = self.frames * sum(p.beats for p in self.design.inputs)
        if reset_after is not None and not 0 < reset_after < beats:
            raise ValueError(f"reset_after={reset_after} is outside 1 .. {beats - 1} accepted input beats")
        return reset_after or 0

    def _connect(self) -> None:
        for k, words in enumerate(self.inputs):
            self._stream(_INPUT, k, words, self.first_in[k], self.stalls.idle)
        for k, words in enumerate(self.outputs):
            self._stream(_OUTPUT, k, words, self.last_out[k], self.stalls.pressure)
        for k, words in enumerate(self.edges):
            self._stream(_EDGE, k, words, None, 0.0)

    def _stream(self, kind: int, k: int, words: np.ndarray, stamps: np.ndarray | None, rate: float) -> None:
        seed = (self.stalls.seed * 1_000_003 + kind * 1009 + k) % (1 << 64)
        at = stamps.ctypes.data if stamps is not None else None
        self.c.sim_stream(self.handle, kind, k, self.frames, words.ctypes.data, at, seed, rate)

    def _run(self, progress: Callable[[int, int], None] | None) -> None:
        cycles, status = 1000, _RUNNING
        while status == _RUNNING:
            start = time.perf_counter()
            status = self.c.sim_run(self.handle, cycles)
            took = time.perf_counter() - start
            cycles = max(1000, min(4 * cycles, int(cycles * _SLICE_S / max(took, 1e-6))))
            if progress is not None:
                progress(self._frames_done(), self.frames)
        if status == _STALLED:
            raise Stalled(self._waiting())
        if status != _DONE:
            raise ProtocolError(self._broken_rule(status))

    def _frames_done(self) -> int:
        return min(self._done(_OUTPUT, k) // p.beats for k, p in enumerate(self.design.outputs))

    def _done(self, kind: int, k: int) -> int:
        return self.c.sim_done(self.handle, kind, k)

    def _result(self) -> SimResult:
        first, last = self.first_in.min(axis=0), self.last_out.max(axis=0)
        edges = {p.index: w for p, w in zip(self.edge_ports, self.edges, strict=True)}
        return SimResult(
            tuple(self.outputs), first.astype(np.int64), last.astype(np.int64), int(last.max()) + 1,
            edges if self.simulator.taps else None,
        )  # fmt: skip

    def _broken_rule(self, status: int) -> str:
        fault = _Fault()
        self.c.sim_fault(self.handle, ctypes.byref(fault))
        where = f"frame {fault.frame}, beat {fault.beat}"
        if fault.kind == _EDGE:
            return f"{_edge_name(self.edge_ports[fault.index])} withdrew or changed a waiting beat at {where}"
        port = self.design.outputs[fault.index]
        name = f"output '{port.name}' ({port.port})"
        if status == _EXTRA_BEAT:
            return f"{name} sent a beat after the last of its {self.frames} frames"
        if status == _NOT_HELD:
            return f"{name} withdrew or changed a waiting beat at {where}"
        should = "set" if fault.beat + 1 == port.beats else "clear"
        return f"{name}: tlast should be {should} at {where} of {port.beats} beats"

    def _waiting(self) -> str:
        """Which ports and edges wait, and for what, when nothing moves any more."""
        lines = [*self._waiting_ports(), *self._waiting_edges()]
        cycle = self.c.sim_cycle(self.handle)
        hint = "" if self.simulator.taps else "; build with taps to see the internal edges"
        return f"the design stalled at cycle {cycle}: " + "; ".join(lines) + hint

    def _waiting_ports(self) -> list[str]:
        lines = []
        for k, p in enumerate(self.design.inputs):
            if self._done(_INPUT, k) < self.frames * p.beats:
                lines.append(f"input '{p.name}' is not accepted after {self._at(_INPUT, k, p.beats)}")
        for k, p in enumerate(self.design.outputs):
            if self._done(_OUTPUT, k) < self.frames * p.beats:
                lines.append(f"output '{p.name}' sends nothing after {self._at(_OUTPUT, k, p.beats)}")
        return lines

    def _waiting_edges(self) -> list[str]:
        """Blocked: valid and not ready. Starved: ready and not valid, with beats still to come."""
        lines = []
        for k, e in enumerate(self.edge_ports):
            valid, ready = (self.c.sim_handshake(self.handle, _EDGE, k) >> b & 1 for b in (0, 1))
            if valid and not ready:
                lines.append(f"{_edge_name(e)} is blocked after {self._at(_EDGE, k, e.beats)}")
            elif not valid and self._done(_EDGE, k) < self.frames * e.beats:
                lines.append(f"{_edge_name(e)} is empty after {self._at(_EDGE, k, e.beats)}")
        return lines

    def _at(self, kind: int, k: int, beats: int) -> str:
        frame, beat = divmod(self._done(kind, k), beats)
        return f"frame {frame}, {beat} of {beats} beats"


def _edge_name(edge: EdgePort) -> str:
    return f"edge {edge.index} ({edge.source} -> {edge.target})"


def _checked(words: np.ndarray, port: StreamPort, frames: int) -> np.ndarray:
    """The words as the harness reads them: uint32, C order, the right shape."""
    want = (frames, port.beats, port.words)
    if words.shape != want or words.dtype != np.uint32:
        raise ValueError(f"input '{port.name}' takes uint32 words {want}, got {words.dtype} {words.shape}")
    return np.ascontiguousarray(words)


def _open(library: Path) -> ctypes.CDLL:
    """The library with its function types declared."""
    c = ctypes.CDLL(str(library))
    pointer, u64, i32 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int32
    c.sim_new.restype = pointer
    c.sim_run.restype = i32
    c.sim_run.argtypes = (pointer, u64)
    c.sim_start.argtypes = (pointer, u64, u64, u64)
    c.sim_stream.argtypes = (pointer, i32, i32, u64, pointer, pointer, u64, ctypes.c_double)
    c.sim_done.restype = u64
    c.sim_cycle.restype = u64
    c.sim_handshake.restype = i32
    return c
