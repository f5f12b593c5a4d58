"""Runs the written system: registers on GP0, memory behind the HP ports, faults on demand. It knows no network.

Beside the design's own counters stand those of the simulation, taken at the accelerator's ports and the HP ports.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import CheckFailed
from sim.verilator import build_library

_HERE = Path(__file__).parent
TOP = "codesign_system"
SLVERR, DECERR = 2, 3
_SLICE_CYCLES = 200_000  # one call into the library: Ctrl-C waits for it


@dataclass(frozen=True)
class Dram:
    """How memory behaves, in clocks of the logic; `stall`: share of clocks in which a channel pauses, at random.

    The defaults: about 300 ns from an HP port's request to its first word, and 4.2 GB/s for all ports, at 100 MHz.
    """

    read_latency: int = 30
    write_latency: int = 20
    bytes_per_cycle: float = 42.0
    stall: float = 0.0
    seed: int = 1


class _Config(ctypes.Structure):
    _fields_ = (  # as in system.cpp
        ("read_latency", ctypes.c_uint64), ("write_latency", ctypes.c_uint64), ("seed", ctypes.c_uint64),
        ("start_offset", ctypes.c_uint64), ("bytes_per_cycle", ctypes.c_double), ("stall", ctypes.c_double),
    )  # fmt: skip


class Counts(ctypes.Structure):
    """The simulation's own counts of the last run that ended well; names as the registers'."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in ("frames_done", "busy_cycles", "latency_last", "latency_slowest", "input_stalls", "output_stalls",
                     "reads", "writes")
    )  # fmt: skip


class SystemSimulator:
    """A system under power; registers by byte address on GP0, memory as an array that the caller may fill and read."""

    def __init__(self, library: Path, base: int, size: int, start_offset: int, dram: Dram | None = None) -> None:
        self.c = _open(library)
        self.base, self.memory, self.start_offset = base, np.zeros(size, np.uint8), start_offset
        config = self._config(dram or Dram())
        self.handle = ctypes.c_void_p(self.c.system_new(self.memory.ctypes.data, base, size, ctypes.byref(config)))

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.c.system_delete(self.handle)

    def _config(self, d: Dram) -> _Config:
        return _Config(d.read_latency, d.write_latency, d.seed, self.start_offset, d.bytes_per_cycle, d.stall)

    def behave(self, dram: Dram) -> None:
        """Memory from now on."""
        config = self._config(dram)
        self.c.system_configure(self.handle, ctypes.byref(config))

    def reset(self) -> None:
        """The logic's reset pin, as when it has just been programmed."""
        self.c.system_reset(self.handle)

    def read(self, address: int) -> int:
        data = ctypes.c_uint32()
        self._answered(self.c.system_read(self.handle, address, ctypes.byref(data)), "read", address)
        return data.value

    def write(self, address: int, value: int) -> None:
        self._answered(self.c.system_write(self.handle, address, value & 0xFFFF_FFFF), "write", address)

    def poll(self, address: int, mask: int, most_cycles: int, pause_cycles: int = 16) -> int:
        """Read every `pause_cycles` clocks until no bit of `mask` is up, or `most_cycles` have passed; the value."""
        data = ctypes.c_uint32()
        end = self.cycle + most_cycles
        while True:
            left = max(0, min(_SLICE_CYCLES, end - self.cycle))
            done = self.c.system_poll(self.handle, address, mask, pause_cycles, left, ctypes.byref(data))
            self._answered(done, "read", address)
            if not data.value & mask or self.cycle >= end:
                return data.value

    def run(self, cycles: int) -> None:
        """Let time pass."""
        self.c.system_run(self.handle, cycles)
        self.check()

    def fail(self, low: int, high: int, read: bool = True, write: bool = True, response: int = SLVERR) -> None:
        """Answer accesses to words in low..high - 1 with an error, until `heal`."""
        self.c.system_bad(self.handle, low, high, read, write, response)

    def heal(self) -> None:
        self.c.system_heal(self.handle)

    def freeze(self, frozen: bool) -> None:
        """Memory that takes and gives nothing."""
        self.c.system_freeze(self.handle, frozen)

    @property
    def irq(self) -> bool:
        return bool(self.c.system_irq(self.handle))

    @property
    def cycle(self) -> int:
        return self.c.system_cycle(self.handle)

    @property
    def counts(self) -> dict[str, int]:
        counts = Counts()
        self.c.system_counts(self.handle, ctypes.byref(counts))
        return {field[0]: getattr(counts, field[0]) for field in Counts._fields_}

    def check(self) -> None:
        """CheckFailed where the design has broken a rule of AXI3."""
        fault = self.c.system_fault(self.handle).decode()
        if fault:
            raise CheckFailed(f"the system broke a rule of AXI3: {fault}")

    def _answered(self, answered: int, what: str, address: int) -> None:
        self.check()
        if not answered:
            raise CheckFailed(f"GP0 got no answer to a {what} at {address:#x}")


def system_library(build: Path, system: Mapping[str, Any], rtl: Mapping[str, Any]) -> Path:
    """The written files of a build with the bench around them, built once; UserError: a tool is missing."""
    text = "\n".join((build / f).read_text() for f in system["files"])
    streams = [(p["port"], p["beats"]) for p in (*rtl["inputs"], *rtl["outputs"])]
    return _library(text, system["top"], rtl["top"], streams, len(rtl["inputs"]))


def _library(text: str, top: str, inner: str, streams: Sequence[tuple[str, int]], inputs: int) -> Path:
    pins = _pins(text, top)
    sources = {
        "design.v": text,
        "tapped.sv": _wrapper(pins, top, inner, [name for name, _ in streams]),
        "ports.h": _header(pins, streams, inputs),
        "harness.cpp": (_HERE / "system.cpp").read_text(),
    }
    return build_library(sources, TOP)


def _pins(text: str, top: str) -> list[tuple[str, int, str]]:
    """(direction, bits, name) of the top module, as its Verilog declares them."""
    module = re.search(rf"^module {top}\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    assert module is not None, f"no module {top}"
    found = re.findall(r"^ +(input|output)(?: \[(\d+):0\])? (\w+);", module[0], re.MULTILINE)
    return [(way, int(high or 0) + 1, name) for way, high, name in found]


def _wrapper(pins: Sequence[tuple[str, int, str]], top: str, inner: str, streams: Sequence[str]) -> str:
    """The top's own pins, and the handshakes at the accelerator's ports beside them."""
    taps = [f"{s}_t{part}" for s in streams for part in ("valid", "ready", "last")]
    declared = [f"  {way} wire [{bits - 1}:0] {name}" for way, bits, name in pins] + [
        f"  output wire {t}" for t in taps
    ]
    joined = ", ".join(f".{name}({name})" for _, _, name in pins)
    assigned = "\n".join(f"  assign {t} = dut.{inner}.{t};" for t in taps)
    ports = ",\n".join(declared)
    return f"module {TOP} (\n{ports}\n);\n  {top} dut ({joined});\n{assigned}\nendmodule\n"


_ADDRESS = ("valid", "ready", "id", "len", "size", "burst", "lock", "addr")  # in the order of system.cpp's structures
_DATA = ("valid", "ready", "id", "resp", "last", "data")
_READ = (*(f"ar{n}" for n in _ADDRESS), *(f"r{n}" for n in _DATA))
_WRITE = (
    *(f"aw{n}" for n in _ADDRESS), *(f"w{n}" for n in ("valid", "ready", "id", "strb", "last", "data")),
    *(f"b{n}" for n in ("valid", "ready", "id", "resp")),
)  # fmt: skip


def _header(pins: Sequence[tuple[str, int, str]], streams: Sequence[tuple[str, int]], inputs: int) -> str:
    """ports.h for system.cpp."""
    names = {name for _, _, name in pins}
    lines = ["#pragma once", '#include "Vdut.h"', "using Model = Vdut;", "template <class R, class W, class T>"]
    lines += ["static void bind(Model& m, R& readers, W& writers, T& inputs, T& outputs) {"]
    for k in range(4):
        for group, channels in (("readers", _READ), ("writers", _WRITE)):
            if f"m_axi_hp{k}_{channels[0]}" in names:
                lines.append(f"    {group}.push_back({{{{{', '.join(f'&m.m_axi_hp{k}_{c}' for c in channels)}}}}});")
    for k, (name, beats) in enumerate(streams):
        group = "inputs" if k < inputs else "outputs"
        lines.append(f"    {group}.push_back({{{{&m.{name}_tvalid, &m.{name}_tready, &m.{name}_tlast, {beats}}}}});")
    return "\n".join([*lines, "}", ""])


def _open(library: Path) -> ctypes.CDLL:
    """The library with its function types declared."""
    c = ctypes.CDLL(str(library))
    pointer, u64, u32, i32 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_int32
    c.system_new.restype, c.system_new.argtypes = pointer, (pointer, u64, u64, pointer)
    c.system_bad.argtypes = (pointer, u64, u64, i32, i32, i32)
    c.system_run.argtypes, c.system_run.restype = (pointer, u64), None
    c.system_write.argtypes = (pointer, u32, u32)
    c.system_read.argtypes = (pointer, u32, pointer)
    c.system_poll.argtypes = (pointer, u32, u32, u64, u64, pointer)
    c.system_cycle.restype = u64
    c.system_fault.restype = ctypes.c_char_p
    return c
