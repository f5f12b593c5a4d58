"""Two-dimensional convolution, channels last, never padded (see ops/pad.py)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign import arithmetic
from codesign.formats import Format, Int, carrier
from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.matmul import product_type, real_product

Pair = tuple[int, int]


@dataclass(frozen=True)
class Conv:
    """x (rows, columns, C), w (kernel rows, kernel columns, C / groups, O) -> (rows', columns', O).

    Output channel o belongs to group o // (O / groups), as in ONNX.
    """

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1

    def infer(self, *operands: Operand) -> TensorType:
        x, w = operands
        self._check(x.type.shape, w.type.shape)
        size = arithmetic.window_count(x.type.shape[:2], w.type.shape[:2], self.stride, self.dilation)  # type: ignore[arg-type]
        if min(size) < 1:
            raise GraphError(f"the kernel {w.type.shape[:2]} is larger than its input {x.type.shape[:2]}")
        shape = (*size, w.type.shape[3])
        if not (x.type.is_integer and w.type.is_integer):
            return real_product(x, w, shape)
        if self.is_depthwise(w.type.shape) and len(x.type.scale) > 1:
            return self._channelwise(x, w, shape)
        return product_type(x, w, shape, self._range)

    def _check(self, x: tuple[int, ...], w: tuple[int, ...]) -> None:
        if len(x) != 3 or len(w) != 4 or x[2] != w[2] * self.groups or w[3] % self.groups:
            raise GraphError(f"convolves shape {x} with {w} in {self.groups} groups")

    def is_depthwise(self, w_shape: tuple[int, ...]) -> bool:
        """Whether every group reads one channel."""
        return self.groups > 1 and w_shape[2] == 1

    def _range(self, fmt: Format, w: np.ndarray) -> Int:
        return arithmetic.accumulator(fmt, w.reshape(-1, w.shape[3]))

    def _channelwise(self, x: Operand, w: Operand, shape: tuple[int, ...]) -> TensorType:
        """A depthwise product keeps a scale for each channel."""
        each = np.repeat(x.type.scale, shape[2] // self.groups)
        plain = product_type(replace(x, type=replace(x.type, scale=(1.0,))), w, shape, self._range)
        return replace(plain, scale=tuple(map(float, each * np.asarray(plain.scale))))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        x, w = (a.astype(carrier(out.format), copy=False) for a in arrays)
        view = arithmetic.windows(x, (w.shape[0], w.shape[1]), self.stride, self.dilation)
        if self.is_depthwise(w.shape):
            return _depthwise(view, w, self.groups)
        parts = zip(np.split(view, self.groups, axis=-1), np.split(w, self.groups, axis=-1))
        return np.concatenate([_dense(v, part) for v, part in parts], axis=-1)


def _dense(view: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Windows (n, r, c, kr, kc, C) times w (kr, kc, C, O), by one matrix product."""
    columns = view.reshape(*view.shape[:3], -1)
    return columns @ w.reshape(-1, w.shape[3])


def _depthwise(view: np.ndarray, w: np.ndarray, groups: int) -> np.ndarray:
    """Each channel with its own filters: a sum over the kernel's taps."""
    filters = w.reshape(*w.shape[:2], groups, -1)
    out = np.zeros((*view.shape[:3], groups, filters.shape[3]), dtype=view.dtype)
    for i, j in np.ndindex(*w.shape[:2]):
        out += view[:, :, :, i, j, :, None] * filters[i, j]
    return out.reshape(*out.shape[:3], -1)
