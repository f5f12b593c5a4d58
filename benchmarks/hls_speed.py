"""How fast hls4ml's compiled library runs beside `codesign run`'s emulator, and how long both take to get there.

    .venv/bin/python -m benchmarks.hls_speed [MODEL.onnx]

Frames a second, best of several rounds, interleaved so that a busy machine slows all alike; the library is built by
hls4ml's own script with its own flags (-O3) and called by hls4ml's own `predict`, without traces. Both take the same
integers and give the same; that they do is checked. Times from the model's file: to the emulator (import, passes,
split), and to the library (the same, then the project and g++).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.cases import DATA
from benchmarks.rounds import best_seconds
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.split import Model, split
from hw.hls.check import seeded_inputs
from hw.hls.lower import lower
from hw.hls.project import Device, convert, quiet

DEFAULT = DATA / "models/bench/digits_mlp_w4a4_qonnx.onnx"
FRAMES, ROUNDS = 10_000, 7
DEVICE = Device("xc7z020clg400-1", 100.0)


def main(path: Path) -> None:
    start = time.perf_counter()
    network = split(run_passes(import_model(path).graph)[0])
    to_emulator = time.perf_counter() - start
    words = seeded_inputs(network.core, FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        library = compiled(network, Path(folder))
        to_library = to_emulator + time.perf_counter() - start
        (given,), (out,) = network.core.inputs, network.core.outputs
        x = np.ascontiguousarray(words[given.name].reshape(FRAMES, -1))
        runs = {
            "codesign run": lambda: network.core.run(words)[out].reshape(FRAMES, -1),
            "hls4ml's library": lambda: library(x),
        }
        results = {name: run() for name, run in runs.items()}
        assert (results["codesign run"] == results["hls4ml's library"]).all(), "the two differ"
        rates = {name: FRAMES / seconds for name, seconds in best_seconds(runs, ROUNDS).items()}
    print(f"{path.name}, {FRAMES:,} frames, measured, {results['codesign run'].size:,} words equal:")
    for name, seconds in (("codesign run", to_emulator), ("hls4ml's library", to_library)):
        print(f"  {name:18} {rates[name]:12,.0f} frames/s   {seconds:7.2f} s from the model's file")
    ratio = rates["codesign run"] / rates["hls4ml's library"]
    sooner = to_library / to_emulator
    print(f"  codesign run is {ratio:.1f} times as fast (bar: 8), and ready {sooner:.0f} times as soon")


def compiled(network: Model, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """hls4ml's own `predict` on the library that its own script builds."""
    model = convert(lower(network.core, "io_parallel", 1), "vitis", DEVICE, folder, trace=False)
    with quiet():
        model.compile()
    return lambda x: np.asarray(model.predict(x)).reshape(len(x), -1)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
