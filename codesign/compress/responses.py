"""A layer fitted to what it should answer: least squares on samples, with the nonlinearity behind it.

Inputs come from the compressed network, answers from the original one (asymmetric), as in Zhang et al., Accelerating
Very Deep Convolutional Networks, 2015: while a rectifier follows, an auxiliary answer z is found in closed form between
the wanted one and the one given, and the layer is fitted to z, with a growing pull of z towards the layer. The strength
of the ridge and the number of rounds are those that do best on a fifth of the samples that the fit did not see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of the mean variance of the inputs: how much the weights are held
PULLS = (0.1, 0.1, 0.3, 0.3, 1.0, 1.0)  # of z towards the layer's own answer, round by round
HELD_OUT = 5  # one part in so many chooses

Project = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(target (G, K, N), moments (G, K, K)) -> the nearest weights that a chain of layers can give, in that metric."""


@dataclass(frozen=True, eq=False)
class Responses:
    """x (G, rows, K) of a layer, `wanted` (G, rows, N) before the rectifier, `beside` what is added to its answer.

    `rectifier`: (least, most) that the answer is clipped to; None where nothing nonlinear follows at once.
    """

    x: np.ndarray
    wanted: np.ndarray
    beside: np.ndarray
    rectifier: tuple[float, float] | None

    def part(self, rows: slice) -> Responses:
        return Responses(self.x[:, rows], self.wanted[:, rows], self.beside[:, rows], self.rectifier)

    def error(self, w: np.ndarray, bias: np.ndarray) -> float:
        """The squared error behind the rectifier."""
        given = self.x @ w + bias[:, None] + self.beside
        return float(((self.rectified(given) - self.rectified(self.wanted)) ** 2).sum())

    def rectified(self, y: np.ndarray) -> np.ndarray:
        return y if self.rectifier is None else np.clip(y, *self.rectifier)


def fitted(r: Responses, start: np.ndarray, project: Project) -> tuple[np.ndarray, np.ndarray]:
    """(weights (G, K, N), bias (G, N)) of least error; `start`: weights that the ridge pulls to."""
    seen = r.x.shape[1] - r.x.shape[1] // HELD_OUT
    known, unseen = _Fit(r.part(slice(seen)), start, project), r.part(slice(seen, None))
    errors = [unseen.error(*known.to(r.wanted[:, :seen] - r.beside[:, :seen], ridge)) for ridge in RIDGES]
    ridge = RIDGES[int(np.argmin(errors))]
    rounds = int(np.argmin([unseen.error(w, bias) for w, bias in known.rounds(ridge, len(PULLS))]))
    return _Fit(r, start, project).rounds(ridge, rounds)[-1]


class _Fit:
    """Least squares on some responses, whose moments are taken once."""

    def __init__(self, r: Responses, start: np.ndarray, project: Project) -> None:
        self.r, self.start, self.project, self.mean = r, start, project, r.x.mean(axis=1)
        self.turned = r.x.transpose(0, 2, 1)
        self.moments = self.turned @ r.x / r.x.shape[1] - self.mean[:, :, None] * self.mean[:, None]

    def to(self, answer: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """(weights, bias) for a wanted answer (G, rows, N)."""
        mean, size = answer.mean(axis=1), self.moments.shape[1]
        hold = ridge * np.trace(self.moments, axis1=1, axis2=2)[:, None, None] / size + 1e-12
        moments = self.moments + hold * np.eye(size)
        cross = self.turned @ answer / answer.shape[1] - self.mean[:, :, None] * mean[:, None]
        w = self.project(np.linalg.solve(moments, cross + hold * self.start), moments)
        return w, mean - (self.mean[:, None] @ w)[:, 0]

    def rounds(self, ridge: float, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The weights after the linear fit, and after each of `count` rounds of (z, weights); none unrectified."""
        r = self.r
        found = [self.to(r.wanted - r.beside, ridge)]
        for pull in PULLS[: count if r.rectifier else 0]:
            w, bias = found[-1]
            z = auxiliary(r.x @ w + bias[:, None] + r.beside, r.rectified(r.wanted), r.rectifier, pull)
            found.append(self.to(z - r.beside, ridge))
        return found


def auxiliary(given: np.ndarray, wanted: np.ndarray, rectifier: tuple[float, float] | None, pull: float) -> np.ndarray:
    """z of least (wanted - clip(z))^2 + pull (z - given)^2, element by element, for `wanted` within the limits.

    Beyond a limit z is what is given, at a cost of (wanted - limit)^2; between them it is the weighted mean.
    """
    assert rectifier is not None
    least, most = rectifier
    z = (wanted + pull * given) / (1 + pull)
    outside = (given < least) | (given > most)
    limited = np.clip(z, least, most)
    inside = (wanted - limited) ** 2 + pull * (limited - given) ** 2
    beyond = (wanted - np.clip(given, least, most)) ** 2
    return np.where(outside & (beyond <= inside), given, limited)
