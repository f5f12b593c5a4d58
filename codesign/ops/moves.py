"""Operators that pick, repeat or stretch elements; shapes and axes are those of one sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class Slice:
    """Along every axis: `starts[k]`, then every `steps[k]`-th element (backwards below 0), `sizes[k]` in all."""

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[int, ...]

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if not len(t.shape) == len(self.starts) == len(self.sizes) == len(self.steps):
            raise GraphError(f"slices shape {t.shape} along {len(self.starts)} axes")
        for length, start, size, step in zip(t.shape, self.starts, self.sizes, self.steps):
            last = start + (size - 1) * step
            if size < 1 or not step or not (0 <= start < length and 0 <= last < length):
                raise GraphError(f"slices an axis of {length} from {start} to {last} in steps of {step}")
        return replace(t, shape=self.sizes, scale=self._own(t, t.scale), zero_point=self._own(t, t.zero_point))

    def _own(self, t: TensorType, values: tuple) -> tuple:
        """The entries of the channels that stay."""
        return values if len(values) == 1 else tuple(values[k] for k in self._indices(len(t.shape) - 1))

    def _indices(self, axis: int) -> range:
        start, size, step = self.starts[axis], self.sizes[axis], self.steps[axis]
        return range(start, start + size * step, step)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        x = arrays[0]
        for axis in range(len(out.shape)):
            x = x.take(self._indices(axis), axis=axis + 1)
        return x


@dataclass(frozen=True)
class Expand:
    """The same elements along axes of length 1, as often as `shape` says."""

    shape: tuple[int, ...]

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if len(t.shape) != len(self.shape) or any(n not in (1, m) for n, m in zip(t.shape, self.shape)):
            raise GraphError(f"expands shape {t.shape} to {self.shape}")
        return replace(t, shape=self.shape)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return np.broadcast_to(arrays[0], (len(arrays[0]), *self.shape))


@dataclass(frozen=True)
class Upsample:
    """Nearest neighbour: every element `factors[k]` times along axis k; the channel axis is not stretched."""

    factors: tuple[int, ...]

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if len(t.shape) != len(self.factors) or min(self.factors) < 1 or self.factors[-1] != 1:
            raise GraphError(f"stretches shape {t.shape} by {self.factors}")
        return replace(t, shape=tuple(n * f for n, f in zip(t.shape, self.factors)))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        x = arrays[0]
        for axis, factor in enumerate(self.factors):
            x = np.repeat(x, factor, axis=axis + 1) if factor > 1 else x
        return x
