"""Weights as whole numbers: levels of a format times a scale for each output channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.quantize.levels import Levels
from codesign.quantize.weight_formats import WeightFormat

SHRINKAGES = np.linspace(1.0, 0.3, 71)  # of the scale that maps the largest weight onto the largest level


@dataclass(frozen=True, eq=False)
class Weights:
    """real = codes * scale; codes float64 and local int64 (see `levels`) of the weights' shape, scale (channels,)."""

    format: WeightFormat
    codes: np.ndarray
    local: np.ndarray
    scale: np.ndarray

    @property
    def real(self) -> np.ndarray:
        return self.codes * self.scale


def nearest_weights(values: np.ndarray, fmt: WeightFormat) -> Weights:
    """Every weight rounded to the nearest level, with the scale of least squared error in each output channel."""
    columns, levels = values.reshape(-1, values.shape[-1]), fmt.levels
    full = levels.full_scale(columns)
    if fmt.per_tensor:
        full = np.full_like(full, full.max())
    best, least = full, np.full(len(full), np.inf)
    for shrinkage in _shrinkages(levels):
        scale = full * shrinkage
        error = ((_rounded(columns, scale, levels) - columns) ** 2).sum(axis=0)
        error = np.full_like(error, error.sum()) if fmt.per_tensor else error
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    local = levels.local(columns / best)
    codes = levels.nearest(columns / best, local)
    return Weights(fmt, codes.reshape(values.shape), local.reshape(values.shape), best)


def _rounded(columns: np.ndarray, scale: np.ndarray, levels: Levels) -> np.ndarray:
    scaled = columns / scale
    return levels.nearest(scaled, levels.local(scaled)) * scale


def _shrinkages(levels: Levels) -> np.ndarray:
    """A grid; for few levels, where the mean counts more than the largest weight, a wider one."""
    return np.geomspace(1.0, 0.02, 140) if levels.few else SHRINKAGES
