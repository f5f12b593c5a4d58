"""Accuracy of post-training quantization, beside ONNX Runtime's static quantization with the same calibration samples.

    .venv/bin/python -m benchmarks.ptq [kws] [residual] [mnist] [squeezenet]

Ours (ranges measured, the default) with weights rounded to nearest and with learned rounding (the default), scored on
the graph with quantizers, in float64. ONNX Runtime's (ranges by min-max, its default) with a scale for each output
channel and with one a tensor (its default), scored on its QDQ model with graph optimizations off (its optimized int8
kernels saturate on processors without VNNI). Samples: see benchmarks/cases.py. `only ours / only theirs`: samples that
one answers rightly and the other wrongly; where these few balance, the two are equally accurate.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from benchmarks.cases import CASES, Case, answers, classes, percent
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.quantize import STEPS, quantize, read_precision

NEAREST = tuple(s for s in STEPS if s != "rounding")
OURS = {"nearest": NEAREST, "learned": STEPS}
# precision: types of ONNX Runtime's weights and activations, and the opset that has them
PRECISIONS = {
    "int8": (QuantType.QInt8, QuantType.QUInt8, 13),
    "w4a8": (QuantType.QInt4, QuantType.QUInt8, 21),
    "w4a4": (QuantType.QInt4, QuantType.QUInt4, 21),
}
THEIRS = {"per channel": True, "per tensor": False}


def main(names: list[str]) -> None:
    onnxruntime.set_default_logger_severity(3)
    logging.disable(logging.WARNING)
    for name in names or list(CASES):
        measure(name, CASES[name]())


def measure(name: str, case: Case) -> None:
    """A block for each precision: two rows of ours, two of ONNX Runtime's."""
    graph = import_model(case.model).graph
    real = answers(graph, case)
    print(f"{name}: float {percent(real, case):.2f} % of {len(case.x)} samples, {len(case.calibration)} to calibrate")
    for precision in PRECISIONS:
        bar = f", at most {case.allowed[precision]} points allowed" if precision in case.allowed else ""
        print(f"  {precision}{bar}")
        ours = {title: _ours(graph, case, precision, title) for title in OURS}
        for title, found in ours.items():
            _row(f"ours, {title} rounding", found, case, real)
        for title, per_channel in THEIRS.items():
            found = onnx_runtime(case, precision, per_channel)
            _row(f"ONNX Runtime, {title}", found, case, real, ours["learned"][0])


def _ours(graph: Graph, case: Case, precision: str, title: str) -> tuple[np.ndarray, float]:
    """(answers, processor seconds that quantization took)."""
    start = time.process_time()
    samples = {graph.inputs[0].name: case.calibration}
    found = quantize(graph, samples, read_precision(precision), steps=OURS[title])
    seconds = time.process_time() - start
    return answers(found.graph, case), seconds


def _row(
    title: str, found: tuple[np.ndarray, float], case: Case, real: np.ndarray, ours: np.ndarray | None = None
) -> None:
    """Accuracy, loss, answers that differ from the float network's; `ours`: the answers to compare theirs with."""
    y, seconds = found
    loss = percent(real, case) - percent(y, case)
    text = f"    {title:26} {percent(y, case):6.2f} %  loss {loss:6.2f}  answers changed {(y != real).sum():5}"
    if ours is not None:
        right, other = ours == case.labels, y == case.labels
        difference = percent(ours, case) - percent(y, case)
        text += (
            f"  ours {difference:+6.2f}  only ours / only theirs {(right & ~other).sum()} / {(other & ~right).sum()}"
        )
    print(f"{text}  {seconds:5.1f} cpu s", flush=True)


class Reader(CalibrationDataReader):
    """One calibration sample after the other."""

    def __init__(self, name: str, x: np.ndarray) -> None:
        self.rest = iter({name: x[n : n + 1]} for n in range(len(x)))

    def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
        return next(self.rest, None)


def onnx_runtime(case: Case, precision: str, per_channel: bool) -> tuple[np.ndarray, float]:
    """(answers, processor seconds) of ONNX Runtime's QDQ quantization."""
    weights, activations, opset = PRECISIONS[precision]
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        proto = onnx.load(case.model)
        if proto.opset_import[0].version < opset:
            proto = version_converter.convert_version(proto, opset)
        constants = {i.name for i in proto.graph.initializer}
        name = next(i.name for i in proto.graph.input if i.name not in constants)
        onnx.save(proto, given)
        start = time.process_time()
        quantize_static(
            given, made, Reader(name, case.calibration), quant_format=QuantFormat.QDQ, per_channel=per_channel,
            weight_type=weights, activation_type=activations,
        )  # fmt: skip
        seconds = time.process_time() - start
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(made), options, providers=["CPUExecutionProvider"])
        batch = 1 if isinstance(session.get_inputs()[0].shape[0], int) else 100
        x = case.x
        y = [session.run(None, {name: x[n : n + batch]})[0] for n in range(0, len(x), batch)]
    return classes(np.concatenate(y)), seconds


if __name__ == "__main__":
    main(sys.argv[1:])
