"""What a row of `hw/layers.py` is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from codesign.graph import Graph, Node, TensorType
from hw.pipeline import Stage
from hw.stream import StreamType


@dataclass(frozen=True)
class Folding:
    """Elements in and out of a layer in a cycle; `whole`: a sliding window hands over all its positions at once.

    `skip`: blocks of weights that are all zero take no cycle.
    """

    lanes_in: int
    lanes_out: int
    whole: bool = False
    skip: bool = False


Chain = list[tuple[str, Stage]]  # (suffix of the stage's name, stage)


@dataclass(frozen=True)
class Layer:
    """`foldings` that are possible, `stages` of one of them, and the cycles a frame takes."""

    foldings: Callable[[Graph, Node], Sequence[Folding]]
    stages: Callable[[Graph, Node, Folding], Chain]
    cycles: Callable[[Graph, Node, Folding], int]


@cache
def divisors(n: int) -> tuple[int, ...]:
    return tuple(d for d in range(1, n + 1) if n % d == 0)


def stream_of(t: TensorType, lanes: int) -> StreamType:
    """A tensor as a stream."""
    assert t.format is not None
    return StreamType(t.shape, t.format, lanes)
