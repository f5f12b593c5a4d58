"""What an ONNX tensor is during import: computed, a quantized constant, or a plain array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.formats import Format, Int

INTEGERS = {
    f"{'' if signed else 'u'}int{bits}": Int.of(bits, bool(signed)) for bits in (4, 8, 16, 32, 64) for signed in (0, 1)
}
MOST_ELEMENTS = 1 << 25  # of one tensor of one sample


class Refused(Exception):
    """A node that cannot be imported: the reason and what would help; the caller names the node."""


class MixesSamples(Refused):
    """A node that works along axis 0, so that axis 0 cannot be the sample axis."""


@dataclass(frozen=True)
class Codes:
    """ONNX sees integers q of `format` where the graph holds the real scale * (q - zero_point).

    scale and zero_point have one entry, or one for each index of `axis` (of one sample, in ONNX's view).
    """

    format: Int
    scale: tuple[float, ...] = (1.0,)
    zero_point: tuple[int, ...] = (0,)
    axis: int | None = None

    @property
    def plain(self) -> Codes:
        """The same integers, meaning themselves."""
        return Codes(self.format)

    def __str__(self) -> str:
        return str(self.format)


@dataclass(frozen=True)
class Stored:
    """A computed tensor: `name` in the graph, `shape` of one sample as ONNX sees it.

    Stored axis k holds ONNX axis order[k]; axes of length 1 may be left out of `order`. So a transposition
    costs nothing until an operator demands an order. `codes`: None where ONNX's tensor holds floats.
    """

    name: str
    shape: tuple[int, ...]
    order: tuple[int, ...]
    codes: Codes | None = None

    @classmethod
    def plain(cls, name: str, shape: tuple[int, ...]) -> Stored:
        """Stored as ONNX sees it."""
        return cls(name, shape, tuple(range(len(shape))))

    @property
    def stored_shape(self) -> tuple[int, ...]:
        return tuple(self.shape[a] for a in self.order)


@dataclass(frozen=True)
class Quantized:
    """A constant of scale * (integers - zero_point): three arrays of one shape."""

    integers: np.ndarray
    format: Format
    scale: np.ndarray
    zero_point: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.integers.shape

    def real(self) -> np.ndarray:
        return self.scale * (self.integers - self.zero_point)

    def transpose(self, perm: tuple[int, ...]) -> Quantized:
        return self.each(lambda a: a.transpose(perm))

    def reshape(self, shape: tuple[int, ...]) -> Quantized:
        return self.each(lambda a: a.reshape(shape))

    def each(self, move: Callable[[np.ndarray], np.ndarray]) -> Quantized:
        """Its elements moved."""
        return Quantized(move(self.integers), self.format, move(self.scale), move(self.zero_point))


Constantlike = Quantized | np.ndarray
Value = Stored | Quantized | np.ndarray


def per_last_axis(values: np.ndarray) -> np.ndarray | None:
    """One entry, or one for each index of the last axis, when that describes the whole array; else None."""
    if not values.size:
        return None
    rows = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    if not (rows == rows[0]).all():
        return None
    return rows[0, :1] if (rows[0] == rows[0, 0]).all() else rows[0]
