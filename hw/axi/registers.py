"""The register map as data: the circuit, the tables of docs and .hwh, and the driver's constants come from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAP_VERSION = 1
IDENTITY_WORDS = 4
MOST_PORTS = 4  # HP ports of a Zynq-7000
FRAMES_BITS = 24

# "read-write" registers keep what was written; "command" registers act on a write and read as the circuit says.
Access = Literal["read-only", "read-write", "command"]


@dataclass(frozen=True)
class Field:
    """Bits low .. low + bits - 1 of a register."""

    name: str
    low: int
    bits: int
    text: str

    @property
    def mask(self) -> int:
        return ((1 << self.bits) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """32 bits at a byte offset; no read has a side effect."""

    name: str
    offset: int
    access: Access
    text: str
    fields: tuple[Field, ...] = ()

    def field(self, name: str) -> Field:
        return next(f for f in self.fields if f.name == name)


_EVENTS = (Field("done", 0, 1, "a run ended well"), Field("error", 1, 1, "a run ended with an error"))

_STATUS = (
    Field("busy", 0, 1, "a run, or the draining behind a reset or an error, is under way"),
    Field("done", 1, 1, "the last run has ended, well or with an error flag; cleared by start and by soft reset"),
    Field("refused", 2, 1, "start was written while busy, and ignored"),
    Field("read_error", 8, MOST_PORTS, "input k: memory answered a read with an error"),
    Field("write_error", 12, MOST_PORTS, "output k: memory answered a write with an error"),
    Field("truncated", 16, MOST_PORTS, "output k: the accelerator's frame was shorter or longer than it must be"),
)

_FIXED = (
    Register("version", 0x00, "read-only", f"of this map: {MAP_VERSION}"),
    Register(
        "control", 0x04, "command", "commands; reads as zero",
        (Field("soft_reset", 0, 1, "drain memory transactions, reset the accelerator, clear status and flags"),),
    ),
    Register("status", 0x08, "read-only", "state and errors of the last run", _STATUS),
    Register("interrupt_enable", 0x0C, "read-write", "which flags raise the interrupt", _EVENTS),
    Register("interrupt_flag", 0x10, "command", "write ones to clear", _EVENTS),
    Register(
        "start", 0x14, "read-write", "writing starts a run and clears status and counters",
        (Field("frames", 0, FRAMES_BITS, "frames of the run"),),
    ),
    Register("frames_done", 0x18, "read-only", "frames of this run whose last output beat has left the accelerator"),
    Register("busy_cycles", 0x1C, "read-only", "clocks of the run so far, DMA included; stops at 2^32 - 1"),
    Register(
        "latency_last", 0x20, "read-only",
        "clocks of the last frame, from its first input beat to its last output beat, both counted",
    ),
    Register("latency_slowest", 0x24, "read-only", "the most clocks of a frame of this run"),
    Register("input_stalls", 0x28, "read-only", "clocks in which an input of the accelerator waited for a beat"),
    Register("output_stalls", 0x2C, "read-only", "clocks in which an output beat of the accelerator waited"),
)  # fmt: skip


def register_map(inputs: int, outputs: int) -> tuple[Register, ...]:
    """All registers of a system with so many streams (1 .. MOST_PORTS each)."""
    identity = (
        Register(f"identity{k}", 0x40 + 4 * k, "read-only", f"bits {32 * k}..{32 * k + 31} of the build's hash")
        for k in range(IDENTITY_WORDS)
    )
    sources = (
        Register(f"source{k}", 0x80 + 4 * k, "read-write", f"byte address of the frames of input {k}")
        for k in range(inputs)
    )
    targets = (
        Register(f"destination{k}", 0xA0 + 4 * k, "read-write", f"byte address of the frames of output {k}")
        for k in range(outputs)
    )
    return (*_FIXED, *identity, *sources, *targets)


def by_name(registers: tuple[Register, ...]) -> dict[str, Register]:
    return {r.name: r for r in registers}


def as_markdown(registers: tuple[Register, ...]) -> str:
    """A table for docs/system.md; fields under their register."""
    rows = ["| offset | register | bits | access | |", "|---|---|---|---|---|"]
    for r in registers:
        rows.append(f"| {r.offset:#04x} | `{r.name}` | 31:0 | {r.access} | {r.text} |")
        rows += [f"| | `.{f.name}` | {_bits(f)} | | {f.text} |" for f in r.fields]
    return "\n".join(rows) + "\n"


def _bits(f: Field) -> str:
    return str(f.low) if f.bits == 1 else f"{f.low + f.bits - 1}:{f.low}"
