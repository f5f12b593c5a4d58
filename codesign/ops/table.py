"""Any function of one bounded integer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.formats import Format, carrier
from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.channels import check_channels, freeze
from codesign.ops.threshold import lookup


@dataclass(frozen=True, eq=False)
class Table:
    """y = values[channel, x - lo], along the last axis: values (C or 1, n) for every x in lo..lo + n - 1."""

    values: np.ndarray
    lo: int
    format: Format
    scale: tuple[float, ...] = (1.0,)
    zero_point: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if not self.format.contains(freeze(self, "values", np.int64, 2)):
            raise GraphError(f"table values {self.values.min()}..{self.values.max()} leave {self.format}")

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        check_channels(x, self.values)
        if x.type.format is None:
            raise GraphError("a table meets a real tensor")
        hi = self.lo + self.values.shape[1] - 1
        if x.type.format.lo < self.lo or x.type.format.hi > hi:
            raise GraphError(f"a table for {self.lo}..{hi} meets {x.type.format}")
        return TensorType(x.type.shape, self.format, self.scale, self.zero_point)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return lookup(self.values.astype(carrier(out.format)), arrays[0], self.lo)
