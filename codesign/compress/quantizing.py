"""Weights as codes of a number format, or of levels that are equal steps or equally used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.layerwise import quantized_layers
from codesign.compress.step import Data, Product, chosen, with_weights, within
from codesign.compress.storing import kept, literal
from codesign.graph import Graph
from codesign.quantize.levels import Members
from codesign.quantize.weight_formats import WeightFormat, weight_format
from codesign.quantize.weights import Weights, nearest_weights

Told = tuple[Graph, tuple[str, ...]]


@dataclass(frozen=True)
class Quantize:
    """Every weight at the nearest level of a format (see codesign/quantize/weight_formats.py, or bfloat16), with the
    scale of least squared error for each output channel."""

    name: ClassVar[str] = "quantize"
    paper: ClassVar[str] = "Krishnamoorthi, Quantizing Deep Convolutional Networks, 2018"

    weights: str = "int8"
    layers: str = "*"

    def __post_init__(self) -> None:
        if self.weights != "bfloat16":
            weight_format(self.weights)

    def apply(self, graph: Graph, data: Data | None) -> Told:
        found = chosen(graph, self.layers)
        if self.weights == "bfloat16":
            graph = with_weights(graph, {p.weights: bfloat16(p.value) for p in found})
            return kept(graph, ",".join(literal(p.label) for p in found), "bfloat16")
        fmt = weight_format(self.weights)
        weights = {p.weights: nearest_weights(p.value, fmt) for p in found}
        return quantized_layers(graph, weights, stored_as(fmt)), _told(found, fmt)


def stored_as(fmt: WeightFormat) -> str:
    """The storage of a format: its codes where they are not simply integers."""
    name = fmt.name.removesuffix("per-tensor").strip()
    return name if name.startswith(("pow2", "csd", "fp", "bfp", "posit")) else ""


def _told(found: tuple[Product, ...], fmt: WeightFormat) -> tuple[str, ...]:
    return (f"{len(found)} layers as {fmt.name}",)


def bfloat16(value: np.ndarray) -> np.ndarray:
    """The nearest of 8 significant bits, ties to even, as float32 with its lower half zero."""
    bits = value.astype(np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
    return rounded.astype(np.uint32).view(np.float32).astype(np.float64)


@dataclass(frozen=True)
class Uniform:
    """2**bits equal steps from the least to the largest weight of a layer; `stochastic`: rounded up or down by chance,
    so that the mean is the weight itself."""

    name: ClassVar[str] = "uniform"
    paper: ClassVar[str] = "Hubara et al., Quantized Neural Networks, 2016"

    bits: int = 8
    stochastic: bool = False
    layers: str = "*"
    seed: int = 0

    def __post_init__(self) -> None:
        within(self.name, "bits", self.bits, 1, 12)

    def apply(self, graph: Graph, data: Data | None) -> Told:
        rng = np.random.default_rng(self.seed) if self.stochastic else None
        found = chosen(graph, self.layers)
        graph = with_weights(graph, {p.weights: uniform(p.value, self.bits, rng) for p in found})
        return kept(graph, ",".join(literal(p.label) for p in found), "codebook")


def uniform(x: np.ndarray, bits: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Q_k(x) = a Q_k((x - b) / a) + b, a = max - min, b = min, Q_k(x) = round((2^k - 1) x) / (2^k - 1) on 0..1; with
    `rng` xi / (2^k - 1), xi uniform in +-1/2, is added before rounding: the mean is then x."""
    low, span = x.min(), np.ptp(x)
    if span == 0:
        return x.copy()
    steps = (1 << bits) - 1
    scaled = (x - low) / span * steps
    codes = np.rint(scaled) if rng is None else np.floor(scaled + rng.random(x.shape))
    return span * (np.clip(codes, 0, steps) / steps) + low


@dataclass(frozen=True)
class Balanced:
    """2**bits levels that are used equally often: the weights' ranks decide, not their size; levels in equal steps
    around zero, with the scale of least squared error for each layer."""

    name: ClassVar[str] = "balanced"
    paper: ClassVar[str] = "Zhou et al., Balanced Quantization, 2017"

    bits: int = 4
    layers: str = "*"

    def __post_init__(self) -> None:
        within(self.name, "bits", self.bits, 1, 8)

    def apply(self, graph: Graph, data: Data | None) -> Told:
        found = chosen(graph, self.layers)
        weights = {p.weights: balanced(p.value, self.bits) for p in found}
        return quantized_layers(graph, weights), (f"{len(found)} layers at {1 << self.bits} levels used equally often",)


def balanced(value: np.ndarray, bits: int) -> Weights:
    """Odd integers around zero by rank, each as often as the others (up to one)."""
    count = 1 << bits
    ranks = np.argsort(np.argsort(value, axis=None, kind="stable"), kind="stable").reshape(value.shape)
    codes = 2.0 * (ranks * count // value.size) - (count - 1)
    scale = max(float((codes * value).sum() / (codes**2).sum()), np.finfo(np.float32).tiny)
    fmt = WeightFormat(f"balanced({bits})", Members(np.arange(1 - count, count, 2)))
    local = np.zeros(value.shape, dtype=np.int64)
    return Weights(fmt, codes, local, np.full(value.shape[-1], scale))


def bit_planes(x: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned codes (..., n) -> their bits (bits, ..., n), the lowest first."""
    return (x[None] >> np.arange(bits).reshape(-1, *(1,) * x.ndim)) & 1


def bit_plane_product(x: np.ndarray, y: np.ndarray, x_bits: int, y_bits: int) -> int:
    """x . y = sum over m, k of 2^(m + k) bitcount(c_m(x) & c_k(y)), for unsigned codes."""
    a, b = bit_planes(x, x_bits), bit_planes(y, y_bits)
    counts = (a[:, None] & b[None]).sum(axis=-1)
    return int((counts << (np.arange(x_bits)[:, None] + np.arange(y_bits))).sum())
