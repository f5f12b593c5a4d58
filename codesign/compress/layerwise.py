"""Layer by layer through a network: weights fitted to what the layers before, compressed already, give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from codesign.compress.step import Samples, chosen, single
from codesign.graph import Constant, Graph
from codesign.quantize.bias_correction import corrected_bias
from codesign.quantize.calibrate import check_samples, enough
from codesign.quantize.canonical import fold_norms, layers_of
from codesign.quantize.insert import integer_nodes
from codesign.quantize.reconstruct import layers_met
from codesign.quantize.statistics import Statistics
from codesign.quantize.weights import Weights

Fit = Callable[[np.ndarray, Statistics], Weights]  # (real weights, what they get and should give) -> integers


def quantized_layers(graph: Graph, weights: Mapping[str, Weights], storage: str = "") -> Graph:
    """The graph with integer weights in place of some real constants, by name."""
    nodes = {n.name: n for n in graph.nodes}
    for name, found in weights.items():
        codes, real = integer_nodes(graph, name, rounded_scale(found), storage)
        nodes |= {codes.name: codes, name: real}
    return graph.replace(nodes.values())


def rounded_scale(w: Weights) -> Weights:
    """With scales that float32 holds."""
    return replace(w, scale=single(w.scale))


def fitted_layers(graph: Graph, samples: Samples, patterns: str, fit: Fit, activations: Graph | None = None) -> Graph:
    """Every layer that matches gets the integer weights that `fit` finds for it, and a bias that keeps its mean result;
    norms are folded into the weights first. `activations`: the folded graph whose layers get what they will get (with
    quantizers, for instance); without it, the real one."""
    wanted = {p.label for p in chosen(graph, patterns)}
    real = fold_norms(graph)
    layers = [layer for layer in layers_of(real) if layer.label in wanted]
    check_samples(real, samples)
    used = enough(real, samples, [layer.result for layer in layers])
    found: dict[str, Weights] = {}
    biases: dict[str, np.ndarray] = {}
    for layer, s, given in layers_met(real, activations or real, layers, used, lambda _: None):
        w = rounded_scale(fit(real.constants[layer.weights], s))
        found[layer.weights], biases[layer.bias] = w, single(corrected_bias(real.constants[layer.bias], w, s))
        given.put(layer.weights, w.real)
        given.put(layer.bias, biases[layer.bias])
    corrected = [
        replace(n, op=Constant.real(biases[n.name])) if n.name in biases else n
        for n in quantized_layers(real, found).nodes
    ]
    return real.replace(corrected)
