"""Runs in the peers' own environment, which knows nothing of this project: a network's RTL by da4ml or alkaid.

    python peer.py da4ml|alkaid UNITS FOLDER   # layers.npz -> design.v (top `model`) and peer.json

UNITS: of a peer's own delay measure in a pipeline stage. In peer.json: `seconds` of processor time for a second
generation, the peer's own `cost`, `cycles` from the inputs' pins to the outputs' (the inputs' registers, which the
peers leave out of their own figure, are one), and how many samples the peer's model of its circuit gets `wrong`.

Rounding is given as a constant and a cut (half goes up, the cheapest that peers have); no tie is rounded to even.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def network(x: Any, layers: list[tuple[np.ndarray, np.ndarray, int, int]]) -> Any:
    """x @ W + c, cut by so many bits and clamped to levels 0..2^bits - 1 (bits 0: as it is), layer by layer."""
    for weights, constant, shift, bits in layers:
        x = x @ weights.astype(np.float64) + constant.astype(np.float64)
        if bits:
            x = x.quantize(0, bits + shift, -shift, overflow_mode="SAT", round_mode="TRN") * 2.0**-shift
    return x


def reference(x: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray, int, int]]) -> np.ndarray:
    """The same in NumPy."""
    for weights, constant, shift, bits in layers:
        x = x @ weights + constant
        if bits:
            x = np.clip(x >> shift, 0, (1 << bits) - 1)
    return x


def generate(peer: str, units: float, folder: Path, signed: bool, bits: int, layers: list[Any]) -> tuple[Any, Any]:
    """The traced network and its written RTL model."""
    inputs = len(layers[0][0])
    kif = (np.full(inputs, int(signed)), np.full(inputs, bits - signed), np.zeros(inputs, int))
    if peer == "da4ml":
        from da4ml.codegen.rtl import RTLModel  # pyright: ignore[reportMissingImports]
        from da4ml.trace import FixedVariableArray, HWConfig, comb_trace  # pyright: ignore[reportMissingImports]

        x = FixedVariableArray.from_kif(*kif, HWConfig(1, -1, -1), 0, {"hard_dc": 2})
        comb = comb_trace(x, network(x, layers))
        model = RTLModel(comb, "model", folder, "verilog", latency_cutoff=units)
    else:
        from alkaid.codegen import RTLModel  # pyright: ignore[reportMissingImports]
        from alkaid.trace import FVArray, HWConfig, trace  # pyright: ignore[reportMissingImports]

        x = FVArray.from_kif(*kif, HWConfig(1, 1, -1), 0, {"hard_dc": 5})
        comb = trace(x, network(x, layers))
        model = RTLModel(comb, folder, "model", flavor="verilog", latency_cutoff=units)
    model.write()
    return comb, model


def main() -> None:
    peer, units, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    with np.load(folder / "layers.npz") as stored:
        count, signed, bits = (int(stored[k]) for k in ("count", "signed", "bits"))
        layers = [(stored[f"w{k}"], stored[f"c{k}"], int(stored[f"s{k}"]), int(stored[f"b{k}"])) for k in range(count)]
        samples = stored["x"]
    generate(peer, units, folder / "cold", bool(signed), bits, layers)  # imports, and whatever is compiled at first use
    started = time.process_time()
    comb, model = generate(peer, units, folder, bool(signed), bits, layers)
    seconds = time.process_time() - started
    wrong = (comb.predict(samples.astype(np.float64)) != reference(samples, layers)).any(axis=1).sum()
    own = "\n".join(p.read_text() for p in sorted((folder / "src").glob("*.v")) if "wrapper" not in p.name)
    static = [p.read_text() for p in sorted((folder / "src/static").glob("*.v")) if p.stem in own]
    (folder / "design.v").write_text("\n".join([own, *static]))
    cycles = model.latency if peer == "alkaid" else len(model._pipe.solutions)
    told = {"seconds": seconds, "cost": float(comb.cost), "cycles": int(cycles) + 1, "wrong": int(wrong)}
    (folder / "peer.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
