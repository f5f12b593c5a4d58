"""Softmax and its relatives along the last axis, on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class Softmax:
    """exp(x) / sum(exp(x)) along the last axis, of real tensors; `log`: its logarithm."""

    log: bool = False

    def infer(self, *operands: Operand) -> TensorType:
        if operands[0].type.is_integer or not operands[0].type.shape:
            raise GraphError("takes a real tensor with at least one axis")
        return TensorType(operands[0].type.shape)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        below = arrays[0] - arrays[0].max(axis=-1, keepdims=True)
        powers = np.exp(below)
        total = powers.sum(axis=-1, keepdims=True)
        return below - np.log(total) if self.log else powers / total


@dataclass(frozen=True)
class Hardmax:
    """1 at the first largest element along the last axis, 0 elsewhere, of real tensors."""

    def infer(self, *operands: Operand) -> TensorType:
        return Softmax().infer(*operands)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        places = np.arange(out.shape[-1])
        return (places == arrays[0].argmax(axis=-1)[..., None]).astype(np.float64)
