"""Weights as whole numbers: codes of a format times a scale for each output channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.quantize.levels import Levels

SHRINKAGES = np.linspace(1.0, 0.3, 71)  # of the scale that maps the largest weight onto the largest level


@dataclass(frozen=True, eq=False)
class Weights:
    """real = codes * scale; codes float64 of the weights' shape, scale (output channels,)."""

    levels: Levels
    codes: np.ndarray
    scale: np.ndarray

    @property
    def real(self) -> np.ndarray:
        return self.codes * self.scale


def nearest_weights(values: np.ndarray, levels: Levels) -> Weights:
    """Every weight rounded to the nearest level, with the scale of least squared error in each output channel."""
    columns = values.reshape(-1, values.shape[-1])
    largest = np.abs(columns).max(axis=0)
    full = np.where(largest > 0, largest, 1.0) / levels.largest
    best, least = full, np.full(len(full), np.inf)
    for shrinkage in _shrinkages(levels):
        scale = full * shrinkage
        error = ((levels.nearest(columns / scale) * scale - columns) ** 2).sum(axis=0)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return Weights(levels, levels.nearest(values / best), best)


def _shrinkages(levels: Levels) -> np.ndarray:
    """A grid; for few levels, where the mean counts more than the largest weight, a wider one."""
    return np.geomspace(1.0, 0.02, 140) if len(levels.members) <= 3 else SHRINKAGES
