"""What is handed to hls4ml: layers as values, every number format among them said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.formats import Int
from codesign.graph import Node, TensorType

EXTENSION = "CodesignOperator"  # the layer kind that this project adds to hls4ml
TOP = "accelerator"  # the C++ function, and the project's name
WIDEST_BITS = 53  # of what enters and leaves, and of parameters: hls4ml has them in float64


@dataclass(frozen=True)
class HlsLayer:
    """One hls4ml layer. `tensor`: the graph's tensor that it computes, "" for one in between.

    `precision`: the integers that its results, accumulators and parameters (by hls4ml's names) can be.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    precision: Mapping[str, Int]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    reuse: int = 1
    strategy: str = "latency"
    tensor: str = ""
    origin: str = ""


@dataclass(frozen=True)
class HlsNetwork:
    """Layers in topological order, the names of those that are inputs and outputs, and how data travels."""

    layers: tuple[HlsLayer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    io: str

    @property
    def by_name(self) -> dict[str, HlsLayer]:
        return {layer.name: layer for layer in self.layers}


def integers_of(t: TensorType) -> Int:
    """The integers that a tensor holds; -1 and +1 for binary ones."""
    assert t.format is not None
    return Int(t.format.lo, t.format.hi)


def span_of(values: np.ndarray) -> Int:
    return Int(int(values.min()), int(values.max()))


def weights_span(values: np.ndarray) -> Int:
    """The integers of a product's weights, never in a width that hls4ml 1.3 takes for something else.

    It takes signed ones of 2 bits for -1, 0, 1 (a -2 would become +1), and 1-bit data by 1-bit weights for XNOR.
    """
    span = span_of(values)
    if span.lo >= 0:
        return Int(0, max(span.hi, 3))  # two bits at least
    if span.lo == -1:
        return Int(-1, max(span.hi, 1))  # two bits at least
    return Int(-4, 3) if span.bits == 2 else span


def signed_hull(*spans: Int) -> Int:
    """A signed format that holds all of them and 0."""
    low, high = min(-1, *(s.lo for s in spans)), max(0, *(s.hi for s in spans))
    return Int(low, high)


class Names:
    """C++ identifiers, told apart without regard to case, as hls4ml's configuration does.

    Each ends in what it is, so that none is a keyword, or one of the attributes of a layer, among which hls4ml keeps
    a layer's result under the layer's own name.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, node: Node) -> str:
        """A name for what a node computes: the user's layer and the operator."""
        return self.fresh(node.label, type(node.op).__name__)

    def fresh(self, wish: str, what: str) -> str:
        stem = re.sub(r"\W+", "_", f"{wish[-32:]}_{what}", flags=re.ASCII).strip("_").lower()
        stem = stem if stem[0].isalpha() else f"n{stem}"
        name, k = stem, 1
        while name in self._taken:
            name, k = f"{stem}_{k}", k + 1
        self._taken.add(name)
        return name


def check_width(name: str, span: Int) -> None:
    if span.bits > WIDEST_BITS:
        raise UserError(
            f"'{name}' has {span.bits} bits; hls4ml's files and test bench carry at most {WIDEST_BITS} exactly: "
            "quantize it to fewer"
        )
