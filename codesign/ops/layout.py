"""Operators that only move elements; shapes and axes are those of one sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Format, hull
from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class Reshape:
    """The same elements in row-major order under another shape."""

    shape: tuple[int, ...]

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if int(np.prod(self.shape, dtype=np.int64)) != t.size:
            raise GraphError(f"reshapes {t.shape} to {self.shape}")
        if not per_tensor(t) and self.shape[-1:] != t.shape[-1:]:
            raise GraphError("reshapes the channels of a tensor that has a scale for each channel")
        return replace(t, shape=self.shape)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0].reshape(len(arrays[0]), *self.shape)


@dataclass(frozen=True)
class Transpose:
    """Axis k of the result is axis perm[k] of the operand."""

    perm: tuple[int, ...]

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if sorted(self.perm) != list(range(len(t.shape))):
            raise GraphError(f"permutes shape {t.shape} by {self.perm}")
        if not per_tensor(t) and self.perm[-1] != len(self.perm) - 1:
            raise GraphError("moves the channel axis of a tensor that has a scale for each channel")
        return replace(t, shape=tuple(t.shape[p] for p in self.perm))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return arrays[0].transpose(0, *(p + 1 for p in self.perm))


@dataclass(frozen=True)
class Concat:
    """Tensors one after the other along `axis`; integers need one scale and zero point."""

    axis: int

    def infer(self, *operands: Operand) -> TensorType:
        first = operands[0].type
        if len({(o.type.scale, o.type.zero_point, o.type.is_integer) for o in operands}) != 1:
            raise GraphError("joins tensors of different scales")
        axis = self.axis % len(first.shape)
        if len({(*o.type.shape[:axis], *o.type.shape[axis + 1 :]) for o in operands}) != 1:
            raise GraphError(f"joins shapes {[o.type.shape for o in operands]} along axis {axis}")
        shape = (*first.shape[:axis], sum(o.type.shape[axis] for o in operands), *first.shape[axis + 1 :])
        formats: list[Format] = [o.type.format for o in operands if o.type.format is not None]
        return replace(first, shape=shape, format=hull(*formats) if formats else None)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        samples = max((len(a) for a in arrays if a.ndim > len(out.shape)), default=1)
        parts = [a if a.ndim > len(out.shape) else np.broadcast_to(a, (samples, *a.shape)) for a in arrays]
        return np.concatenate(parts, axis=self.axis % len(out.shape) + 1)


def per_tensor(t: TensorType) -> bool:
    """Whether one scale and one zero point serve the whole tensor."""
    return len(t.scale) == 1 and len(t.zero_point) == 1
