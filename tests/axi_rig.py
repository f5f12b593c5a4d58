"""The shell and bridge in Amaranth's simulator, between a model of memory and one of the GP0 port's master."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Elaboratable, Module, ResetInserter, Signal
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator, SimulatorContext

from codesign.formats import Int
from hw.axi.bridge import Bridge
from hw.axi.registers import by_name, register_map
from hw.axi.shell import Port, Shell
from hw.stages.fifo import Fifo
from hw.stages.width import Width
from hw.stream import StreamType
from tests.axi_memory import HpPort, Ram

IDENTITY = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210


class Rig(Elaboratable):
    """A shell around one queue a pair of input and output, whose frames of `frame_bytes` bytes pass unchanged.

    `late`: mark the last beat of a frame one beat too late.
    """

    def __init__(self, frame_bytes: int, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        self.frame_bytes = frame_bytes
        self.ports = [[Port(frame_bytes // b, b) for b in side] for side in (inputs, outputs)]
        self.shell, self.bridge = Shell(self.ports[0], self.ports[1], IDENTITY), Bridge()
        self.registers = by_name(register_map(len(inputs), len(outputs)))
        self.late = Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.shell, m.submodules.bridge = shell, _ = self.shell, self.bridge
        connect(m, self.bridge.lite, shell.lite)
        for k, (source, target) in enumerate(zip(*self.ports, strict=True)):
            stream = StreamType((self.frame_bytes,), Int(0, 255), source.beat_bytes)
            queue = ResetInserter(shell.clear)(Fifo(stream, 4).rtl())
            width = ResetInserter(shell.clear)(Width(stream, target.beat_bytes).rtl())
            m.submodules[f"queue{k}"], m.submodules[f"width{k}"] = queue, width
            connect(m, queue.o, width.i)
            self._join(m, getattr(shell, f"s{k}"), queue.i)
            self._join(m, width.o, getattr(shell, f"m{k}"))
            beat = Signal(range(target.beats + 1))
            m.d.comb += getattr(shell, f"last{k}").eq(beat == target.beats - 1 + self.late)
            with m.If(width.o.valid & width.o.ready):
                m.d.sync += beat.eq(beat + 1)
                with m.If(getattr(shell, f"last{k}")):
                    m.d.sync += beat.eq(0)
            with m.If(shell.clear):
                m.d.sync += beat.eq(0)
        return m

    def _join(self, m: Module, source: Any, target: Any) -> None:
        m.d.comb += [target.payload.eq(source.payload), target.valid.eq(source.valid), source.ready.eq(target.ready)]


class Cpu:
    """GP0's master: one access at a time, with random pauses; counts the accesses."""

    def __init__(self, ctx: SimulatorContext, rig: Rig, seed: int) -> None:
        self.ctx, self.rig, self.axi = ctx, rig, rig.bridge.axi
        self.rng, self.accesses = random.Random(seed), 0

    async def write(self, name: str, value: int) -> None:
        await self.write_burst(self.rig.registers[name].offset, [value])

    async def read(self, name: str) -> int:
        return (await self.read_burst(self.rig.registers[name].offset, 1))[0]

    async def status(self, name: str) -> int:
        field = self.rig.registers["status"].field(name)
        return (await self.read("status") & field.mask) >> field.low

    async def run(self, frames: int, sources: Sequence[int], targets: Sequence[int]) -> int:
        """One call of a driver; the status behind it."""
        for k, address in enumerate(sources):
            await self.write(f"source{k}", address)
        for k, address in enumerate(targets):
            await self.write(f"destination{k}", address)
        await self.write("start", frames)
        return await self.wait()

    async def wait(self, limit: int = 400) -> int:
        status = 0
        for _ in range(limit):
            status = await self.read("status")
            if status & 2 and not status & 1:
                return status
            await self.pause(20)
        raise AssertionError(f"no end: status {status:#x}")

    async def pause(self, most: int) -> None:
        await self.ctx.tick().repeat(self.rng.randrange(1, most + 1))

    async def write_burst(
        self, address: int, words: Sequence[int], burst: int = 1, strobes: int = 15, data_first: bool = False
    ) -> int:
        """The response."""
        identity, aw, w = self.rng.randrange(1 << 12), self.axi.aw, self.axi.w
        self.accesses += 1
        self._address(aw, identity, address, len(words), burst)
        sent = 0
        aw_open = not data_first
        while sent < len(words) or aw_open is not None:
            self.ctx.set(aw.valid, bool(aw_open))
            offering = sent < len(words) and (self.rng.random() < 0.7 or bool(self.ctx.get(w.valid)))
            if offering:
                for name, value in {"id": identity, "data": words[sent], "strb": strobes}.items():
                    self.ctx.set(w.payload[name], value)
                self.ctx.set(w.payload.last, sent == len(words) - 1)
            self.ctx.set(w.valid, offering)
            _, _, aw_ready, w_ready = await self.ctx.tick().sample(aw.ready, w.ready)
            if aw_open is not None:
                aw_open = None if aw_open and aw_ready else True
            if offering and w_ready:
                sent += 1
                self.ctx.set(w.valid, 0)
            self.ctx.set(aw.valid, bool(aw_open))
        response = await self._take(self.axi.b)
        assert response["id"] == identity
        return response["resp"]

    async def read_burst(self, address: int, count: int, burst: int = 1) -> list[int]:
        identity, ar = self.rng.randrange(1 << 12), self.axi.ar
        self.accesses += 1
        self._address(ar, identity, address, count, burst)
        self.ctx.set(ar.valid, 1)
        while not (await self.ctx.tick().sample(ar.ready))[2]:
            pass
        self.ctx.set(ar.valid, 0)
        words = []
        for k in range(count):
            beat = await self._take(self.axi.r)
            assert (beat["id"], beat["resp"], beat["last"]) == (identity, 0, k == count - 1)
            words.append(beat["data"])
        return words

    def _address(self, channel: Any, identity: int, address: int, count: int, burst: int) -> None:
        for name, value in dict(id=identity, addr=0x43C0_0000 + address, len=count - 1, size=2, burst=burst).items():
            self.ctx.set(channel.payload[name], value)

    async def _take(self, channel: Any) -> dict[str, int]:
        """One transfer of a channel that the design sends."""
        waits = self.rng.randrange(3)
        for k in range(1000):
            self.ctx.set(channel.ready, k >= waits)
            _, _, valid, payload = await self.ctx.tick().sample(channel.valid, channel.payload.as_value())
            if valid and k >= waits:
                self.ctx.set(channel.ready, 0)
                return {n: (payload >> f.offset) & ((1 << f.width) - 1) for n, f in channel.payload.shape()}
        raise AssertionError("no answer on GP0")


def simulate(
    rig: Rig, ram: Ram, script: Callable[[Cpu, list[HpPort]], Any], seed: int = 0, watch: Callable | None = None
) -> None:
    """Run `script(cpu, ports)` to its end with the memory answering; `watch` runs beside it."""
    ports = [
        HpPort(getattr(rig.shell, f"read{k}"), getattr(rig.shell, f"write{k}"), ram, seed + k)
        for k in range(len(rig.ports[0]))
    ]

    async def memory(ctx: SimulatorContext) -> None:
        signals = [s for port in ports for s in port.signals]
        while True:
            for port in ports:
                port.drive(ctx)
            _, _, *values = await ctx.tick().sample(*signals)
            for k, port in enumerate(ports):
                port.observe(values[13 * k : 13 * k + 13])

    async def processor(ctx: SimulatorContext) -> None:
        await script(Cpu(ctx, rig, seed), ports)

    simulator = Simulator(rig)
    simulator.add_clock(1e-8)
    simulator.add_testbench(memory, background=True)
    if watch is not None:
        simulator.add_process(watch)
    simulator.add_testbench(processor)
    simulator.run()
