"""Transposed convolution (an image spread by a kernel), channels last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.graph import GraphError, Operand, TensorType

Pair = tuple[int, int]


@dataclass(frozen=True)
class ConvTranspose:
    """x (rows, columns, C), w (kernel rows, kernel columns, C, O / groups) -> (rows', columns', O), real.

    Every pixel adds its kernel at `stride` times its place, into an image of rows' = stride * (rows - 1) +
    dilation * (kernel - 1) + 1 + extra rows, of which `before` and `after` are cut off at the edges.
    """

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    before: Pair = (0, 0)
    after: Pair = (0, 0)
    extra: Pair = (0, 0)
    groups: int = 1

    def infer(self, *operands: Operand) -> TensorType:
        x, w = operands
        if x.type.is_integer or w.type.is_integer:
            raise GraphError("takes real tensors")
        if len(x.type.shape) != 3 or len(w.type.shape) != 4 or x.type.shape[2] != w.type.shape[2]:
            raise GraphError(f"spreads shape {x.type.shape} by {w.type.shape}")
        if self.groups < 1 or w.type.shape[2] % self.groups:
            raise GraphError(f"divides {w.type.shape[2]} channels into {self.groups} groups")
        sizes = self._spread(x.type.shape, w.type.shape)
        rows, columns = (n - b - a for n, b, a in zip(sizes, self.before, self.after))
        if rows < 1 or columns < 1:
            raise GraphError(f"its padding leaves {rows} by {columns} pixels")
        return TensorType((rows, columns, w.type.shape[3] * self.groups))

    def _spread(self, x: tuple[int, ...], w: tuple[int, ...]) -> Pair:
        """Rows and columns before the edges are cut off."""
        parts = zip(x[:2], w[:2], self.stride, self.dilation, self.extra)
        rows, columns = (s * (n - 1) + d * (k - 1) + 1 + e for n, k, s, d, e in parts)
        return rows, columns

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        x, w = arrays
        parts = zip(np.split(x, self.groups, axis=-1), np.split(w, self.groups, axis=2))
        spread = np.concatenate([self._run_group(a, b) for a, b in parts], axis=-1)
        rows, columns = spread.shape[1:3]
        return spread[:, self.before[0] : rows - self.after[0], self.before[1] : columns - self.after[1]]

    def _run_group(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """All pixels' products with one tap of the kernel at a time."""
        rows, columns = x.shape[1:3]
        spread = np.zeros((len(x), *self._spread(x.shape[1:], w.shape), w.shape[3]), dtype=x.dtype)
        for i, j in np.ndindex(*w.shape[:2]):
            top, left = i * self.dilation[0], j * self.dilation[1]
            bottom, right = top + self.stride[0] * rows, left + self.stride[1] * columns
            spread[:, top : bottom : self.stride[0], left : right : self.stride[1]][:, :rows, :columns] += x @ w[i, j]
        return spread
