"""Weights of one sign and one scale for each filter, found without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.layerwise import Fit, fitted_layers, quantized_layers
from codesign.compress.step import Data, Samples, chosen, needed, one_of, within
from codesign.graph import Graph
from codesign.quantize.canonical import fold_norms, layers_of
from codesign.quantize.insert import insert
from codesign.quantize.levels import Members
from codesign.quantize.precision import read_precision
from codesign.quantize.prepare import prepare
from codesign.quantize.rounding import damped, learn_rounding
from codesign.quantize.statistics import Statistics, by_group, from_groups
from codesign.quantize.weight_formats import WeightFormat, weight_format
from codesign.quantize.weights import Weights, nearest_weights

METHODS = ("plain", "admm", "hashing", "two-step")
ROUNDS = 60  # of ADMM
PENALTY = 0.3  # of the mean variance of the inputs: how much ADMM pulls towards levels, growing to GROWTH times that
GROWTH = 30.0
REFITS = 8  # of scale and levels in a projection


@dataclass(frozen=True)
class Binarize:
    """Binary weights times a scale for each filter. `plain`: sign and mean magnitude (Rastegari et al., 2016).

    By the samples, layer after layer: `admm` (Leng et al., 2018) alternates least squares of the layer's result with a
    projection on scaled signs; `hashing` (Hu et al., 2018) keeps inner products with the inputs, one sign after the
    other; `two-step` (Wang et al., 2018) does so for inputs that are quantized before, to `activations` bits.
    """

    name: ClassVar[str] = "binarize"
    paper: ClassVar[str] = "Rastegari et al., XNOR-Net, 2016; Leng et al., 2018; Hu et al., 2018; Wang et al., 2018"

    method: str = "plain"
    layers: str = "*"
    activations: int = 8

    def __post_init__(self) -> None:
        one_of(self.name, "method", self.method, METHODS)
        within(self.name, "activations", self.activations, 1, 16)

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        binary, found = weight_format("binary"), chosen(graph, self.layers)
        told = (f"{len(found)} layers of signs, {self.method}",)
        if self.method == "plain":
            return quantized_layers(graph, {p.weights: sign_and_scale(p.value) for p in found}), told
        samples = needed(data, f"{self.name}: {self.method}").samples
        fit = admm(binary) if self.method == "admm" else hashing(binary)
        before = quantized_activations(graph, samples, self.activations) if self.method == "two-step" else None
        return fitted_layers(graph, samples, self.layers, fit, before), told


@dataclass(frozen=True)
class Admm:
    """Weights of few levels (a format of weights: int2, ternary, pow2(3), ...) by ADMM on each layer's result."""

    name: ClassVar[str] = "admm"
    paper: ClassVar[str] = "Leng et al., Extremely Low Bit Neural Network: Squeeze the Last Bit Out with ADMM, 2018"

    weights: str = "ternary"
    layers: str = "*"

    def __post_init__(self) -> None:
        weight_format(self.weights)

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        samples, fmt = needed(data, self.name).samples, weight_format(self.weights)
        told = (f"{len(chosen(graph, self.layers))} layers as {fmt.name}",)
        return fitted_layers(graph, samples, self.layers, admm(fmt)), told


def sign_and_scale(value: np.ndarray) -> Weights:
    """The least ||scale B - W|| of signs B: B = sign(W), scale = mean |W| of each filter; 0 counts as positive."""
    scale = np.abs(value).reshape(-1, value.shape[-1]).mean(axis=0)
    codes = np.where(value >= 0, 1.0, -1.0)
    local = np.zeros(value.shape, dtype=np.int64)
    return Weights(weight_format("binary"), codes, local, np.where(scale > 0, scale, 1.0))


def hashing(fmt: WeightFormat) -> Fit:
    """Signs for the inner products with the inputs: one after the other at its best, and the scale for them."""

    def fit(value: np.ndarray, s: Statistics) -> Weights:
        starts = (start_of(value, fmt), admm(fmt)(value, s))
        return best([learn_rounding(value, start, s) for start in starts], value, s)

    return fit


def admm(fmt: WeightFormat) -> Fit:
    """Least squares of the result and a projection on the levels, in turn, until they agree."""

    def fit(value: np.ndarray, s: Statistics) -> Weights:
        start = start_of(value, fmt)
        w = by_group(value, len(s.xx))
        form, target = damped(s, w)
        codes, scale = _alternated(form, target, w, fmt)
        found = Weights(fmt, from_groups(codes, value.shape), start.local, from_groups(scale, start.scale.shape))
        return best([start, found], value, s)

    return fit


def start_of(value: np.ndarray, fmt: WeightFormat) -> Weights:
    """Without samples: signs and mean magnitude, or the nearest levels."""
    return sign_and_scale(value) if fmt.name == "binary" else nearest_weights(value, fmt)


def best(candidates: Sequence[Weights], value: np.ndarray, s: Statistics) -> Weights:
    """For each channel the candidate of least squared error of the result on the samples, its scale fitted."""
    form, target = damped(s, by_group(value, len(s.xx)))
    fitted = [_with_scale(c, form, target) for c in candidates]
    errors = np.stack([_error(c, form, target) for c in fitted])
    choice = errors.argmin(axis=0)
    codes, scale = (np.stack([getattr(c, name) for c in fitted]) for name in ("codes", "scale"))
    channels = np.arange(len(choice))
    picked = np.moveaxis(codes, -1, 1)[choice, channels]
    return Weights(fitted[0].format, np.moveaxis(picked, 0, -1), fitted[0].local, scale[choice, channels])


def _with_scale(w: Weights, form: np.ndarray, target: np.ndarray) -> Weights:
    """The scale of least error for these codes."""
    codes = by_group(w.codes, len(form))
    along, across = (codes * target).sum(axis=1), (codes * (form @ codes)).sum(axis=1)
    scale = np.where(
        (along > 0) & (across > 0), along / np.where(across > 0, across, 1.0), w.scale.reshape(along.shape)
    )
    return Weights(w.format, w.codes, w.local, scale.reshape(-1))


def _error(w: Weights, form: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Squared error of the result of each channel, less what is the same for all weights."""
    real = by_group(w.real, len(form))
    return ((real * (form @ real)).sum(axis=1) - 2 * (real * target).sum(axis=1)).reshape(-1)


def _alternated(
    form: np.ndarray, target: np.ndarray, w: np.ndarray, fmt: WeightFormat
) -> tuple[np.ndarray, np.ndarray]:
    """Codes (G, K, N) and scales (G, 1, N) by ADMM from the real weights (G, K, N)."""
    size = form.shape[-1]
    codes, scale = project(w, fmt)
    dual = np.zeros_like(w)
    for pull in np.geomspace(PENALTY, PENALTY * GROWTH, ROUNDS):
        rho = pull * np.trace(form, axis1=1, axis2=2)[:, None, None] / size
        w = np.linalg.solve(form + rho * np.eye(size), target + rho * (codes * scale - dual))
        codes, scale = project(w + dual, fmt)
        dual = dual + w - codes * scale
    return codes, scale


def project(w: np.ndarray, fmt: WeightFormat) -> tuple[np.ndarray, np.ndarray]:
    """The nearest scaled levels of each column (G, K, N), by turns: codes, and scales (G, 1, N)."""
    assert isinstance(fmt.levels, Members)
    scale = np.abs(w).mean(axis=1, keepdims=True) / np.abs(fmt.levels.members).mean()
    scale = np.where(scale > 0, scale, 1.0)
    codes = w
    for _ in range(REFITS):
        codes = fmt.levels.nearest(w / scale, np.zeros(w.shape, dtype=np.int64))
        along, across = (codes * w).sum(axis=1, keepdims=True), (codes**2).sum(axis=1, keepdims=True)
        scale = np.where((along > 0) & (across > 0), along / np.where(across > 0, across, 1.0), scale)
    return codes, scale


def quantized_activations(graph: Graph, samples: Samples, bits: int) -> Graph:
    """The folded graph with quantizers of so many bits behind its activations; its weights stay real."""
    real = fold_norms(graph)
    found = prepare(real, layers_of(real), {}, samples, (), lambda _: None)
    codes = found.codes(read_precision(f"w8a{bits}"), "mse")
    return insert(found.real, (), {}, found.points, codes, {})
