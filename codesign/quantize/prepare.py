"""A real network made ready for quantization: canonical, equalized, its quantization points seen on the samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.graph import Dequantize, Graph
from codesign.ops.quantize import Quantize
from codesign.ops.round_to_float import RoundToFloat
from codesign.ops.threshold import Threshold
from codesign.quantize.calibrate import (
    bin_edges,
    channel_peaks,
    check_reach,
    check_samples,
    enough,
    halves,
    histograms,
)
from codesign.quantize.canonical import Layer, fold_norms, layers_of
from codesign.quantize.equalize import equalize
from codesign.quantize.kept import Codes as Kept
from codesign.quantize.kept import kept_products, kept_weights, released
from codesign.quantize.observers import OBSERVERS, Codes, Histogram, related
from codesign.quantize.points import Point, quantization_points
from codesign.quantize.precision import Activations, Precision
from codesign.quantize.weights import Weights, nearest_weights


@dataclass(frozen=True, eq=False)
class Prepared:
    """`real`: the network in canonical form; `halves`: what each point holds on either half of the samples, chosen
    of the `given`; `kept`: the integers that the weights of some products are already."""

    real: Graph
    layers: tuple[Layer, ...]
    points: tuple[Point, ...]
    halves: tuple[tuple[Histogram, ...], tuple[Histogram, ...]]
    samples: Mapping[str, np.ndarray]
    given: int
    kept: Kept

    def codes(self, precision: Precision, observer: str, seen: Sequence[Histogram] = ()) -> list[Codes]:
        """Scale and zero point of every point from what was `seen` (else all was); inputs keep the whole range.

        Within a family the widest keeps its own scale, and the others get that over a power of two.
        """
        labels = {layer.product: layer.label for layer in self.layers}
        codes = []
        for point, histogram in zip(self.points, seen or [a + b for a, b in zip(*self.halves)]):
            formats = [_activations(labels.get(layer), precision) for layer in point.layers]
            widest = max(formats, key=lambda a: a.format.hi - a.format.lo)
            choose = OBSERVERS[observer if any(point.layers) else "min-max"]
            codes.append(choose(histogram, widest))
        coarsest: dict[int, float] = {}
        for point, c in zip(self.points, codes):
            coarsest[point.family] = max(c.scale, coarsest.get(point.family, 0.0))
        return [related(c, coarsest[point.family]) for point, c in zip(self.points, codes)]


def prepare(
    real: Graph, layers: tuple[Layer, ...], kept: Kept, samples: Mapping[str, np.ndarray], steps: Collection[str],
    progress: Callable[[str], None],
) -> Prepared:  # fmt: skip
    """A canonical graph and its layers, made ready; UserError where the samples don't fit it or say nothing."""
    check_samples(real, samples)
    results = [layer.result for layer in layers]
    used = enough(real, samples, results)
    if "equalize" in steps:
        progress("equalizing the ranges of channels")
        real = equalize(real, channel_peaks(real, used, results), kept)
    progress("calibrating")
    points = quantization_points(real)
    edges = bin_edges(real, used, points)
    first, second = (histograms(real, half, points, edges) for half in halves(used))
    check_reach(real, used, layers[-1].result, layers[-1].label)
    return Prepared(real, layers, points, (first, second), used, len(next(iter(samples.values()))), kept)


def starts(found: Prepared, precision: Precision) -> dict[str, Weights]:
    """Every layer's weights rounded to the nearest of its format, or the integers that they are already; by product."""
    found_weights = {}
    for layer in found.layers:
        values, codes = found.real.constants[layer.weights], found.kept.get(layer.product)
        fmt = precision.rule_for(layer.label).weights
        found_weights[layer.product] = nearest_weights(values, fmt) if codes is None else kept_weights(values, codes)
    return found_weights


def canonical(graph: Graph) -> tuple[Graph, tuple[Layer, ...], Kept]:
    """The graph in canonical form, its layers and the integers of weights that are quantized; UserError where there is
    nothing to quantize."""
    freed, codes = released(graph)
    if is_quantized(freed):
        raise UserError("the model is quantized already; compile it without --calibration")
    real = fold_norms(freed)
    layers = layers_of(real)
    if not layers:
        raise UserError("the model has no product with constant weights (Conv, Gemm, MatMul) to quantize")
    return real, layers, kept_products(layers, codes)


def is_quantized(graph: Graph) -> bool:
    """Whether a model brings quantizers of its own."""
    return any(isinstance(n.op, (Quantize, Dequantize, Threshold, RoundToFloat)) for n in graph.nodes)


def _activations(label: str | None, precision: Precision) -> Activations:
    return precision.inputs if label is None else precision.rule_for(label).activations
