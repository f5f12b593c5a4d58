"""How fast the integer emulator runs TFC_1W1A, beside NumPy and the qonnx package, all in this one process.

    .venv/bin/python -m benchmarks.run_speed [MODEL.onnx]

Images a second, best of several rounds, interleaved so that a busy machine slows all alike. "NumPy" is a float32
forward pass over the same matrix shapes with nothing between the products: what any executor could reach at most.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from benchmarks.cases import DATA
from benchmarks.rounds import best_seconds
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.ops.matmul import MatMul
from codesign.passes import run_passes
from codesign.passes.split import split

DEFAULT = DATA / "models/mnist/TFC_1W1A.onnx"
BATCH = 10_000
ROUNDS = 15


def main(path: Path) -> None:
    network = split(run_passes(import_model(path).graph)[0])
    (given,) = network.before.inputs
    x = np.random.default_rng(0).random((BATCH, *given.type.shape), dtype=np.float32)
    runs = {
        "codesign run": (BATCH, lambda: network.run({given.name: x})),
        "NumPy float32": (BATCH, numpy_pass(network.core, x)),
        "qonnx, batch 1": (1, qonnx_pass(path, x[:1])),
        "qonnx, batch 1,000": (1000, qonnx_pass(path, x[:1000])),
    }
    best = best_seconds({name: run for name, (_, run) in runs.items()}, ROUNDS)
    rate = {name: images / best[name] for name, (images, _) in runs.items()}
    print(f"{path.name}, measured, images a second (batch {BATCH} unless said):")
    for name, images in rate.items():
        print(f"  {name:20} {images:12,.0f}   codesign is {rate['codesign run'] / images:9.2f} times this")


def numpy_pass(core: Graph, x: np.ndarray) -> Callable[[], object]:
    """x through float32 matrices of the network's shapes."""
    rng = np.random.default_rng(0)
    shapes = [core.types[n.inputs[1]].shape for n in core.nodes if isinstance(n.op, MatMul)]
    matrices = [rng.standard_normal(s, dtype=np.float32) for s in shapes]

    def run() -> np.ndarray:
        y = x.reshape(len(x), -1)
        for matrix in matrices:
            y = y @ matrix
        return y

    return run


def qonnx_pass(path: Path, x: np.ndarray) -> Callable[[], object]:
    """The qonnx package's own executor at the batch of `x`."""
    proto = onnx.load(path)
    for value in (*proto.graph.input, *proto.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in {i.name for i in proto.graph.initializer} and dims:
            dims[0].dim_value = len(x)
    model = cleanup_model(ModelWrapper(proto))
    name = model.graph.input[0].name
    return lambda: execute_onnx(model, {name: x})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
