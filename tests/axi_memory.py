"""The processing system's memory behind its HP ports: stalls at random, answers chosen addresses with errors.

Asserts the AXI3 rules that a slave can see.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from amaranth.sim import SimulatorContext

BASE = 0x1000_0000
SIZE = 1 << 16


@dataclass
class Ram:
    """Bytes from BASE on; `bad(address)`: an access to this word gives an error response."""

    seed: int
    stall: float = 0.3
    latency: int = 6
    data: bytearray = field(default_factory=lambda: bytearray(SIZE))
    bad: Callable[[int], bool] = lambda address: False
    frozen: bool = False  # takes and gives nothing


class Sender:
    """A channel whose sender is the design: random ready, and the rules of waiting."""

    def __init__(self, name: str, channel: Any, rng: random.Random, ram: Ram) -> None:
        self.name, self.channel, self.rng, self.ram = name, channel, rng, ram
        self.signals = (channel.valid, channel.ready, channel.payload.as_value())
        self.waiting: int | None = None

    def drive(self, ctx: SimulatorContext, ready: bool = True) -> None:
        ctx.set(self.channel.ready, ready and not self.ram.frozen and self.rng.random() >= self.ram.stall)

    def observe(self, valid: int, ready: int, payload: int) -> Any:
        """What was taken in this clock, as the layout's fields; None when nothing was."""
        if self.waiting is not None:
            assert valid, f"{self.name}: valid dropped"
            assert payload == self.waiting, f"{self.name}: payload changed while waiting"
        self.waiting = payload if valid and not ready else None
        if not (valid and ready):
            return None
        layout = self.channel.payload.shape()
        return {n: (payload >> f.offset) & ((1 << f.width) - 1) for n, f in layout}


class Receiver:
    """A channel whose receiver is the design: what is queued is offered after a random time."""

    def __init__(self, channel: Any, rng: random.Random, ram: Ram) -> None:
        self.channel, self.rng, self.ram = channel, rng, ram
        self.signals = (channel.valid, channel.ready)
        self.queue: deque[tuple[int, dict[str, int]]] = deque()  # (not before this clock, fields)
        self.offered = False

    def drive(self, ctx: SimulatorContext, clock: int) -> None:
        ripe = bool(self.queue) and self.queue[0][0] <= clock and not self.ram.frozen
        if not self.offered and ripe and self.rng.random() >= self.ram.stall:
            self.offered = True
            for name, value in self.queue[0][1].items():
                ctx.set(self.channel.payload[name], value)
        ctx.set(self.channel.valid, self.offered)

    def observe(self, valid: int, ready: int) -> None:
        if valid and ready:
            self.queue.popleft()
            self.offered = False


class HpPort:
    """Serves channels ar, r or aw, w, b of the design from a Ram, in order."""

    def __init__(self, read: Any, write: Any, ram: Ram, seed: int) -> None:
        rng = random.Random(seed)
        self.ram, self.clock = ram, 0
        self.senders = [
            Sender("ar", read.ar, rng, ram),
            Sender("aw", write.aw, rng, ram),
            Sender("w", write.w, rng, ram),
        ]
        self.r, self.b = Receiver(read.r, rng, ram), Receiver(write.b, rng, ram)
        self.addresses: deque[dict[str, int]] = deque()
        self.beats: list[dict[str, int]] = []
        self.sent: deque[list[dict[str, int]]] = deque()
        self.reads = self.writes = self.most_reads = 0
        self.signals = [s for part in (*self.senders, self.r, self.b) for s in part.signals]
        # A slave may wait for data before it takes an address: a master may not rely on the contrary.
        self.waits_for_data = rng.random() < 0.5

    def drive(self, ctx: SimulatorContext) -> None:
        ar, aw, w = self.senders
        ar.drive(ctx)
        unmatched = len(self.sent) + bool(self.beats) > 0
        aw.drive(ctx, not self.waits_for_data or unmatched)
        w.drive(ctx)
        self.r.drive(ctx, self.clock)
        self.b.drive(ctx, self.clock)
        self.clock += 1

    def observe(self, values: list[int]) -> None:
        taken = [s.observe(*values[3 * k : 3 * k + 3]) for k, s in enumerate(self.senders)]
        self.r.observe(*values[9:11])
        self.b.observe(*values[11:13])
        if taken[0] is not None:
            self._read(taken[0])
        if taken[1] is not None:
            _check_address(taken[1])
            self.addresses.append(taken[1])
        if taken[2] is not None:
            self._take(taken[2])
        while self.addresses and self.sent:
            self._write(self.addresses.popleft(), self.sent.popleft())
        self.most_reads = max(self.most_reads, sum(f["last"] for _, f in self.r.queue))

    def _read(self, asked: dict[str, int]) -> None:
        _check_address(asked)
        self.reads += 1
        for k in range(asked["len"] + 1):
            at = asked["addr"] - BASE + 8 * k
            word = int.from_bytes(self.ram.data[at : at + 8], "little")
            bad = self.ram.bad(asked["addr"] + 8 * k)
            fields = {"id": asked["id"], "data": word, "resp": 2 * bad, "last": int(k == asked["len"])}
            self.r.queue.append((self.clock + self.ram.latency, fields))

    def _take(self, beat: dict[str, int]) -> None:
        self.beats.append(beat)
        if beat["last"]:
            self.sent.append(self.beats)
            self.beats = []
        assert len(self.sent) + bool(self.beats) <= 1 + len(self.addresses), "w: data without an address"

    def _write(self, asked: dict[str, int], beats: list[dict[str, int]]) -> None:
        self.writes += 1
        assert len(beats) == asked["len"] + 1, f"w: last after {len(beats)} of {asked['len'] + 1} beats"
        bad = False
        for k, beat in enumerate(beats):
            assert beat["id"] == asked["id"], "w: ID is not the burst's"
            at = asked["addr"] + 8 * k
            bad |= self.ram.bad(at)
            for lane in range(8):
                if beat["strb"] >> lane & 1 and not self.ram.bad(at):
                    self.ram.data[at - BASE + lane] = beat["data"] >> 8 * lane & 0xFF
        self.b.queue.append((self.clock + self.ram.latency, {"id": asked["id"], "resp": 2 * bad}))


def _check_address(asked: dict[str, int]) -> None:
    """The AXI3 rules of an address that the engines can break."""
    assert asked["size"] == 3 and asked["burst"] == 1 and asked["lock"] == 0
    assert asked["addr"] % 8 == 0
    assert asked["addr"] % 4096 + 8 * (asked["len"] + 1) <= 4096, "burst crosses 4 KiB"
