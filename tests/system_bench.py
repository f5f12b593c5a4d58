"""The cocotb bench of a written system: AXI masters and memories of cocotbext-axi, random stalls, errors, resets.

Runs in the simulator, as BUILD/sim/bench.py of a build folder whose manifest names `system` as top
(tests/test_system_cocotb.py). The golden frames of BUILD/vectors go through memory in random order.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiMaster, AxiResp, AxiSlave
from cocotbext.axi.axi_channels import AxiARSink, AxiARSource, AxiAWSink, AxiAWSource

from hw.axi.registers import Register, by_name, register_map
from sim.bench import BUILD, golden, stalls

for _kind in (AxiARSink, AxiARSource, AxiAWSink, AxiAWSource):  # cocotbext-axi knows AXI4; these pins are AXI3's
    _kind._signal_widths = {**_kind._signal_widths, "awlen": 4, "arlen": 4, "awlock": 2, "arlock": 2}

SYSTEM = json.loads((BUILD / "manifest.json").read_text())["system"]
REGISTERS = by_name(register_map(1, 1))
PAGE = 0x43C0_0000  # of the registers; the bridge looks at the low twelve bits
MEMORY, MEMORY_BYTES = 0x1F00_0000, 1 << 14
FRAMES = 40
RATE = 0.3  # of the clocks in which a channel stalls
PATIENCE_CLOCKS = 20_000  # of one wait


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(seed=[*range(8)])
async def runs_under_stalls(dut: Any, seed: int) -> None:
    """Memory is right to the byte after several runs; seed 0 is without stalls."""
    bench = await Bench.start(dut, seed, RATE if seed else 0)
    await bench.check_identity()
    for _ in range(3):
        await bench.run_right()


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(part=[0.1, 0.5, 0.8])
async def soft_reset_in_mid_run(dut: Any, part: float) -> None:
    bench = await Bench.start(dut, 4, RATE)
    await bench.run_until(part)
    await bench.write("control", REGISTERS["control"].field("soft_reset").mask)
    while await bench.read("status") & REGISTERS["status"].field("busy").mask:
        pass
    assert await bench.read("status") == 0
    bench.check_cut_short()
    await bench.run_right()


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(part=[0.1, 0.5, 0.8])
async def aresetn_in_mid_run(dut: Any, part: float) -> None:
    """The ports' other ends are reset too, as FCLK_RESET0_N does."""
    bench = await Bench.start(dut, 5, RATE)
    await bench.run_until(part)
    await bench.reset()
    assert await bench.read("status") == await bench.read("source0") == 0
    bench.check_cut_short()
    await bench.run_right()


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(way=["read", "write"], seed=[6, 7])
async def error_response(dut: Any, way: str, seed: int) -> None:
    """SLVERR on one word of the buffer is told as what it is, and spoils no later run."""
    bench = await Bench.start(dut, seed, RATE)
    bench.place()
    buffer = bench.source if way == "read" else bench.destination
    bench.ram.failing[way] = range(buffer.start + len(buffer) // 2, buffer.start + len(buffer) // 2 + 1)
    await bench.begin()
    await bench.ended({"done": 1, f"{way}_error": 1}, "error")
    bench.check_cut_short()
    bench.ram.failing.clear()
    await bench.run_right()


@dataclass
class Ram:
    """Memory behind an AxiSlave: MEMORY_BYTES from MEMORY; an exception is answered as SLVERR."""

    octets: bytearray = field(default_factory=lambda: bytearray(MEMORY_BYTES))
    failing: dict[str, range] = field(default_factory=dict)
    moved: int = 0  # bytes read and written

    async def read(self, address: int, length: int) -> bytes:
        place = self._place("read", address, length)
        return bytes(self.octets[place])

    async def write(self, address: int, data: bytes) -> None:
        self.octets[self._place("write", address, len(data))] = data

    def _place(self, way: str, address: int, length: int) -> slice:
        bad = self.failing.get(way, range(0))
        if address < bad.stop and bad.start < address + length:
            raise ValueError(f"a {way} of {address:#x} fails by intention")
        if not MEMORY <= address <= MEMORY + MEMORY_BYTES - length:
            raise ValueError(f"a {way} of {address:#x} is outside of memory")
        self.moved += length
        return slice(address - MEMORY, address - MEMORY + length)


class Bench:
    """The system with a master at GP0 and memory at HP0."""

    def __init__(self, dut: Any, seed: int, rate: float) -> None:
        self.dut, self.rng, self.ram = dut, np.random.default_rng(seed), Ram()
        reset: dict[str, Any] = {"reset": dut.aresetn, "reset_active_level": False}
        self.gp = AxiMaster(AxiBus.from_prefix(dut, "s_axi_gp0"), dut.aclk, max_burst_len=16, **reset)
        self.hp = AxiSlave(AxiBus.from_prefix(dut, "m_axi_hp0"), dut.aclk, target=self.ram, **reset)
        for k, side in enumerate((self.gp, self.hp)):
            for name in ("aw", "w", "b", "ar", "r"):
                half = side.write_if if name in ("aw", "w", "b") else side.read_if
                getattr(half, f"{name}_channel").set_pause_generator(stalls(f"{seed} {k} {name}", rate))
        self.inputs, self.outputs = (_frames(kind) for kind in ("inputs", "outputs"))

    @classmethod
    async def start(cls, dut: Any, seed: int, rate: float) -> Bench:
        """The clock running and the system reset."""
        logging.getLogger("cocotb.system").setLevel("ERROR")
        dut.aresetn.value = 1
        bench = cls(dut, seed, rate)
        Clock(dut.aclk, 10, unit="ns").start()
        await bench.reset()
        return bench

    async def reset(self) -> None:
        await RisingEdge(self.dut.aclk)
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 5)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    async def write(self, name: str, value: int) -> None:
        """One access; the ID of its data, which AXI4 lacks, is that of its address."""
        ident = int(self.rng.integers(1 << 12))
        self.dut.s_axi_gp0_wid.value = ident
        done = await self.gp.write(PAGE + REGISTERS[name].offset, value.to_bytes(4, "little"), awid=ident)
        assert done.resp == AxiResp.OKAY, f"a write of {name} was answered {done.resp}"

    async def read(self, name: str, words: int = 1) -> int:
        """A burst of words from a register on, the first in the low bits."""
        done = await self.gp.read(PAGE + REGISTERS[name].offset, 4 * words, arid=int(self.rng.integers(1 << 12)))
        assert done.resp == AxiResp.OKAY, f"a read of {name} was answered {done.resp}"
        return int.from_bytes(done.data, "little")

    async def check_identity(self) -> None:
        assert await self.read("identity0", 4) == int(SYSTEM["identity"], 16)

    def place(self) -> None:
        """New memory: random bytes, and frames from any address; `want` is what a right run makes of it."""
        order, half = self.rng.integers(len(self.inputs), size=FRAMES), MEMORY_BYTES // 2
        x, y = self.inputs[order].tobytes(), self.outputs[order].tobytes()
        source, destination = (int(self.rng.integers(8, half - 8 - len(z))) for z in (x, y))
        self.source = range(MEMORY + source, MEMORY + source + len(x))
        self.destination = range(MEMORY + half + destination, MEMORY + half + destination + len(y))
        self.ram.octets[:] = self.rng.bytes(MEMORY_BYTES)
        self.ram.octets[source : source + len(x)] = x
        self.before, self.want = bytes(self.ram.octets), bytearray(self.ram.octets)
        self.want[half + destination : half + destination + len(y)] = y
        self.ram.moved = 0

    async def begin(self) -> None:
        await self.write("source0", self.source.start)
        await self.write("destination0", self.destination.start)
        await self.write("start", FRAMES)

    async def run_right(self) -> None:
        """A run that ends well, with every byte of memory as it must be."""
        self.place()
        await self.begin()
        await self.ended({"done": 1}, "done")
        assert await self.read("frames_done") == FRAMES
        self._compare(self.want, range(MEMORY, MEMORY + MEMORY_BYTES))

    async def run_until(self, part: float) -> None:
        """A run that has moved this part of its bytes."""
        self.place()
        await self.begin()
        total = len(self.source) + len(self.destination)
        await self._until(lambda: self.ram.moved >= part * total, f"{part} of {total} bytes")

    async def ended(self, fields: dict[str, int], flag: str) -> None:
        """Wait for the end of the run; its status must have these fields and its interrupt flag this bit, alone."""
        done, clocks = REGISTERS["status"].field("done").mask, 0
        while not (status := await self.read("status")) & done:
            clocks += 1
            assert clocks < PATIENCE_CLOCKS, f"no end of the run; status {status:#x}"
        assert status == _bits(REGISTERS["status"], fields), f"status {status:#x}, not {fields}"
        flags = await self.read("interrupt_flag")
        assert flags == _bits(REGISTERS["interrupt_flag"], {flag: 1}), f"interrupt flags {flags:#x}, not {flag}"
        await self.write("interrupt_flag", flags)
        assert await self.read("interrupt_flag") == 0

    def check_cut_short(self) -> None:
        """The run did not end, and touched nothing outside of its destination."""
        assert self.ram.octets != self.want, "the run was over"
        self._compare(self.before, range(MEMORY, self.destination.start))
        self._compare(self.before, range(self.destination.stop, MEMORY + MEMORY_BYTES))

    def _compare(self, want: bytes | bytearray, part: range) -> None:
        for address in part:
            got, right = self.ram.octets[address - MEMORY], want[address - MEMORY]
            where = "in the destination" if address in self.destination else "outside of the destination"
            assert got == right, f"byte {address:#x}, {where} at {self.destination}, is {got:#x}, not {right:#x}"

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(PATIENCE_CLOCKS):
            if condition():
                return
            await RisingEdge(self.dut.aclk)
        raise AssertionError(f"{what} did not come in {PATIENCE_CLOCKS} clocks")


def _bits(register: Register, fields: dict[str, int]) -> int:
    return sum(value << register.field(name).low for name, value in fields.items())


def _frames(kind: str) -> np.ndarray:
    """Golden frames as they lie in memory: (frames, beats, bytes of a beat)."""
    words = golden(kind, 0)
    assert words is not None, f"{BUILD} has no golden {kind}"
    octets = np.ascontiguousarray(words.astype("<u4")).view(np.uint8)
    return octets[..., : SYSTEM[kind][0]["beat_bytes"]]
