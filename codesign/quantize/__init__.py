"""Post-training quantization: a real graph and calibration samples -> the same graph with quantizers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.graph import Graph
from codesign.passes.weights import integer_form
from codesign.quantize.canonical import Layer, is_product
from codesign.quantize.insert import insert, quantized_name
from codesign.quantize.observers import OBSERVERS, Codes
from codesign.quantize.points import Point
from codesign.quantize.precision import Precision, read_precision
from codesign.quantize.prepare import Prepared, canonical, is_quantized, prepare
from codesign.quantize.reconstruct import reconstruct
from codesign.quantize.report import LayerReport, Report, tensor_noise
from codesign.quantize.weights import nearest_weights

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
    """The graph with quantizers, and what they cost."""

    graph: Graph
    report: Report


def quantize(
    graph: Graph,
    samples: Mapping[str, np.ndarray],
    precision: Precision,
    observer: str = "mse",
    steps: Collection[str] = STEPS,
    progress: Callable[[str], None] = lambda _: None,
) -> Quantized:
    """Quantize a real graph; samples by input name, with a leading sample axis. UserError where they don't fit."""
    real, layers = canonical(graph)
    precision.check_used(layer.label for layer in layers)
    return apply(prepare(real, layers, samples, steps, progress), precision, observer, steps, progress)


def apply(
    found: Prepared, precision: Precision, observer: str, steps: Collection[str], progress: Callable[[str], None]
) -> Quantized:
    """Put a precision on a prepared network."""
    real, layers, points, samples = found.real, found.layers, found.points, found.samples
    codes = found.codes(precision, observer)
    rules = {layer.product: precision.rule_for(layer.label) for layer in layers}
    weights = {k.product: nearest_weights(real.constants[k.weights], rules[k.product].weights) for k in layers}
    result = insert(real, layers, weights, points, codes, {})
    if {"rounding", "bias"} & set(steps):
        weights, biases = reconstruct(real, result, layers, weights, samples, steps, progress)
        result = insert(real, layers, weights, points, codes, biases)
    progress("measuring the noise")
    return Quantized(result, _report(real, result, samples, precision, observer, steps, layers, points, codes))


def check_weights(graph: Graph) -> None:
    """UserError for a real model: no quantizer anywhere, and weights that are no integers times a scale."""
    weights = {n.inputs[1]: n for n in graph.nodes if is_product(graph, n)}
    for name, node in weights.items():
        if not is_quantized(graph) and integer_form(graph.constants[name]) is None:
            raise UserError(
                f"the model is not quantized (the weights of '{node.origin or node.name}' are real); "
                "quantize it here with --calibration samples.npy, or export it with quantizers"
            )


def _report(
    real: Graph, result: Graph, samples: Mapping[str, np.ndarray], precision: Precision, observer: str,
    steps: Collection[str], layers: Sequence[Layer], points: Sequence[Point], codes: Sequence[Codes],
) -> Report:  # fmt: skip
    """Each layer by the tensor that it is quantized as (its own result where it is not)."""
    tensors = {layer: (t, c) for p, c in zip(points, codes) for t, layer in zip(p.tensors, p.layers)}
    pairs, texts = [], []
    for layer in layers:
        tensor, c = tensors.get(layer.product, (layer.result, None))
        pairs.append((tensor, quantized_name(tensor) if c else tensor))
        texts.append(c.activations.name if c else "accumulator")
    noise = tensor_noise(real, result, samples, [*pairs, *((o, o) for o in real.outputs)])
    reports = tuple(
        LayerReport(layer.label, precision.rule_for(layer.label).weights.name, text, db)
        for layer, text, db in zip(layers, texts, noise)
    )
    count = len(next(iter(samples.values())))
    outputs = dict(zip(real.outputs, noise[len(layers) :]))
    return Report(precision.name, observer, tuple(s for s in STEPS if s in steps), count, reports, outputs)
