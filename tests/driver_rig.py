"""Boards for the driver: the simulated system under real PYNQ, and one that is a few NumPy lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from boards.driver import BASE
from codesign.cli import main
from codesign.flow import Build
from hw.stream import pack, unpack

MEMORY = 0x1000_0000


def compiled(model: Path, build: Path, *more: object) -> Build:
    assert main(["compile", str(model), "-o", str(build), *map(str, more)]) == 0
    return Build.open(build)


def samples(build: Build, count: int, seed: int = 0) -> list[np.ndarray]:
    """Real values for every input of a network, most of them within its formats."""
    rng = np.random.default_rng(seed)
    return [rng.normal(0.4, 1.0, (count, *i.type.shape)).astype(np.float32) for i in build.network.before.inputs]


def expected(build: Build, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """As `codesign run` writes them."""
    results = build.network.run({i.name: x for i, x in zip(build.network.before.inputs, inputs, strict=True)})
    types = build.network.after.types
    return [v.astype(np.int64 if types[k].is_integer else np.float32) for k, v in results.items()]


class GoldenBoard:
    """The driver's device protocol with the integer network in the place of the logic; `accesses` to its registers."""

    def __init__(self, build: Build) -> None:
        self.core, self.pipeline = build.network.core, build.pipeline
        self.system = build.manifest["system"]
        self.memory, self.next = np.zeros(1 << 24, np.uint8), 0
        self.names = {v: k for k, v in self.system["registers"].items()}
        identity = int(self.system["identity"], 16)
        self.registers = {f"identity{k}": identity >> 32 * k & 0xFFFF_FFFF for k in range(4)}
        self.accesses: list[str] = []

    def page(self, address: int) -> Any:
        return self if address == BASE else _Quiet()

    def buffer(self, size: int) -> tuple[np.ndarray, int, Any, Any]:
        begin, self.next = self.next, self.next + size
        return self.memory[begin : begin + size], MEMORY + begin, self.touch, self.touch

    def touch(self) -> None: ...

    def close(self) -> None: ...

    def read(self, offset: int) -> int:
        self.accesses.append(self.names[offset])
        return self.registers.get(self.names[offset], 0)

    def write(self, offset: int, value: int) -> None:
        name = self.names[offset]
        self.accesses.append(name)
        self.registers[name] = value
        if name == "start":
            self._run(value)

    def _run(self, frames: int) -> None:
        feeds = {}
        for k, ((name, stream), port) in enumerate(zip(self.pipeline.inputs, self.system["inputs"], strict=True)):
            octets = self._frames("source", k, frames, port)
            words = np.zeros((frames, port["beats"], -(-port["beat_bytes"] // 4) * 4), np.uint8)
            words[..., : port["beat_bytes"]] = octets
            feeds[name] = unpack(words.view("<u4"), stream)
        results = self.core.run(feeds)
        for k, ((name, stream), port) in enumerate(zip(self.pipeline.outputs, self.system["outputs"], strict=True)):
            words = pack(results[name], stream).view(np.uint8)[..., : port["beat_bytes"]]
            self._frames("destination", k, frames, port)[:] = words
        self.registers["status"] = 1 << self.system["status"]["done"]

    def _frames(self, kind: str, k: int, frames: int, port: dict[str, Any]) -> np.ndarray:
        begin = self.registers[f"{kind}{k}"] - MEMORY
        octets = self.memory[begin : begin + frames * port["frame_bytes"]]
        return octets.reshape(frames, port["beats"], port["beat_bytes"])


class _Quiet:
    """Registers of the processing system that nobody looks at."""

    def read(self, offset: int) -> int:
        return 1

    def write(self, offset: int, value: int) -> None: ...
