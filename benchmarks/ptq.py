"""Accuracy of post-training quantization, beside ONNX Runtime's static quantization with the same calibration samples.

    .venv/bin/python -m benchmarks.ptq [kws] [residual] [mnist] [squeezenet]

Ours is scored on the graph with quantizers, in float64; ONNX Runtime's on its QDQ model with graph optimizations off
(its optimized int8 kernels saturate on processors without VNNI). Calibration: KWS samples 0-199, CIFAR images
3500-3999 (training images of these networks, as are those scored: the first 4,000 of the training set), the first
500 MNIST training images; scored on the rest, MNIST on its 10,000 test images.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from codesign.chunks import run_chunked
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.quantize import quantize, read_precision

DATA = Path(__file__).parent.parent.parent / "shared/data"
PRECISIONS = ("int8", "w4a8", "w4a4")
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)  # of CIFAR-10, what the residual network expects


@dataclass(frozen=True)
class Case:
    """A model, samples to calibrate on, others to score with their labels; `allowed`: points of loss by precision."""

    model: Path
    calibration: np.ndarray
    x: np.ndarray
    labels: np.ndarray
    allowed: Mapping[str, float]


def kws() -> Case:
    with np.load(DATA / "kws/kws01_mfcc.npz") as v:
        x = (v["mfcc_int8"].astype(np.float32) - v["zero_point"]) * v["scale"]
        labels = v["labels"].astype(np.int64)
    x = x.reshape(-1, 49, 10, 1).astype(np.float32)
    model = DATA / "models/kws/kws_dscnn_float.onnx"
    return Case(model, x[:200], x[200:], labels[200:], {"int8": 0.8, "w4a8": 1.8})


def cifar() -> tuple[np.ndarray, np.ndarray]:
    with np.load(DATA / "cifar10/cifar10_train_first4000.npz") as v:
        return v["images"].astype(np.float32) / 255, v["labels"].astype(np.int64)


def residual() -> Case:
    x, labels = cifar()
    x = ((x - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)).transpose(0, 3, 1, 2)
    model = DATA / "models/cifar10/ic_residual_float.onnx"
    return Case(model, x[3500:], x[:3500], labels[:3500], {"int8": 0.8, "w4a8": 3.0})


def squeezenet() -> Case:
    x, labels = cifar()
    model = DATA / "models/cifar10/squeezenet_cifar10.onnx"
    return Case(model, x[3500:], x[:3500], labels[:3500], {"int8": 0.8})


def mnist() -> Case:
    def read(name: str, offset: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((DATA / f"mnist/{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)

    train = read("train-images-idx3", 16)[: 500 * 784].reshape(-1, 1, 28, 28).astype(np.float32)
    x = read("t10k-images-idx3", 16).reshape(-1, 1, 28, 28).astype(np.float32)
    labels = read("t10k-labels-idx1", 8).astype(np.int64)
    return Case(DATA / "models/mnist/mnist-8.onnx", train, x, labels, {"int8": 0.1, "w4a4": 0.7})


CASES: dict[str, Callable[[], Case]] = {"kws": kws, "residual": residual, "mnist": mnist, "squeezenet": squeezenet}


def main(names: list[str]) -> None:
    onnxruntime.set_default_logger_severity(3)
    print(
        f"{'network':11} {'precision':9} {'float %':>8} {'ours %':>8} {'loss':>6} {'bar':>5} {'ORT %':>8} {'time s':>7}"
    )
    for name in names or list(CASES):
        measure(name, CASES[name]())


def measure(name: str, case: Case) -> None:
    """One row a precision; ONNX Runtime quantizes to 8 bits only."""
    graph = import_model(case.model).graph
    feed = graph.inputs[0].name
    real = accuracy(graph, case)
    for precision in PRECISIONS:
        start = time.perf_counter()
        found = quantize(graph, {feed: case.calibration}, read_precision(precision))
        seconds = time.perf_counter() - start
        ours = accuracy(found.graph, case)
        bar = f"{case.allowed[precision]:5.1f}" if precision in case.allowed else "    -"
        theirs = f"{onnx_runtime(case):8.2f}" if precision == "int8" else "       -"
        print(f"{name:11} {precision:9} {real:8.2f} {ours:8.2f} {real - ours:6.2f} {bar} {theirs} {seconds:7.1f}")
        worst = ", ".join(f"{r.layer} {r.sqnr_db:.1f} dB" for r in found.report.worst())
        print(f"{'':11} output {min(found.report.outputs.values()):.1f} dB; least: {worst}", flush=True)


def accuracy(graph: Graph, case: Case) -> float:
    """Percent of the samples scored."""
    y = run_chunked(graph.run, {graph.inputs[0].name: case.x}, graph.widest)[graph.outputs[0]]
    return percent(y, case.labels)


def percent(y: np.ndarray, labels: np.ndarray) -> float:
    return 100 * float((y.reshape(len(y), -1).argmax(axis=1) == labels).mean())


class Reader(CalibrationDataReader):
    """One calibration sample after the other."""

    def __init__(self, name: str, x: np.ndarray) -> None:
        self.rest = iter({name: x[n : n + 1]} for n in range(len(x)))

    def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
        return next(self.rest, None)


def onnx_runtime(case: Case) -> float:
    """Percent right of ONNX Runtime's QDQ quantization: min-max, weights int8 per channel, activations uint8."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        proto = onnx.load(case.model)
        if proto.opset_import[0].version < 13:
            proto = version_converter.convert_version(proto, 13)
        constants = {i.name for i in proto.graph.initializer}
        name = next(i.name for i in proto.graph.input if i.name not in constants)
        onnx.save(proto, given)
        quantize_static(
            given, made, Reader(name, case.calibration), quant_format=QuantFormat.QDQ, per_channel=True,
            weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
        )  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(made), options, providers=["CPUExecutionProvider"])
        batch = 1 if isinstance(session.get_inputs()[0].shape[0], int) else 100
        x = case.x
        y = [session.run(None, {name: x[n : n + batch]})[0] for n in range(0, len(x), batch)]
    return percent(np.concatenate(y), case.labels)


if __name__ == "__main__":
    main(sys.argv[1:])
