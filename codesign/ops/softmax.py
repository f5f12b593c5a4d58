"""Softmax along the last axis, on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.graph import GraphError, Operand, TensorType


@dataclass(frozen=True)
class Softmax:
    """exp(x) / sum(exp(x)) along the last axis, of real tensors."""

    def infer(self, *operands: Operand) -> TensorType:
        if operands[0].type.is_integer or not operands[0].type.shape:
            raise GraphError("takes a real tensor with at least one axis")
        return TensorType(operands[0].type.shape)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        powers = np.exp(arrays[0] - arrays[0].max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
