"""Learned rounding: of all codes near the weights, those whose product comes nearest to the real network's.

The squared error of a layer's result is a quadratic form of its weights, so one code can be chosen exactly while the
others stand; sweeping over the codes of all output channels at once until none changes needs no learning rate. The
same objective as AdaRound (Nagel et al., 2020), with the inputs as the quantized layers before leave them; it is
solved as in layer-wise compression (OBQ, Frantar & Alistarh, 2022). In between the scales are fitted, too.
"""

from __future__ import annotations

import numpy as np

from codesign.quantize.levels import Levels
from codesign.quantize.statistics import Statistics, by_group, from_groups
from codesign.quantize.weights import Weights

SWEEPS = 12
REFITS = 3
DAMPING = 0.05  # of the mean variance: how much a weight is held where the samples say little


def learn_rounding(values: np.ndarray, start: Weights, s: Statistics) -> Weights:
    """Weights of less error than `start` on the layer's statistics; `values`: the real weights."""
    groups = len(s.xx)
    w, codes = by_group(values, groups), by_group(start.codes, groups)
    scale = by_group(start.scale, groups)
    form, target = _damped(s, w)
    for _ in range(REFITS):
        codes = _sweep(codes, scale, form, target, start.levels)
        scale = _fitted(codes, scale, form, target)
    return Weights(start.levels, from_groups(codes, values.shape), from_groups(scale, start.scale.shape))


def _damped(s: Statistics, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(form, target): the error is w' form w - 2 w' target + constant, plus a pull towards the real weights."""
    form, target = s.covariance
    size = form.shape[-1]
    damping = DAMPING * np.trace(form, axis1=1, axis2=2)[:, None, None] / size + 1e-12
    return form + damping * np.eye(size), target + damping * w


def _sweep(codes: np.ndarray, scale: np.ndarray, form: np.ndarray, target: np.ndarray, levels: Levels) -> np.ndarray:
    """Every code in turn at its best while the others stand, until none changes."""
    codes = codes.copy()
    gap = target / scale - form @ codes
    for _ in range(SWEEPS):
        changed = False
        for k in range(codes.shape[1]):
            best = levels.nearest(codes[:, k] + gap[:, k] / form[:, k, k, None])
            step = best - codes[:, k]
            if step.any():
                gap -= form[:, :, k, None] * step[:, None, :]
                codes[:, k], changed = best, True
        if not changed:
            break
    return codes


def _fitted(codes: np.ndarray, scale: np.ndarray, form: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The best positive scale of each output channel for given codes."""
    along = (codes * target).sum(axis=1, keepdims=True)
    across = (codes * (form @ codes)).sum(axis=1, keepdims=True)
    return np.where((along > 0) & (across > 0), along / np.where(across > 0, across, 1.0), scale)
