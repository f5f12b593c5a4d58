"""One node being converted: typed access to its inputs and attributes, each with its own refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from codesign.importer.builder import Builder
from codesign.importer.model import OnnxNode
from codesign.importer.values import INTEGERS, Constantlike, MixesSamples, Quantized, Refused, Stored, Value

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A node, its inputs (None: left out), the length of axis 0, the graph so far, and what is read.

    `lead` is 1 where ONNX's axis 0 is the sample axis, which stored shapes leave out; 0 where the whole tensor
    is one sample.
    """

    node: OnnxNode
    inputs: tuple[Value | None, ...]
    batch: int
    lead: int
    opset: int
    build: Builder
    needed: frozenset[str]

    def has(self, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def tensor(self, index: int = 0) -> Stored:
        """An input that must be computed from the network's input."""
        value = self.inputs[index] if self.has(index) else None
        if not isinstance(value, Stored):
            raise Refused(f"its input {index} is constant or missing; it must depend on the network's input")
        return value

    def constant(self, index: int, what: str) -> Constantlike:
        """An input that must be constant."""
        value = self.inputs[index] if self.has(index) else None
        if value is None:
            raise Refused(f"its input {index} ({what}) is missing")
        if isinstance(value, Stored):
            raise Refused(f"its input {index} ({what}) is computed; only constants are supported")
        return value

    def array(self, index: int, what: str) -> np.ndarray:
        """A constant input as an array of real values (or of the integers that a shape holds)."""
        value = self.constant(index, what)
        if isinstance(value, Quantized):
            return value.real()
        if value.dtype.kind not in "iufb" and value.dtype.name not in INTEGERS:
            raise Refused(f"its input {index} ({what}) is of type {value.dtype.name}, which is not supported")
        return value

    def scalar(self, index: int, what: str) -> float:
        value = self.array(index, what)
        if value.size != 1:
            raise Refused(f"its input {index} ({what}) has shape {value.shape}; one number is needed")
        return float(value.reshape(()))

    def integers(self, name: str, default: Sequence[int]) -> tuple[int, ...]:
        """An attribute that is a list of integers."""
        value = self._attribute(name, list(default), list)
        if not all(isinstance(v, int) for v in value):
            raise Refused(f"attribute '{name}' is not a list of integers")
        return tuple(value)

    def numbers(self, name: str) -> list[float]:
        """An attribute that is a list of numbers."""
        return [float(v) for v in self._attribute(name, None, list)]

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._attribute(name, default, int)
        if abs(value) >= 1 << 31:
            raise Refused(f"attribute '{name}' is {value}, which is out of range")
        return value

    def number(self, name: str, default: float) -> float:
        value = self._attribute(name, default, float)
        if not np.isfinite(value):
            raise Refused(f"attribute '{name}' is {value}")
        return value

    def text(self, name: str, default: str) -> str:
        return self._attribute(name, default, str)

    def texts(self, name: str) -> list[str]:
        """An attribute that is a list of texts."""
        value = self._attribute(name, None, list)
        return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in value]

    def _attribute(self, name: str, default: Any, kind: type[T]) -> T:
        value = self.node.attributes.get(name, default)
        if value is None:
            raise Refused(f"attribute '{name}' is missing")
        if not isinstance(value, kind):
            raise Refused(f"attribute '{name}' is not of type {kind.__name__}")
        return value

    def rank(self, x: Stored) -> int:
        """ONNX's number of axes."""
        return len(x.shape) + self.lead

    def shape(self, x: Stored) -> tuple[int, ...]:
        """ONNX's shape."""
        return (self.batch, *x.shape) if self.lead else x.shape

    def axis(self, axis: int, rank: int) -> int:
        """An ONNX axis (of `rank`) as an axis of one sample."""
        if not -rank <= axis < rank:
            raise Refused(f"axis {axis} does not exist in a tensor of {rank} axes")
        if self.lead and axis % rank == 0:
            raise MixesSamples("it works along axis 0, which is the sample axis; samples are independent here")
        return axis % rank - self.lead

    def axes(self, axes: Sequence[int], rank: int) -> list[int]:
        """Several ONNX axes as axes of one sample, ascending."""
        found = sorted(self.axis(int(a), rank) for a in axes)
        if len(set(found)) != len(found):
            raise Refused(f"it names an axis twice: {list(axes)}")
        return found

    def aligned(self, value: np.ndarray, x: Stored) -> np.ndarray:
        """A constant operand without a sample axis, with at least the axes of `x`, broadcast as ONNX does."""
        rank = self.rank(x)
        if self.lead and value.ndim > rank:
            raise MixesSamples(f"its constant has {value.ndim} axes, more than the other operand's {rank}")
        if self.lead and value.ndim == rank:
            if value.shape[0] != 1:
                raise MixesSamples(f"its constant of shape {value.shape} differs between samples (axis 0)")
            value = value[0]
        return value.reshape((1,) * (len(x.shape) - value.ndim) + value.shape)

    def only_first_output(self) -> None:
        """Refuse nodes whose further results are used (they are named only if so)."""
        extra = [o for o in self.node.outputs[1:] if o in self.needed]
        if extra:
            raise Refused(f"its result '{extra[0]}' is not supported, only the first one is")
