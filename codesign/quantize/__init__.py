"""Post-training quantization: a real graph and calibration samples -> the same graph with quantizers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.graph import Graph
from codesign.passes.weights import integer_form
from codesign.quantize.canonical import is_product
from codesign.quantize.choose_ranges import MEASURED, best_observer
from codesign.quantize.insert import insert, quantized_name
from codesign.quantize.observers import OBSERVERS
from codesign.quantize.precision import Precision, read_precision
from codesign.quantize.prepare import Prepared, canonical, is_quantized, prepare, starts
from codesign.quantize.reconstruct import reconstruct
from codesign.quantize.report import LayerReport, Report, tensor_noise
from codesign.quantize.sensitivity import Chosen, noise_shares

__all__ = [
    "OBSERVERS",
    "STEPS",
    "Precision",
    "Quantized",
    "Report",
    "check_weights",
    "is_quantized",
    "quantize",
    "read_precision",
]

STEPS = ("equalize", "rounding", "bias")  # optional, in this order


@dataclass(frozen=True)
class Quantized:
    """The graph with quantizers, the same in canonical form before they were inserted, and what they cost."""

    graph: Graph
    real: Graph
    report: Report


def quantize(
    graph: Graph,
    samples: Mapping[str, np.ndarray],
    precision: Precision,
    observer: str = MEASURED,
    steps: Collection[str] = STEPS,
    progress: Callable[[str], None] = lambda _: None,
) -> Quantized:
    """Quantize a real graph; samples by input name, with a leading sample axis. UserError where they don't fit."""
    real, layers, kept = canonical(graph)
    precision.check_used(layer.label for layer in layers)
    return apply(prepare(real, layers, kept, samples, steps, progress), precision, observer, steps, progress)


def apply(
    found: Prepared, precision: Precision, observer: str, steps: Collection[str], progress: Callable[[str], None]
) -> Quantized:
    """Put a precision on a prepared network."""
    real, layers, points, samples = found.real, found.layers, found.points, found.samples
    if observer == MEASURED:
        progress("choosing ranges")
        observer = best_observer(found, precision)
    codes = found.codes(precision, observer)
    weights = starts(found, precision)
    result = insert(real, layers, weights, points, codes, {})
    if {"rounding", "bias"} & set(steps):
        weights, biases = reconstruct(real, result, layers, weights, samples, steps, progress)
        result = insert(real, layers, weights, points, codes, biases)
    progress("measuring the noise of every layer")
    reports, input_share = _layer_reports(result, Chosen(found, codes, weights))
    outputs = dict(zip(real.outputs, tensor_noise(real, result, samples, [(o, o) for o in real.outputs])))
    taken, used = tuple(s for s in STEPS if s in steps), len(next(iter(samples.values())))
    report = Report(precision.name, observer, taken, used, found.given, reports, input_share, outputs)
    return Quantized(result, real, report)


def check_weights(graph: Graph) -> None:
    """UserError for a real model: no quantizer anywhere, and weights that are no integers times a scale."""
    weights = {n.inputs[1]: n for n in graph.nodes if is_product(graph, n)}
    for name, node in weights.items():
        if not is_quantized(graph) and integer_form(graph.constants[name]) is None:
            raise UserError(
                f"the model is not quantized (the weights of '{node.label}' are real); "
                "quantize it here with --calibration samples.npy, or export it with quantizers"
            )


def _layer_reports(result: Graph, c: Chosen) -> tuple[tuple[LayerReport, ...], float]:
    """Each layer by the tensor that it is quantized as (its own result where it is not); the share of the inputs."""
    found = c.found
    tensors = {layer: (t, k) for p, k in zip(found.points, c.codes) for t, layer in zip(p.tensors, p.layers)}
    ends = [tensors.get(layer.product, (layer.result, None)) for layer in found.layers]
    pairs = [(t, quantized_name(t) if k else t) for t, k in ends]
    noise = tensor_noise(found.real, result, found.samples, pairs)
    shares = noise_shares(c)
    reports = []
    for layer, (_, k), db in zip(found.layers, ends, noise):
        formats = c.weights[layer.product].format.name, k.activations.name if k else "accumulator"
        reports.append(LayerReport(layer.label, *formats, db, shares[layer.product]))
    return tuple(reports), shares[""]
