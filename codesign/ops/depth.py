"""Pixels into channels and back, channels last."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.layout import per_tensor


@dataclass(frozen=True)
class DepthToSpace:
    """x (rows, columns, b*b*C) -> (b*rows, b*columns, C); `columns_first` as ONNX's CRD, else as its DCR."""

    block: int
    columns_first: bool = False

    def infer(self, *operands: Operand) -> TensorType:
        rows, columns, channels = _image(operands[0].type)
        if self.block < 1 or channels % self.block**2:
            raise GraphError(f"{channels} channels do not make blocks of {self.block} by {self.block} pixels")
        shape = (rows * self.block, columns * self.block, channels // self.block**2)
        return replace(operands[0].type, shape=shape)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        samples, rows, columns, channels = arrays[0].shape
        b, left = self.block, channels // self.block**2
        if self.columns_first:
            parts = arrays[0].reshape(samples, rows, columns, left, b, b).transpose(0, 1, 4, 2, 5, 3)
        else:
            parts = arrays[0].reshape(samples, rows, columns, b, b, left).transpose(0, 1, 3, 2, 4, 5)
        return parts.reshape(samples, rows * b, columns * b, left)


@dataclass(frozen=True)
class SpaceToDepth:
    """x (b*rows, b*columns, C) -> (rows, columns, b*b*C), a pixel's place in its block before its channel."""

    block: int

    def infer(self, *operands: Operand) -> TensorType:
        rows, columns, channels = _image(operands[0].type)
        if self.block < 1 or rows % self.block or columns % self.block:
            raise GraphError(f"{rows} by {columns} pixels do not divide into blocks of {self.block}")
        shape = (rows // self.block, columns // self.block, channels * self.block**2)
        return replace(operands[0].type, shape=shape)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        samples, rows, columns, channels = arrays[0].shape
        b = self.block
        parts = arrays[0].reshape(samples, rows // b, b, columns // b, b, channels).transpose(0, 1, 3, 2, 4, 5)
        return parts.reshape(samples, rows // b, columns // b, b * b * channels)


def _image(t: TensorType) -> tuple[int, int, int]:
    if len(t.shape) != 3 or not per_tensor(t):
        raise GraphError(f"takes an image (rows, columns, channels) of one scale, not {t}")
    return t.shape  # type: ignore[return-value]
