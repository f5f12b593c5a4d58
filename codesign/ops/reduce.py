"""One number for all elements along some axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import carrier
from codesign.graph import GraphError, Operand, TensorType
from codesign.ops.layout import per_tensor
from codesign.ops.pool import summed

REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "sum": np.sum, "max": np.max, "min": np.min}


@dataclass(frozen=True)
class Reduce:
    """One of REDUCTIONS over some axes of a sample; they stay, with length 1.

    Integers have no mean: it is a sum (with zero point 0) whose `divisor` goes into the scale.
    """

    function: str
    axes: tuple[int, ...]
    divisor: int = 1

    def infer(self, *operands: Operand) -> TensorType:
        t = operands[0].type
        if self.function not in REDUCTIONS or (t.is_integer and self.function == "mean"):
            raise GraphError(f"reduces {t} by {self.function}")
        if not all(0 <= a < len(t.shape) for a in self.axes):
            raise GraphError(f"reduces axes {self.axes} of shape {t.shape}")
        if len(t.shape) - 1 in self.axes and not per_tensor(t):
            raise GraphError("reduces channels that have a scale each")
        shape = tuple(1 if a in self.axes else n for a, n in enumerate(t.shape))
        if t.is_integer and self.function == "sum":
            return summed(t, shape, self.terms(t.shape), self.divisor)
        return replace(t, shape=shape)

    def terms(self, shape: tuple[int, ...]) -> int:
        """Elements that become one."""
        return int(np.prod([shape[a] for a in self.axes], dtype=np.int64))

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        x = arrays[0].astype(carrier(out.format), copy=False)
        return REDUCTIONS[self.function](x, axis=tuple(a + 1 for a in self.axes), keepdims=True)


def neighbours(axes: Iterable[int], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Axes in runs between which only axes of length 1 lie, the last run first."""
    runs: list[tuple[int, ...]] = []
    for axis in sorted(axes, reverse=True):
        if runs and all(n == 1 for n in shape[axis + 1 : runs[-1][0]]):
            runs[-1] = (axis, *runs[-1])
        else:
            runs.append((axis,))
    return runs
