"""The largest rates that the chip allows: `compile --target-fps max`, simulated and synthesized, as README's table.

    .venv/bin/python -m benchmarks.max_rate [mnist_cnn_w4a4 ..] [--frames N]

The DDR's rate counts a frame's bytes in and out at 4.2 GB/s; what else bounds a board is in docs/measure.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import DATA, kws
from boards.measure import DDR_BYTES_S
from codesign import timing_table
from codesign.flow import Build, compile_model, simulate_build, synthesize_build
from codesign.options import Options
from codesign.words import limits_of


def _mnist_cnn() -> tuple[Path, np.ndarray]:
    with np.load(DATA / "models/bench/mnist_cnn_w4a4_vectors.npz") as v:
        return DATA / "models/bench/mnist_cnn_w4a4_qonnx.onnx", v["x"]


def _kws() -> tuple[Path, np.ndarray]:
    return DATA / "models/kws/kws_dscnn_int8_qdq.onnx", kws().x


NETWORKS: dict[str, Callable[[], tuple[Path, np.ndarray]]] = {"mnist_cnn_w4a4": _mnist_cnn, "kws_dscnn_int8": _kws}
COLUMNS = (
    "network", "frames/s of the fabric", "of the DDR", "latency, cycles", "interval", "LUT estimated", "synthesized",
    "paired", "FF", "DSP", "BRAM36", "words simulated", "what binds", "static timing",
)  # fmt: skip


def row(name: str, frames: int) -> list[str]:
    """Compiled, simulated on so many samples, synthesized; CheckFailed where a word is wrong."""
    model, x = NETWORKS[name]()
    with tempfile.TemporaryDirectory() as folder:
        inputs, built = Path(folder) / "x.npy", Path(folder) / "build"
        np.save(inputs, x[:frames])
        compile_model(model, built, Options(target_fps="max"), lambda text: print(f"{name}: {text}", flush=True))
        build = Build.open(built)
        print(f"{name}: {limits_of(build.manifest['estimated'])}", flush=True)
        shown = simulate_build(build, inputs, None, "verilator", None, None, lambda done, total: None)
        return _cells(name, build, shown, synthesize_build(build))


def _cells(name: str, build: Build, shown: dict[str, Any], used: dict[str, Any]) -> list[str]:
    estimated = build.manifest["estimated"]
    bound = estimated["bound"]
    moved = sum(bytes_of(s) for p in ("inputs", "outputs") for s in build.manifest["rtl"][p])
    counts = [estimated["lut"], *(used[k] for k in ("lut", "lut_paired", "ff", "dsp", "bram36"))]
    return [
        name, f"{shown['fabric_fps']:,.0f}", f"{DDR_BYTES_S / moved:,.0f}",
        f"{shown['latency_cycles']:,}", f"{shown['interval_cycles']:,}", *(f"{c:,.0f}" for c in counts),
        f"{shown['words']:,}, all equal",
        "nothing: no folding is faster" if bound is None else bound["resource"].upper(),
        f"{timing_table.clock(used['timing'])}; {timing_table.rule(used['timing'])}",
    ]  # fmt: skip


def bytes_of(port: dict[str, Any]) -> int:
    """A frame's in memory: beats of the port's whole bytes."""
    return port["beats"] * -(-port["port_bits"] // 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--frames", type=int, default=20)
    arguments = parser.parse_args()
    rows = [row(name, arguments.frames) for name in arguments.names or NETWORKS]
    for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
