"""Runs on the board, beside driver.py: inferences one by one and in batches, timed. Python 3.8 or newer, numpy.

python3 stopwatch.py --calls 200 --batch 64     runs samples_N.npy on accelerator.bit, writes results_N.npy; the last
                                                line is JSON: seconds and clocks of every call
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from typing import Any

import numpy as np

_HERE = os.path.dirname(os.path.abspath(__file__))
WARM_UP = 5  # calls before the first that counts
SECONDS = ("total_s", "packing_s", "waiting_s", "unpacking_s", "paused_s")
CLOCKS = ("busy_cycles", "latency_slowest", "input_stalls", "output_stalls")


def measure(accelerator: Any, inputs: list[np.ndarray], calls: int, batch: int) -> dict[str, Any]:
    """`single`: calls of one sample; `batch`: as many samples as `calls` at least, in calls of `batch`."""
    in_batches = max(-(-calls // batch), 3)
    return {
        "single": series(accelerator, inputs, 1, calls),
        "batch": series(accelerator, inputs, batch, in_batches),
    }


def series(accelerator: Any, inputs: list[np.ndarray], size: int, calls: int) -> dict[str, Any]:
    """`calls` calls of `size` samples behind WARM_UP others: seconds of each call and lap, the design's counts."""
    found: dict[str, list[float]] = {name: [] for name in (*SECONDS, *CLOCKS)}
    for k in range(-WARM_UP, calls):
        samples = [x[(np.arange(size) + k * size) % len(x)] for x in inputs]
        begun = time.perf_counter()
        accelerator.run(*samples)
        total = time.perf_counter() - begun
        if k < 0:
            continue
        counts = accelerator.counters()
        seconds = (total, *map(float, accelerator.laps), accelerator.paused_s)
        for name, value in zip(found, (*seconds, *(counts[name] for name in CLOCKS))):
            found[name].append(value)
    return {"size": size, "calls": calls, "warm_up": WARM_UP, **found}


def open_device(manifest: Any, bitstream: str, memory: str | None, driver: Any) -> Any:
    """The board under PYNQ; with `memory` (ADDRESS:BYTES) without."""
    if not memory:
        return driver.PynqDevice(bitstream)
    address, _, size = memory.partition(":")
    clock_hz, crystal_hz = manifest["estimated"]["clock_mhz"] * 1e6, manifest["board"]["ps_clock_hz"]
    return driver.LinuxDevice(bitstream, (int(address, 0), int(size, 0)), clock_hz, crystal_hz)


def main() -> None:
    import check
    import driver

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--memory", help="ADDRESS:BYTES that Linux leaves alone; without PYNQ")
    parser.add_argument("--attended", action="store_true", help="end when standard input does")
    a = parser.parse_args()
    if a.attended:
        check.leave_with_input()
    manifest, bitstream = (os.path.join(_HERE, name) for name in ("manifest.json", "accelerator.bit"))
    try:
        with open(manifest) as file:
            content = json.load(file)
        device = open_device(content, bitstream, a.memory, driver)
        count = len(content["system"]["host"]["inputs"])
        inputs = [np.load(os.path.join(_HERE, f"samples_{k}.npy")) for k in range(count)]
        with driver.Accelerator(manifest, device, a.batch) as accelerator:
            results = accelerator.run(*inputs)
            for k, y in enumerate(results if isinstance(results, tuple) else (results,)):
                np.save(os.path.join(_HERE, f"results_{k}.npy"), y)
            found = measure(accelerator, inputs, a.calls, a.batch)
    except ImportError as e:
        found = {"error": f"{e}; without PYNQ give --memory ADDRESS:BYTES that Linux leaves alone"}
    except driver.DriverError as e:
        found = {"error": str(e)}
    print(json.dumps({**found, "python": platform.python_version(), "machine": platform.machine()}))
    sys.exit("error" in found)


if __name__ == "__main__":
    main()
