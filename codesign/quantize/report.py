"""What quantization cost: signal-to-quantization-noise of every layer on the calibration samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from codesign.accuracy import sqnr_db
from codesign.graph import Graph
from codesign.quantize.calibrate import tensors_of


@dataclass(frozen=True)
class LayerReport:
    """A layer's formats; the ratio of its result's power to that of its error, in dB; the share of the outputs'
    error that it brings, of what all layers bring when each is quantized alone."""

    layer: str
    weights: str
    activations: str
    sqnr_db: float
    noise_share: float


@dataclass(frozen=True)
class Report:
    """How a network was quantized, and what it cost on the calibration samples.

    `samples` of the `given` ones were used; `input_share`: noise_share of quantizing the network's inputs.
    """

    precision: str
    observer: str
    steps: tuple[str, ...]
    samples: int
    given: int
    layers: tuple[LayerReport, ...]
    input_share: float
    outputs: Mapping[str, float]

    def worst(self, count: int = 3) -> tuple[LayerReport, ...]:
        """The layers that bring most of the outputs' error."""
        return tuple(sorted(self.layers, key=lambda r: -r.noise_share)[:count])

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "steps": list(self.steps), "layers": [asdict(r) for r in self.layers]}


def tensor_noise(
    real: Graph, quantized: Graph, samples: Mapping[str, np.ndarray], pairs: Sequence[tuple[str, str]]
) -> list[float]:
    """Signal to noise in dB of tensors: (name in the real graph, name in the quantized one)."""
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    wanted = tensors_of(real, samples, [a for a, _ in pairs])
    got = tensors_of(quantized, samples, [b for _, b in pairs], real.widest)
    for w, g in zip(wanted, got):
        for k, (a, b) in enumerate(pairs):
            signal[k] += float((w[a] ** 2).sum())
            noise[k] += float(((w[a] - g[b]) ** 2).sum())
    return [sqnr_db(s, n) for s, n in zip(signal, noise)]
