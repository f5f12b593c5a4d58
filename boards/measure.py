"""Latency and throughput of a build on a board or a simulated one, split by cause, every number with its origin."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from boards import board_named, driver, stopwatch
from boards.bitstream import BIT, FOLDER
from boards.measure_remote import SCHEME, measure_remote, target_of
from boards.overlay import hwh
from codesign import arrays
from codesign.errors import CheckFailed, UserError
from codesign.passes.split import Model
from hw.axi.registers import register_map

DDR_BYTES_S = 4.2e9  # of a Zynq-7020's memory: 32 bits at 1,050 MT/s
SIMULATED = "simulated device"
# A Cortex-A9 at 650 MHz beside a current x86 core: a fifth of the clock, a third of the instructions a clock, and half
# a megabyte of cache. An assumption, not a measurement.
A9_FACTOR = 30
_PERCENTILES = {"median": 50, "p95": 95, "p99": 99, "max": 100}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure: inferences in all, samples a batch; how the board is reached.

    `memory`: ADDRESS:BYTES that a Linux without PYNQ leaves alone; `identity`: a private key file for SSH.
    """

    count: int = 200
    batch: int = 64
    memory: str | None = None
    identity: Path | None = None


@dataclass(frozen=True)
class Timed:
    """What a device gave: the network's outputs for all samples, and stopwatch.measure's findings."""

    outputs: list[np.ndarray]
    found: Mapping[str, Any]
    device: str


def measure_build(
    build: Path, manifest: Mapping[str, Any], network: Model, device: str, inputs: Path | None, plan: Plan,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """The result for the manifest; CheckFailed where outputs differ from the integer emulator."""
    system = manifest["system"]
    for part in (system, system.get("host", {})):
        if "missing" in part:
            raise UserError(f"{build} cannot be measured: {part['missing']}")
    samples, origin = _samples(network, inputs, plan)
    try:
        timed = _run(build, manifest, device, samples, plan, progress)
    except driver.DriverError as e:
        raise CheckFailed(f"{device}: {e}") from None
    _compare(network, samples, timed.outputs)
    counted = {"samples": len(samples[0]), "mismatches": 0, "inputs": origin}
    return {**_described(manifest, timed, plan), **counted}


def _samples(network: Model, path: Path | None, plan: Plan) -> tuple[list[np.ndarray], str]:
    """Samples of every input, and in words where they are from."""
    graph = network.before
    if path is not None:
        feeds = arrays.read_inputs(path, graph.inputs)
        return [feeds[i.name] for i in graph.inputs], path.name
    rng = np.random.default_rng(0)
    shapes = [(max(plan.batch, 64), *i.type.shape) for i in graph.inputs]
    return [rng.uniform(0, 1, s).astype(np.float32) for s in shapes], "uniform random numbers in 0..1, seed 0"


def _run(
    build: Path, manifest: Mapping[str, Any], device: str, samples: list[np.ndarray], plan: Plan, progress: Progress
) -> Timed:
    if device == "sim":
        return _on_simulated(build, manifest, samples, plan, progress)
    if device == "local":
        return _on_this_board(build, manifest, samples, plan)
    if device.startswith(SCHEME):
        arguments = ["--calls", str(plan.count), "--batch", str(plan.batch)]
        arguments += ["--memory", plan.memory] if plan.memory else []
        target = target_of(device, plan.identity)
        outputs, found = measure_remote(build, manifest, target, samples, arguments, progress)
        return Timed(outputs, found, str(target))
    raise UserError(f"no device '{device}'; it is sim, ssh://USER@HOST, or local on the board itself")


def _on_simulated(
    build: Path, manifest: Mapping[str, Any], samples: list[np.ndarray], plan: Plan, progress: Progress
) -> Timed:
    """The unmodified driver on PYNQ on the Verilated system."""
    try:
        from boards.simdevice import SimDevice
    except ImportError as e:
        raise UserError(f"the simulated board needs PYNQ ({e}): pip install 'codesign[pynq]'") from None
    progress("building the simulated system")
    with tempfile.TemporaryDirectory(prefix="codesign_board_") as name:
        board = SimDevice(build, manifest)
        bitstream = write_overlay(manifest, Path(name))
        progress("running the driver on the simulated board")
        with closing(driver.PynqDevice(bitstream, lock=f"{name}/lock")) as pynq:
            timed, accelerator = _timed(build, pynq, samples, plan, SIMULATED)
            board.logic = False  # the model's own time, and what it does to the caches, is none of the driver's
            alone = stopwatch.measure(accelerator, samples, plan.count, plan.batch)
        found = {k: {**timed.found[k], **{s: alone[k][s] for s in stopwatch.SECONDS}} for k in ("single", "batch")}
        return replace(timed, found=found)


def write_overlay(manifest: Mapping[str, Any], folder: Path) -> Path:
    """What `pynq.Overlay` opens: the .hwh, and an empty file in the place of the bitstream, for the simulated board."""
    ports = manifest["system"]
    registers = register_map(len(ports["inputs"]), len(ports["outputs"]))
    clock_hz = manifest["estimated"]["clock_mhz"] * 1e6
    (folder / "accelerator.hwh").write_text(hwh(registers, board_named(manifest["board"]["name"]), clock_hz))
    (folder / "accelerator.bit").write_bytes(b"")
    return folder / "accelerator.bit"


def _on_this_board(build: Path, manifest: Mapping[str, Any], samples: list[np.ndarray], plan: Plan) -> Timed:
    """The bitstream of the build on the board that this runs on."""
    bitstream = build / FOLDER / BIT
    if not bitstream.is_file():
        raise UserError(f"{bitstream} is missing; make it with `codesign bitstream {build}`")
    try:
        device = stopwatch.open_device(manifest, str(bitstream), plan.memory, driver)
    except ImportError as e:
        raise UserError(f"{e}; on a Linux without PYNQ give --memory ADDRESS:BYTES that Linux leaves alone") from None
    with closing(device):
        return _timed(build, device, samples, plan, "this board")[0]


def _timed(
    build: Path, device: Any, samples: list[np.ndarray], plan: Plan, name: str
) -> tuple[Timed, driver.Accelerator]:
    accelerator = driver.Accelerator(build / "manifest.json", device, plan.batch)
    results = accelerator.run(*samples)
    outputs = list(results) if isinstance(results, tuple) else [results]
    return Timed(outputs, stopwatch.measure(accelerator, samples, plan.count, plan.batch), name), accelerator


def _compare(network: Model, samples: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    wanted = network.run({i.name: x for i, x in zip(network.before.inputs, samples, strict=True)})
    for (name, want), got in zip(wanted.items(), outputs, strict=True):
        kind = np.int64 if network.after.types[name].is_integer else np.float32
        wrong = np.flatnonzero((want.astype(kind) != got).reshape(len(got), -1).any(axis=1))
        if len(wrong):
            raise CheckFailed(
                f"{len(wrong)} of {len(got)} samples differ from the integer emulator at output '{name}'; the first is "
                f"sample {wrong[0]}"
            )


# ---- from seconds and clocks to what people read ----
def _described(manifest: Mapping[str, Any], timed: Timed, plan: Plan) -> dict[str, Any]:
    clock_mhz = manifest["estimated"]["clock_mhz"]
    simulated = timed.device == SIMULATED
    single, batch = (_split(timed.found[k], clock_mhz, simulated) for k in ("single", "batch"))
    logic = f"{'simulated' if simulated else 'measured'} clocks at {clock_mhz:g} MHz"
    whose = "this machine's" if simulated or timed.device == "this board" else "the board's"
    alone = ", without logic" if simulated else ""
    a9 = {"cortex_a9": _on_a9(single, batch)} if simulated else {}
    return {
        "source": f"{timed.device}: fabric and transfer in {logic}, the driver in {whose} time{alone}",
        "device": timed.device, "clock_mhz": clock_mhz, "batch_size": plan.batch, "warm_up_calls": stopwatch.WARM_UP,
        "single": single, "batch": batch, "rates": _rates(manifest, batch, plan.batch), **a9,
    }  # fmt: skip


def _split(found: Mapping[str, Any], clock_mhz: float, simulated: bool) -> dict[str, Any]:
    """Microseconds of a call: percentiles of the whole, medians of the parts.

    On the simulated device the driver is timed without logic, and the run takes the design's own clocks.
    """
    us = {k: 1e6 * np.asarray(found[k]) for k in stopwatch.SECONDS}
    busy, latency = (np.asarray(found[k]) / clock_mhz for k in ("busy_cycles", "latency_slowest"))
    if simulated:
        overhead = us["waiting_s"] - us["paused_s"]
        total = us["total_s"] - us["waiting_s"] + busy + overhead
    else:
        overhead, total = us["waiting_s"] - busy, us["total_s"]
    single = found["size"] == 1
    fabric = latency if single else busy
    parts = {
        "packing_us": us["packing_s"], "fabric_us": fabric, "transfer_us": busy - fabric,
        "registers_us": overhead, "unpacking_us": us["unpacking_s"],
    }  # fmt: skip
    return {
        "calls": found["calls"], "samples_a_call": found["size"],
        **{f"{name}_us": _rounded(np.percentile(total, q)) for name, q in _PERCENTILES.items()},
        "split": {k: _rounded(np.median(v)) for k, v in parts.items()},
        "busy_cycles": int(np.median(found["busy_cycles"])), "latency_cycles": int(np.median(found["latency_slowest"])),
        "input_stall_cycles": int(np.median(found["input_stalls"])),
        "output_stall_cycles": int(np.median(found["output_stalls"])),
        "driver_us": _rounded(np.median(us["packing_s"] + us["unpacking_s"] + overhead)),
    }  # fmt: skip


def _rounded(value: Any) -> float:
    return round(float(value), 2)


def _rates(manifest: Mapping[str, Any], batch: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Frames a second that each part could keep up, and what is left end to end: the least."""
    ports = (*manifest["system"]["inputs"], *manifest["system"]["outputs"])
    frame_bytes = sum(p["frame_bytes"] for p in ports)
    rates = {
        "fabric_fps": round(size / batch["busy_cycles"] * manifest["estimated"]["clock_mhz"] * 1e6),
        "ddr_fps": round(DDR_BYTES_S / frame_bytes),
        "driver_fps": round(size / batch["median_us"] * 1e6),
    }
    least = min(rates, key=lambda k: rates[k])
    return {**rates, "end_to_end_fps": rates[least], "bound_by": least.removesuffix("_fps"), "frame_bytes": frame_bytes}


def _on_a9(single: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
    """What a call would take where the driver runs on the board's processor: an estimate, said so."""

    def call_us(of: Mapping[str, Any]) -> float:
        logic = of["split"]["fabric_us"] + of["split"]["transfer_us"]
        return _rounded(A9_FACTOR * of["driver_us"] + logic)

    return {
        "source": f"estimated: the driver on a Cortex-A9 at 650 MHz in {A9_FACTOR} times this machine's time, assumed",
        "driver_single_us": _rounded(A9_FACTOR * single["driver_us"]), "single_us": call_us(single),
        "batch_us": call_us(batch), "fps": round(batch["samples_a_call"] / call_us(batch) * 1e6),
    }  # fmt: skip
