"""Every float network of ../shared/data/models/{qonnx,hls4ml} quantized to 8 bits: the noise at its outputs.

    .venv/bin/python -m benchmarks.float_networks [part of a path ...]

Inputs: images where the models come with some (espcn: tiles of its test image, mirrored ones to calibrate; mnist-conv:
MNIST, training images to calibrate), else numbers drawn from the normal distribution with a fixed seed. 128 samples
calibrate, others are measured: the signal-to-quantization-noise ratio of all outputs, without learned rounding and with
it, with the processor seconds that quantization took. Below BAR the layers that bring most of the error are named.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, version_converter

from benchmarks.cases import DATA, mnist
from benchmarks.networks import imported
from benchmarks.ptq import OURS
from codesign.errors import UserError
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.quantize import Quantized, is_quantized, quantize, read_precision
from codesign.quantize.report import tensor_noise

BAR = 30.0  # dB
SAMPLES = 128
OLDEST_OPSET, CONVERTED_OPSET = 7, 13  # what came earlier is converted, as the importer's message asks for

Arrays = dict[str, np.ndarray]


def main(parts: list[str]) -> None:
    print(f"{'network':46} {'nearest dB':>10} {'cpu s':>6} {'learned dB':>10} {'cpu s':>6}")
    for path in networks():
        name = str(path.relative_to(DATA / "models"))
        if not parts or any(p in name for p in parts):
            try:
                measure(name, path)
            except UserError as e:
                print(f"{name:46} refused: {e}", flush=True)


def networks() -> Iterator[Path]:
    for folder in ("qonnx", "hls4ml"):
        yield from sorted((DATA / "models" / folder).glob("**/*.onnx"))


def measure(name: str, path: Path) -> None:
    """One row, and who is at fault where it is below the bar."""
    graph = read(path)
    if is_quantized(graph):
        return
    calibration, others = inputs(name, graph)
    row, last = f"{name:46}", None
    for steps in OURS.values():
        start = time.process_time()
        last = quantize(graph, calibration, read_precision("int8"), steps=steps)
        seconds = time.process_time() - start
        row += f" {outputs_db(graph, last, others):10.1f} {seconds:6.1f}"
    print(row, flush=True)
    assert last is not None
    if outputs_db(graph, last, others) < BAR:
        worst = ", ".join(
            f"{r.layer} ({r.sqnr_db:.1f} dB, {r.noise_share:.0%} of the error)" for r in last.report.worst()
        )
        print(f"{'':46} below {BAR:g} dB for: {worst}")


def outputs_db(graph: Graph, found: Quantized, samples: Arrays) -> float:
    """The least of all outputs."""
    return min(tensor_noise(graph, found.graph, samples, [(o, o) for o in graph.outputs]))


def read(path: Path) -> Graph:
    proto = onnx.load(path)
    if proto.opset_import[0].version >= OLDEST_OPSET:
        return import_model(path).graph
    return imported(version_converter.convert_version(proto, CONVERTED_OPSET))


def inputs(name: str, graph: Graph) -> tuple[Arrays, Arrays]:
    """(samples to calibrate, others)."""
    if "mnist-conv" in name:
        case = mnist()
        return {graph.inputs[0].name: case.calibration[:SAMPLES]}, {graph.inputs[0].name: case.x[:SAMPLES]}
    if "espcn" in name:
        tensor = onnx.TensorProto.FromString((DATA / "models/qonnx/bsd300x3-espcn/test_data/input_0.pb").read_bytes())
        image = numpy_helper.to_array(tensor)
        size = graph.inputs[0].type.shape[-1]
        mirrored = np.concatenate([image[..., ::-1], image[..., ::-1, :], image[..., ::-1, ::-1]])
        return {graph.inputs[0].name: tiles(mirrored, size)[:SAMPLES]}, {graph.inputs[0].name: tiles(image, size)}
    rng = np.random.default_rng(0)
    drawn = [{i.name: rng.normal(size=(SAMPLES, *i.type.shape)) for i in graph.inputs} for _ in range(2)]
    return drawn[0], drawn[1]


def tiles(images: np.ndarray, size: int) -> np.ndarray:
    """(n, channels, rows, columns) -> (tiles, channels, size, size), without overlap."""
    n, channels, rows, columns = images.shape
    cut = images.reshape(n, channels, rows // size, size, columns // size, size)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(-1, channels, size, size)


if __name__ == "__main__":
    main(sys.argv[1:])
