"""Quantized weights shift a layer's mean result; the bias takes the shift back (Nagel et al., 2019)."""

from __future__ import annotations

import numpy as np

from codesign.quantize.statistics import Statistics, by_group
from codesign.quantize.weights import Weights


def corrected_bias(bias: np.ndarray, weights: Weights, s: Statistics) -> np.ndarray:
    """The bias (channels,) with which each channel's mean result is that of the real network."""
    groups = len(s.x)
    mean = (s.x[:, None] @ by_group(weights.real, groups))[:, 0]
    return bias + (s.y - mean).reshape(-1)
