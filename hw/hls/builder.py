"""The HLS layers made so far, and how a function of templates/codesign.h becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codesign.formats import Int
from codesign.graph import Graph, Node
from hw.hls.spec import EXTENSION, HlsLayer, Names, check_width, integers_of, signed_hull, span_of

Shape = tuple[int, ...]


@dataclass
class Builder:
    """The layers made so far; `made`: the layer that holds each tensor of the graph. `interval`: cycles a frame."""

    graph: Graph
    io: str
    interval: int
    layers: list[HlsLayer] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)

    @property
    def is_stream(self) -> bool:
        return self.io == "io_stream"

    def add(self, layer: HlsLayer) -> str:
        self.layers.append(layer)
        return layer.name

    def of(self, name: str) -> HlsLayer:
        """The layer of a name."""
        return next(x for x in self.layers if x.name == name)

    def operator(
        self, node: Node, function: str, inputs: Sequence[str], shape: Shape, result: Int, config: dict[str, Any],
        parameters: dict[str, np.ndarray] | None = None, sums: Sequence[Int] = (),
    ) -> str:  # fmt: skip
        """A layer of this project's own: a function of templates/codesign.h. `sums`: what it computes with."""
        given = {k: np.asarray(v, dtype=np.int64) for k, v in (parameters or {}).items()}
        spans = {k: span_of(v) for k, v in given.items()}
        for what, span in spans.items():
            check_width(f"{node.label} ({what})", span)
        inner = {"sum": signed_hull(result, *spans.values(), *sums)} if sums else {}
        attributes = {"function": function, "out_shape": list(shape), "sizes": config, "parameters": given}
        name = self.names.of(node)
        beats = int(np.prod(shape[:-1])) if self.is_stream else 1
        reuse = max(1, min(self.interval // max(beats, 1), 1 << 16))
        precision = {"result": result, **spans, **inner}
        origin = node.label
        return self.add(
            HlsLayer(name, EXTENSION, tuple(inputs), shape, precision, attributes, reuse, "", node.name, origin)
        )


def size_of(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def result_of(b: Builder, node: Node) -> tuple[Shape, Int]:
    """Shape and integers of a node's result."""
    t = b.graph.types[node.name]
    return t.shape, integers_of(t)


def inputs_of(b: Builder, node: Node) -> list[str]:
    """The layers that a node reads."""
    return [b.made[i] for i in node.inputs]


def input_span(b: Builder, node: Node) -> Int:
    """The integers that a node's first operand can be."""
    return integers_of(b.graph.types[node.inputs[0]])
