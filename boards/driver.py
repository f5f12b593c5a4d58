"""Runs the accelerator of a build from NumPy arrays. For the board: numpy with or without pynq; Python 3.8 or newer.

    from driver import Accelerator, PynqDevice
    with Accelerator("manifest.json", PynqDevice("accelerator.bit")) as accelerator:
        y = accelerator.run(x)      # x (samples, ...) as the model takes it, y as it gives it

All memory is taken once. A call packs a batch, writes `start`, reads `status` until the run has ended, and unpacks.
Every wait has an end; whatever goes wrong is a DriverError, and the next call starts from a clean state.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import tempfile
import time
from functools import partial
from typing import IO, Any, Callable, Dict, Iterator

import numpy as np

BASE = 0x43C00000  # of the registers
_SLCR, _AFI, _PAGE = 0xF8000000, 0xF8008000, 0x1000  # UG585: system level control; AXI HP interfaces, a page each
_EVENTS = (("read_error", "memory answered a read for input {} with an error"),
           ("write_error", "memory answered a write of output {} with an error"),
           ("truncated", "the accelerator's frame of output {} was shorter or longer than it must be"))  # fmt: skip
Call = Callable[[], Any]
Arrays = Dict[str, np.ndarray]
Step = Dict[str, Any]
_COUNTERS = ("frames_done", "busy_cycles", "latency_last", "latency_slowest", "input_stalls", "output_stalls")


class DriverError(Exception):
    """What went wrong, and what helps."""


class PynqDevice:
    """The board under PYNQ; `Overlay` loads the bitstream, finds the registers and sets the clock."""

    def __init__(self, bitstream: Any, lock: str | None = None) -> None:
        self._lock = _claim(lock)
        import pynq

        self._pynq, self.overlay = pynq, pynq.Overlay(str(bitstream))

    def page(self, address: int) -> Any:
        """Registers of a page, with read(offset) and write(offset, value)."""
        return self.overlay.accelerator.mmio if address == BASE else self._pynq.MMIO(address, _PAGE)

    def buffer(self, size: int) -> tuple[Any, int, Call, Call]:
        """(bytes as an array, their address on the bus, flush, invalidate)."""
        b = self._pynq.allocate((size,), dtype=np.uint8)
        return b, b.device_address, b.flush, b.invalidate

    def close(self) -> None:
        self._lock.close()


class LinuxDevice:
    """A Linux without PYNQ, as root: fpga_manager and /dev/mem. `memory`: (address, bytes) that Linux leaves alone
    (`reserved-memory`, or `mem=`). `ps_clock_hz`: the board's crystal. `root`: where /dev, /sys and /lib are.
    """

    def __init__(
        self, bitstream: Any, memory: tuple[int, int], clock_hz: float, ps_clock_hz: float, lock: str | None = None,
        root: str = "/",
    ) -> None:  # fmt: skip
        self._lock, self._root = _claim(lock), root
        self._next, self._end = memory[0], memory[0] + memory[1]
        try:
            self._file = os.open(os.path.join(root, "dev/mem"), os.O_RDWR | os.O_SYNC)
            self._program(bitstream)
        except OSError as e:
            raise DriverError(f"{e.filename}: {e.strerror}; run as root, on a kernel with fpga_manager") from None
        self._clock(clock_hz, ps_clock_hz)

    def _program(self, bitstream: Any) -> None:
        with open(bitstream, "rb") as file:
            words = _configuration(file.read())
        name = os.path.basename(str(bitstream)) + ".bin"
        with open(os.path.join(self._root, "lib/firmware", name), "wb") as file:
            file.write(words)
        manager = os.path.join(self._root, "sys/class/fpga_manager/fpga0")
        for setting, value in (("flags", "0"), ("firmware", name)):
            with open(os.path.join(manager, setting), "w") as file:
                file.write(value)
        with open(os.path.join(manager, "state")) as file:
            state = file.read().strip()
        if state != "operating":
            raise DriverError(f"fpga_manager did not take {bitstream}: its state is '{state}'")

    def _clock(self, clock_hz: float, ps_clock_hz: float) -> None:
        """FCLK0 from the IO PLL, level shifters on, the logic out of reset."""
        slcr = self.page(_SLCR)
        pll_hz = ps_clock_hz * (slcr.read(0x108) >> 12 & 0x7F)
        pairs = [
            (a * b, a, b) for a in range(1, 64) for b in range(1, a + 1) if pll_hz / (a * b) <= clock_hz * 1.000001
        ]
        if not pairs:
            raise DriverError(f"no divisors give {clock_hz / 1e6:g} MHz from {pll_hz / 1e6:g} MHz")
        _, first, second = min(pairs)
        for offset, value in ((0x008, 0xDF0D), (0x240, 0xF), (0x170, first << 8 | second << 20), (0x900, 0xF),
                              (0x240, 0), (0x004, 0x767B)):  # fmt: skip
            slcr.write(offset, value)

    def _map(self, address: int, size: int) -> np.ndarray:
        inside = address % _PAGE
        whole = mmap.mmap(self._file, inside + size, offset=address - inside)
        return np.frombuffer(whole, np.uint8, size, inside)

    def page(self, address: int) -> Any:
        return _Page(self._map(address, _PAGE).view("<u4"))

    def buffer(self, size: int) -> tuple[Any, int, Call, Call]:
        address = -(-self._next // _PAGE) * _PAGE
        if address + size > self._end:
            raise DriverError(f"{size} bytes do not fit into the memory given; give more, or a smaller batch")
        self._next = address + size
        return self._map(address, size), address, _nothing, _nothing  # mapped uncached

    def close(self) -> None:
        os.close(self._file)
        self._lock.close()


class _Page:
    def __init__(self, words: np.ndarray) -> None:
        self._words = words

    def read(self, offset: int) -> int:
        return int(self._words[offset >> 2])

    def write(self, offset: int, value: int) -> None:
        self._words[offset >> 2] = value


def _nothing() -> None:
    pass


def _configuration(bit: bytes) -> bytes:
    """What fpga_manager takes: the words of a .bit file, without its header, with their bytes turned around."""
    start = bit.find(b"\xff\xff\xff\xff")
    sync = bit.find(b"\xaa\x99\x55\x66", start)
    if start < 0 or sync < 0:
        raise DriverError("this is no bitstream: it has no synchronisation word")
    size = (len(bit) - start) // 4 * 4
    return np.frombuffer(bit, ">u4", size // 4, start).astype("<u4").tobytes()


def _claim(path: str | None) -> IO[str]:
    """The board for this process alone, until the file is closed or the process ends."""
    path = path or os.path.join(tempfile.gettempdir(), "codesign-accelerator.lock")
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = file.read().strip() or "another process"
        raise DriverError(f"the accelerator is in use by {owner}; wait for it, or end it") from None
    file.truncate(0)
    file.write(f"process {os.getpid()}")
    file.flush()
    return file


class Accelerator:
    """`batch`: samples that go to the accelerator at once; longer arrays go in several. `timeout_s`: of one batch."""

    def __init__(self, manifest: Any, device: Any, batch: int = 64, timeout_s: float = 5.0) -> None:
        with open(manifest) as file:
            self.manifest = json.load(file)
        self.system, self.device, self.batch, self.timeout_s = self.manifest["system"], device, batch, timeout_s
        self.host = self.system["host"]
        for part in (self.system, self.host):
            if "missing" in part:
                raise DriverError(part["missing"])
        estimate = self.manifest["estimated"]
        cycle_s = 1e-6 / estimate["clock_mhz"]
        self._frame_s, self._latency_s = (estimate[f"{k}_cycles"] * cycle_s for k in ("interval", "latency"))
        self._offsets, self._registers = self.system["registers"], device.page(BASE)
        self._identify()
        self.reset()
        self._prepare()
        self._plans = {}
        self.laps = np.zeros(3)  # seconds of the last call: packing; accelerator and transfers; unpacking
        self.paused_s = 0.0  # in the middle one of them, without a look at the accelerator

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.device.close()

    # ---- registers ----
    def read(self, name: str) -> int:
        return self._registers.read(self._offsets[name])

    def write(self, name: str, value: int) -> None:
        self._registers.write(self._offsets[name], value)

    def counters(self) -> dict[str, int]:
        """The design's own counts of the last batch, in clocks; no call reads them."""
        return {name: self.read(name) for name in _COUNTERS}

    def reset(self) -> None:
        """Ends whatever is under way; DriverError where memory does not answer."""
        self._clean = False
        self.write("control", 1)
        end = time.perf_counter() + self.timeout_s
        while self.read("status") & 1:
            if time.perf_counter() > end:
                raise DriverError(
                    "memory does not answer the accelerator, so it cannot be reset; load the bitstream anew"
                )
        self._clean = True

    def _identify(self) -> None:
        found = "".join(f"{self.read(f'identity{k}'):08x}" for k in (3, 2, 1, 0))
        if found != self.system["identity"]:
            raise DriverError(f"the bitstream is of another build: its identity is {found}, the manifest's is "
                              f"{self.system['identity']}; load the bitstream that belongs to it")  # fmt: skip

    def expected_s(self, n: int) -> float:
        """How long a batch of n should take in the logic, by the manifest's estimate."""
        return n * self._frame_s + self._latency_s

    # ---- once ----
    def _prepare(self) -> None:
        """Buffers, ports and arrays."""
        ports = self.system["inputs"], self.system["outputs"]
        self._inputs, self._outputs = ([_Frames(p, self.device, self.batch) for p in side] for side in ports)
        for k in range(max(map(len, ports))):  # 64 bits wide in both directions
            port = self.device.page(_AFI + k * _PAGE)
            for offset in (0x00, 0x14):
                port.write(offset, port.read(offset) & ~1)
        for kind, side in (("source", self._inputs), ("destination", self._outputs)):
            for k, frames in enumerate(side):
                self.write(f"{kind}{k}", frames.address)
        self._arrays: Arrays = {i["name"]: np.zeros((self.batch, *i["shape"]), np.float32) for i in self.host["inputs"]}
        self._finite = {name: np.zeros(a.shape, np.bool_) for name, a in self._arrays.items()}
        self._arrays.update((p["name"], f.values) for p, f in zip(ports[1], self._outputs))
        for step in self.host["before"] + self.host["after"]:
            _allocate(step, self._arrays, self.batch)

    def _plan(self, n: int) -> tuple[Arrays, list[Call], list[Call]]:
        """What a batch of n samples does on the processor: the arrays' first n samples, and calls on them."""
        views = {k: a[:n] for k, a in self._arrays.items()}
        pack = [c for step in self.host["before"] for c in _calls(step, views)]
        for name, frames in zip(self.host["into"], self._inputs):
            pack += [*frames.packing(views[name]), frames.flush]
        unpack = [c for frames in self._outputs for c in (frames.invalidate, *frames.unpacking(n))]
        unpack += [c for step in self.host["after"] for c in _calls(step, views)]
        return views, pack, unpack

    # ---- every call ----
    def run(self, *inputs: Any) -> Any:
        """The model's outputs (one array, or a tuple of several) for its inputs, each (samples, ...)."""
        arrays = [np.asarray(x) for x in inputs]
        total = len(arrays[0]) if arrays else 0
        for i, x in zip(self.host["inputs"], arrays):
            if np.shape(x) != (total, *i["shape"]) or not total or len(arrays) != len(self.host["inputs"]):
                shape = ", ".join(map(str, i["shape"]))
                raise DriverError(f"input '{i['name']}' must be (samples, {shape}), as many samples in every input; "
                                  f"it is {np.shape(x)}, and {len(arrays)} inputs were given")  # fmt: skip
        results = [np.empty((total, *r["shape"]), r["type"]) for r in self.host["results"]]
        self.laps[:], self.paused_s = 0, 0.0
        for start in range(0, total, self.batch):
            part = slice(start, min(start + self.batch, total))
            self._run(part.stop - start, [x[part] for x in arrays], [r[part] for r in results])
        return results[0] if len(results) == 1 else tuple(results)

    def _run(self, n: int, inputs: list[np.ndarray], results: list[np.ndarray]) -> None:
        if n not in self._plans:
            self._plans[n] = self._plan(n)
        views, pack, unpack = self._plans[n]
        begun = time.perf_counter()
        for i, x in zip(self.host["inputs"], inputs):
            view = views[i["name"]]
            if x.dtype == np.float32:
                np.copyto(view, x)
            else:
                with np.errstate(over="ignore"):
                    np.copyto(view, x, casting="unsafe")
            if not np.isfinite(view, out=self._finite[i["name"]][:n]).all():
                raise DriverError(f"input '{i['name']}' holds NaN, infinity or values beyond float32")
        for call in pack:
            call()
        packed = time.perf_counter()
        if not self._clean:  # an earlier call was cut off
            self.reset()
        self._clean = False
        self.write("start", n)
        self._wait(n)
        self._clean = True
        ended = time.perf_counter()
        for call in unpack:
            call()
        for result, r in zip(results, self.host["results"]):
            np.copyto(result, views[r["of"]], casting="unsafe")
        self.laps += (packed - begun, ended - packed, time.perf_counter() - ended)

    def _wait(self, n: int) -> None:
        """Reads `status` when the run should have ended, and then ever less often."""
        pause, end = self.expected_s(n), time.perf_counter() + self.timeout_s
        self.paused_s += _pause(pause)
        while True:
            status = self.read("status")
            if not status & 1:
                break
            if time.perf_counter() > end:
                self.reset()
                raise DriverError(f"no end of a batch of {n} within {self.timeout_s:g} s; the accelerator was reset")
            self.paused_s += _pause(pause / 4)
            pause *= 2
        bits = self.system["status"]
        said = [text.format(k) for name, text in _EVENTS for k in range(4) if status >> bits[name] + k & 1]
        if said:
            self._clean = True
            raise DriverError("; ".join(said) + "; the accelerator has reset itself, and this batch is lost")
        if status != 1 << bits["done"]:
            raise DriverError("someone else reset or started the accelerator while it worked; this batch is lost")


def _pause(seconds: float) -> float:
    """Sleeps, or turns around where that is too coarse; how long it was."""
    begun = now = time.perf_counter()
    if seconds > 2e-4:
        time.sleep(min(seconds, 0.05))
    while now < begun + min(seconds, 2e-4):
        now = time.perf_counter()
    return time.perf_counter() - begun


class _Frames:
    """Frames of a port in contiguous memory, and how elements get in and out: as whole bytes, or bit by bit."""

    def __init__(self, port: dict[str, Any], device: Any, batch: int) -> None:
        self.bits, self.lanes, self.binary, shape = (port[k] for k in ("element_bits", "lanes", "binary", "shape"))
        memory, self.address, self.flush, self.invalidate = device.buffer(port["frame_bytes"] * batch + 16)
        self.bytes = memory[: port["frame_bytes"] * batch].reshape(batch, port["beats"], port["beat_bytes"])
        self.whole = self.bits % 8 == 0 or self.lanes == 1
        self.width = port["beat_bytes"] // self.lanes  # bytes of an element, where it has whole ones
        size = next(s for s in (1, 2, 4, 8) if 8 * s >= self.bits)
        signed = port["signed"] and not self.binary
        self.unsigned, self.kind = f"<u{size}", f"<i{size}" if signed else f"<u{size}"
        self.unused = 8 * size - self.bits if signed else 0
        elements = (batch, port["beats"], self.lanes)
        self.values = np.zeros((batch, *shape), np.int64 if self.bits > 31 else np.int32)
        self.octets = np.zeros((*elements, size), np.uint8)
        self.planes = np.zeros((*elements, 1 if self.whole else self.bits), self.unsigned)
        weights = [1 << k for k in range(self.bits)]
        self.weights = np.array(weights[:-1] + [-weights[-1] if signed else weights[-1]], self.values.dtype)

    def packing(self, codes: np.ndarray) -> Iterator[Call]:
        """Calls that pack codes (n, ...), an array of the smallest integer type."""
        n, to = len(codes), self.bytes[: len(codes)]
        codes = codes.view(self.unsigned).reshape(n, *self.planes.shape[1:3])
        if self.whole:
            if self.unused and self.lanes == 1:  # a beat's padding is zeros
                mask = codes.dtype.type((1 << self.bits) - 1)
                yield partial(np.bitwise_and, codes, mask, out=codes)
            octets = codes.view(np.uint8).reshape(*codes.shape, -1)[..., : self.width]
            yield partial(np.copyto, to.reshape(octets.shape), octets)
            return
        planes = self.planes[:n]
        yield partial(np.right_shift, codes[..., None], np.arange(self.bits, dtype=self.unsigned), out=planes)
        yield partial(np.bitwise_and, planes, planes.dtype.type(1), out=planes)
        yield partial(_pack_bits, planes.reshape(n, to.shape[1], -1), to)

    def unpacking(self, n: int) -> Iterator[Call]:
        """Calls that fill the first n of `values`."""
        of, octets, values = self.bytes[:n], self.octets[:n], self.values[:n]
        flat = values.reshape(n, -1)
        if self.whole:
            read = octets.view(self.kind).reshape(n, -1)
            part = octets[..., : self.width]
            yield partial(np.copyto, part, of.reshape(part.shape))
            if self.unused:  # the sign is the element's highest bit
                yield partial(np.left_shift, read, read.dtype.type(self.unused), out=read)
                yield partial(np.right_shift, read, read.dtype.type(self.unused), out=read)
            yield partial(np.copyto, flat, read, casting="unsafe")
        else:
            yield partial(_unpack_bits, of, self.lanes * self.bits, self.weights, flat)
        if self.binary:
            yield partial(np.multiply, flat, flat.dtype.type(2), out=flat)
            yield partial(np.subtract, flat, flat.dtype.type(1), out=flat)


def _pack_bits(planes: np.ndarray, to: np.ndarray) -> None:
    to[...] = np.packbits(planes, axis=-1, bitorder="little")


def _unpack_bits(of: np.ndarray, count: int, weights: np.ndarray, to: np.ndarray) -> None:
    bits = np.unpackbits(of, axis=-1, count=count, bitorder="little")
    np.matmul(bits.reshape(*to.shape, -1), weights, out=to)


# ---- the host's part: the steps of codesign/host.py ----
def _within(x: np.ndarray, low: float, high: float, out: np.ndarray, name: str) -> None:
    if x.min() < low or x.max() > high:
        raise DriverError(
            f"input '{name}' leaves its format: {x.min():g}..{x.max():g} steps, and it has {low:g}..{high:g}"
        )


def _slices(step: Step) -> tuple[slice, ...]:
    return tuple(slice(a, a + n * d if a + n * d >= 0 else None, d)
                 for a, n, d in zip(step["starts"], step["sizes"], step["steps"]))  # fmt: skip


_VIEWS = {
    "reshape": lambda x, step: x.reshape(len(x), *step["shape"]),
    "transpose": lambda x, step: x.transpose(0, *(p + 1 for p in step["perm"])),
    "slice": lambda x, step: x[(slice(None), *_slices(step))],
    "expand": lambda x, step: np.broadcast_to(x, (len(x), *step["shape"])),
}
_FUNCTIONS = {  # beside NumPy's ufuncs
    "copy": lambda x, out: np.copyto(out, x, casting="unsafe"),
    "copy_where": lambda x, mask, out: np.copyto(out, x, where=mask),
    "count": lambda levels, x, out: np.copyto(out, np.searchsorted(levels, x, side="right")),
    "max": lambda x, out: np.max(x, axis=-1, keepdims=True, out=out),
    "sum": lambda x, out: np.sum(x, axis=-1, keepdims=True, out=out),
    "argmax": lambda x, out: np.argmax(x, axis=-1, out=out[..., 0]),
    "argmin": lambda x, out: np.argmin(x, axis=-1, out=out[..., 0]),
}


def _allocate(step: Step, arrays: Arrays, batch: int) -> None:
    """The array that a step fills, or sees another one through."""
    to, source = step["to"], arrays.get(step["of"][0]) if isinstance(step["of"][0], str) else None
    if step["type"] == "view":
        arrays[to] = _VIEWS[step["do"]](source, step)
        if not np.may_share_memory(arrays[to], source):  # a permutation has no such view
            step["type"] = "copied"
    elif to not in arrays:
        arrays[to] = np.zeros((batch, *step["shape"]), step["type"])


def _calls(step: Step, views: Arrays) -> list[Call]:
    """The step as calls without arguments."""
    of, out = [views[x] if isinstance(x, str) else x for x in step["of"]], views[step["to"]]
    single = any(isinstance(x, np.ndarray) and x.dtype == np.float32 for x in of)
    with np.errstate(over="ignore"):  # a threshold that nothing reaches
        of = [np.array(x, np.float32 if single else np.float64) if isinstance(x, list) else x for x in of]
    if step["type"] == "view":
        return []
    if step["type"] == "copied":
        return [partial(np.copyto, out.reshape(of[0].shape), of[0])]
    if step["do"] == "concatenate":
        return [partial(np.concatenate, of, axis=step["axis"], out=out)]
    if step["do"] == "within":
        return [partial(_within, *of, out=out, name=step["input"])]
    return [partial(_FUNCTIONS.get(step["do"]) or getattr(np, step["do"]), *of, out=out)]
