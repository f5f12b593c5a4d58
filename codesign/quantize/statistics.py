"""What layer-wise reconstruction needs of a layer: second moments of its input, and its product with the wanted result.

For a product y = x w all that squared error depends on: mean x x', mean x y', mean x, mean y. Groups of a
convolution stand in front: arrays (groups, K, ...), K the inputs of one output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign import arithmetic
from codesign.graph import Node
from codesign.ops.conv import Conv

CHUNK = 1 << 21  # window elements at a time
ROWS = 1 << 16  # positions that say enough of a layer


@dataclass(frozen=True, eq=False)
class Statistics:
    """Means over samples and positions: xx (G, K, K), xy (G, K, N), x (G, K), y (G, N)."""

    xx: np.ndarray
    xy: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """xx and xy with the means taken out, which the bias takes care of."""
        return self.xx - self.x[:, :, None] * self.x[:, None], self.xy - self.x[:, :, None] * self.y[:, None]


def gather(node: Node, w_shape: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> Statistics:
    """Statistics of a product node for x as it is (quantized) and y as it should be (from the real network).

    Of more positions than ROWS, that many are drawn (with a fixed seed).
    """
    groups = node.op.groups if isinstance(node.op, Conv) else 1
    inputs, positions = int(np.prod(w_shape[:-1])), y[0].size // y.shape[-1]
    step, rows = max(1, CHUNK // (inputs * groups * positions)), 0
    share, rng = min(1.0, ROWS / (len(x) * positions)), np.random.default_rng(0)
    sums: list[np.ndarray | float] = [0.0, 0.0, 0.0, 0.0]
    for n in range(0, len(x), step):
        given = len(x[n : n + step]) * positions
        chosen = np.sort(rng.choice(given, max(1, round(given * share)), replace=False)) if share < 1 else slice(None)
        a = columns(node, w_shape, x[n : n + step], chosen)
        b = by_group(y[n : n + step].reshape(given, -1)[chosen], groups)
        parts = (a.transpose(0, 2, 1) @ a, a.transpose(0, 2, 1) @ b, a.sum(axis=1), b.sum(axis=1))
        sums = [s + p for s, p in zip(sums, parts)]
        rows += a.shape[1]
    return Statistics(*(np.asarray(s) / rows for s in sums))


def columns(node: Node, w_shape: tuple[int, ...], x: np.ndarray, chosen: np.ndarray | slice) -> np.ndarray:
    """What the chosen outputs of a product read, of all samples' positions in order: (groups, rows, K)."""
    if not isinstance(node.op, Conv):
        return x.reshape(1, -1, w_shape[0])[:, chosen]
    op = node.op
    view = arithmetic.windows(x, (w_shape[0], w_shape[1]), op.stride, op.dilation)
    rows = np.unravel_index(np.arange(np.prod(view.shape[:3]))[chosen], view.shape[:3])
    grouped = view[rows].reshape(-1, *view.shape[3:5], op.groups, w_shape[2])
    return np.moveaxis(grouped, 3, 0).reshape(op.groups, -1, w_shape[0] * w_shape[1] * w_shape[2])


def by_group(y: np.ndarray, groups: int) -> np.ndarray:
    """(..., channels) -> (groups, rows, channels / groups); also weights (..., channels) -> (groups, K, N)."""
    return y.reshape(-1, groups, y.shape[-1] // groups).transpose(1, 0, 2)


def from_groups(w: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `by_group`."""
    return w.transpose(1, 0, 2).reshape(shape)
