"""Amaranth -> RTLIL, with the contents of memories written as text at once.

Amaranth 0.5 makes an object of every bit of a memory: two megabits take ten seconds. The result is the same text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Signal
from amaranth.hdl._nir import Value


def to_rtlil(top: Elaboratable, name: str, ports: list[Signal], platform: object) -> str:
    """The RTLIL text of a circuit whose top module is `name`."""
    with _memories_as_text():
        return rtlil.convert(top, name=name, platform=platform, ports=ports, emit_src=False)


@contextmanager
def _memories_as_text() -> Iterator[None]:
    emitter: Any = rtlil.ModuleEmitter
    original, emitter.emit_memory = emitter.emit_memory, _emit_memory
    try:
        yield
    finally:
        emitter.emit_memory = original


def _emit_memory(emitter: Any, index: int, cell: Any) -> None:
    """`ModuleEmitter.emit_memory`, a row instead of a bit at a time."""
    rows = "".join(f"{row:0{cell.width}b}" for row in reversed(cell.init))
    emitter.builder.cell(
        "$meminit_v2",
        ports={
            "ADDR": emitter.sigspec(),
            "DATA": f"{cell.width * cell.depth}'{rows}",
            "EN": emitter.sigspec(Value.ones(cell.width)),
        },
        parameters={
            "MEMID": emitter.memories[index].memid,
            "ABITS": 0,
            "WIDTH": cell.width,
            "WORDS": cell.depth,
            "PRIORITY": 0,
        },
        src_loc=cell.src_loc,
    )
