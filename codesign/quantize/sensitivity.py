"""Which layers the error of a quantized network comes from: its outputs' noise with one layer quantized at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.graph import Graph
from codesign.quantize.calibrate import Arrays, spread, tensors_of
from codesign.quantize.canonical import Layer
from codesign.quantize.insert import insert
from codesign.quantize.observers import Codes
from codesign.quantize.points import Point
from codesign.quantize.prepare import Prepared
from codesign.quantize.weights import Weights

MOST_SAMPLES = 64
MOST_ELEMENTS = 1 << 22  # of the widest tensor, over all samples


@dataclass(frozen=True)
class Chosen:
    """A prepared network, the codes of its points, the weights of its layers (by product)."""

    found: Prepared
    codes: Sequence[Codes]
    weights: Mapping[str, Weights]


def noise_shares(c: Chosen) -> dict[str, float]:
    """By product ("" for the network's inputs): the noise at the outputs with only this layer quantized, as a share
    of the sum over all layers; 0 where there is no noise at all.

    Quantized are its weights and what it gives; its bias takes back the shift of its mean, as in the whole network.
    """
    real = c.found.real
    few = spread(c.found.samples, min(MOST_SAMPLES, max(1, MOST_ELEMENTS // real.widest)))
    wanted = _outputs(real, few)
    products = ["", *(layer.product for layer in c.found.layers)]
    noise = {p: _noise(wanted, _outputs(_alone(c, p, few), few)) for p in products}
    total = sum(noise.values())
    return {p: value / total if total else 0.0 for p, value in noise.items()}


def _alone(c: Chosen, product: str, samples: Arrays) -> Graph:
    """The real graph with one layer's quantizers."""
    layers = [layer for layer in c.found.layers if layer.product == product]
    points = [_of(p, product) for p in c.found.points]
    biases = {layer.product: _corrected(c, layer, samples) for layer in layers}
    return insert(c.found.real, layers, c.weights, points, c.codes, biases)


def _of(point: Point, product: str) -> Point:
    """What of a point comes from one layer."""
    chosen = [(t, layer) for t, layer in zip(point.tensors, point.layers) if layer == product]
    return Point(tuple(t for t, _ in chosen), tuple(layer for _, layer in chosen))


def _corrected(c: Chosen, layer: Layer, samples: Arrays) -> np.ndarray:
    """The bias with which the layer's mean result stays, for real inputs."""
    real = c.found.real
    bare = insert(real, [layer], c.weights, (), (), {})
    means = [_mean(g.replace(g.nodes, (layer.product,)), samples) for g in (real, bare)]
    return real.constants[layer.bias] + means[0] - means[1]


def _mean(graph: Graph, samples: Arrays) -> np.ndarray:
    """Of each channel of the only output."""
    (name,) = graph.outputs
    parts = [v[name].reshape(-1, v[name].shape[-1]) for v in tensors_of(graph, samples, (name,))]
    return np.sum([p.sum(axis=0) for p in parts], axis=0) / sum(len(p) for p in parts)


def _outputs(graph: Graph, samples: Arrays) -> list[np.ndarray]:
    parts = list(tensors_of(graph, samples, graph.outputs))
    return [np.concatenate([p[o] for p in parts]) for o in graph.outputs]


def _noise(wanted: Sequence[np.ndarray], got: Sequence[np.ndarray]) -> float:
    return sum(float(((a - b) ** 2).sum()) / max(float((a**2).sum()), 1e-30) for a, b in zip(wanted, got))
