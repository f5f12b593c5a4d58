"""A design under simulation: its Verilog, its stream ports and its internal edges. It knows no network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError


@dataclass(frozen=True)
class Elements:
    """How a beat holds its elements: `lanes` of `bits` each, lane 0 in the least significant bits."""

    lanes: int
    bits: int
    signed: bool = False
    binary: bool = False

    def decode(self, beat: np.ndarray) -> list[int]:
        """The element values of one beat given as uint32 words, little end first."""
        word = sum(int(w) << (32 * k) for k, w in enumerate(beat))
        return [self._value((word >> (k * self.bits)) & ((1 << self.bits) - 1)) for k in range(self.lanes)]

    def _value(self, code: int) -> int:
        if self.binary:
            return 2 * code - 1
        return code - (1 << self.bits) if self.signed and code >> (self.bits - 1) else code


@dataclass(frozen=True)
class StreamPort:
    """An AXI4-Stream port of the top module; `port` is the prefix of its signals, `beats` its beats a frame."""

    name: str
    port: str
    port_bits: int
    beats: int
    elements: Elements

    @property
    def words(self) -> int:
        """32-bit words a beat."""
        return -(-self.port_bits // 32)


@dataclass(frozen=True)
class EdgePort:
    """An internal edge: wires edge{index}_data, _valid, _ready of the top module."""

    index: int
    source: str
    target: str
    data_bits: int
    beats: int
    elements: Elements

    @property
    def words(self) -> int:
        return -(-self.data_bits // 32)


@dataclass(frozen=True)
class Design:
    """Verilog text with its ports; the clock is rising, the reset synchronous and active low."""

    verilog: str
    top: str
    inputs: tuple[StreamPort, ...]
    outputs: tuple[StreamPort, ...]
    edges: tuple[EdgePort, ...] = ()
    clock: str = "aclk"
    reset: str = "aresetn"

    @classmethod
    def from_build(cls, build: Path) -> Design:
        """The design of a build folder; UserError when a piece is missing."""
        rtl = _rtl_section(build)
        try:
            text = "\n".join((build / f).read_text() for f in rtl["files"])
            return cls(
                text, rtl["top"],
                tuple(_stream_port(p) for p in rtl["inputs"]),
                tuple(_stream_port(p) for p in rtl["outputs"]),
                tuple(_edge_port(e) for e in rtl["edges"]),
                rtl["clock"], rtl["reset"],
            )  # fmt: skip
        except KeyError as e:
            raise UserError(f"{build / 'manifest.json'} lacks {e} under 'rtl'; compile the model again") from None
        except OSError as e:
            raise UserError(f"{build} is not complete: {e.filename}: {e.strerror}; compile again") from None


def _rtl_section(build: Path) -> dict[str, Any]:
    manifest = build / "manifest.json"
    try:
        return json.loads(manifest.read_text())["rtl"]
    except OSError as e:
        raise UserError(f"{build} is not a build folder: {manifest}: {e.strerror}") from None
    except (ValueError, KeyError):
        raise UserError(f"{manifest} describes no RTL; compile the model again") from None


def _elements(entry: dict[str, Any]) -> Elements:
    return Elements(entry["lanes"], entry["element_bits"], entry["signed"], entry["binary"])


def _stream_port(entry: dict[str, Any]) -> StreamPort:
    return StreamPort(entry["name"], entry["port"], entry["port_bits"], entry["beats"], _elements(entry))


def _edge_port(e: dict[str, Any]) -> EdgePort:
    return EdgePort(e["index"], e["source"], e["target"], e["data_bits"], e["beats"], _elements(e))
