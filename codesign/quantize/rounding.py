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
    w, codes, local, scale = (by_group(a, groups) for a in (values, start.codes, start.local, start.scale))
    form, target = damped(s, w)
    pruned = (w == 0) & (codes == 0)  # what was made zero stays so: hardware skips it
    for _ in range(REFITS):
        codes = _sweep(codes, local, target / scale, form, start.format.levels, pruned)
        scale = _fitted(codes, scale, form, target, start.format.per_tensor)
    return Weights(start.format, from_groups(codes, values.shape), start.local, from_groups(scale, start.scale.shape))


def damped(s: Statistics, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(form, target): the error is w' form w - 2 w' target + constant, plus a pull towards the real weights."""
    form, target = s.covariance
    size = form.shape[-1]
    damping = DAMPING * np.trace(form, axis1=1, axis2=2)[:, None, None] / size + 1e-12
    return form + damping * np.eye(size), target + damping * w


def _sweep(
    codes: np.ndarray, local: np.ndarray, target: np.ndarray, form: np.ndarray, levels: Levels, pruned: np.ndarray
) -> np.ndarray:
    """Every code but the pruned ones in turn at its best while the others stand, until none changes; `target` in units
    of the scale."""
    codes = codes.copy()
    gap = target - form @ codes
    for _ in range(SWEEPS):
        changed = False
        for k in range(codes.shape[1]):
            best = levels.nearest(codes[:, k] + gap[:, k] / form[:, k, k, None], local[:, k])
            best = np.where(pruned[:, k], 0.0, best)
            step = best - codes[:, k]
            if step.any():
                gap -= form[:, :, k, None] * step[:, None, :]
                codes[:, k], changed = best, True
        if not changed:
            break
    return codes


def _fitted(codes: np.ndarray, scale: np.ndarray, form: np.ndarray, target: np.ndarray, shared: bool) -> np.ndarray:
    """The best positive scale of each output channel (or the one for all, `shared`) for given codes."""
    axes = (0, 1, 2) if shared else 1
    along = (codes * target).sum(axis=axes, keepdims=True)
    across = (codes * (form @ codes)).sum(axis=axes, keepdims=True)
    return np.where((along > 0) & (across > 0), along / np.where(across > 0, across, 1.0), scale)
