"""Neurons that seldom answer become zero, so that what removes zero filters can take them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.chunks import run_chunked
from codesign.compress.step import Data, Product, chosen, needed, with_weights, within
from codesign.errors import UserError
from codesign.graph import Graph, Node
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.unary import Unary

RECTIFIERS = ("relu", "clip", "thresholded_relu")


@dataclass(frozen=True)
class Apoz:
    """Neurons (channels behind a rectifier) whose share of zeros on the samples is above `zeros`: their weights, and
    what is added to them, become zero; at least one in each layer stays."""

    name: ClassVar[str] = "apoz"
    paper: ClassVar[str] = "Hu et al., Network Trimming, 2016"

    zeros: float = 0.9
    layers: str = "*"

    def __post_init__(self) -> None:
        within(self.name, "zeros", self.zeros, 0, 1)

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        ends = {p.label: (p, chain) for p in chosen(graph, self.layers) if (chain := rectified(graph, p))}
        if not ends:
            raise UserError(f"step '{self.name}': none of the layers '{self.layers}' is followed by a rectifier")
        shares = zero_shares(graph, [chain[-1].name for _, chain in ends.values()], needed(data, self.name))
        values: dict[str, np.ndarray] = {}
        told = []
        for label, (p, chain) in ends.items():
            share = shares[chain[-1].name]
            dead = (share > self.zeros) & (np.arange(len(share)) != share.argmin())
            values |= _without(graph, p, chain, dead)
            told.append(
                f"{label}: {dead.sum()} of {dead.size} neurons are 0 for more than {self.zeros:.0%} of the samples"
            )
        return with_weights(graph, values), tuple(told)


def rectified(graph: Graph, product: Product) -> tuple[Node, ...]:
    """The only readers behind a product, up to a rectifier; nothing where there is none."""
    chain, node = [], product.node
    while len(graph.readers[node.name]) == 1 and node.name not in graph.outputs:
        (node,) = graph.readers[node.name]
        chain.append(node)
        if isinstance(node.op, Unary):
            return tuple(chain) if node.op.function in RECTIFIERS and (node.op.parameters or (0.0,))[0] == 0 else ()
        if not isinstance(node.op, (Add, Sub, Mul, Div)) or not set(node.inputs) & graph.constants.keys():
            return ()
    return ()


def zero_shares(graph: Graph, tensors: list[str], data: Data) -> Mapping[str, np.ndarray]:
    """By tensor: the average percentage of zeros of each channel, as a share."""
    feeds = {i.name: data.samples[i.name] for i in graph.inputs}

    def zeros(chunk: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = graph.run(chunk, tensors)
        return {k: (v == 0).reshape(len(v), -1, v.shape[-1]).mean(axis=1) for k, v in values.items()}

    return {k: v.mean(axis=0) for k, v in run_chunked(zeros, feeds, graph.widest).items()}


def _without(graph: Graph, product: Product, chain: tuple[Node, ...], dead: np.ndarray) -> dict[str, np.ndarray]:
    """Weights and added constants with zeros for the dead channels."""
    values = {product.weights: np.where(dead, 0.0, product.value)}
    for node in chain:
        if isinstance(node.op, (Add, Sub)):
            name = next(i for i in node.inputs if i in graph.constants)
            shape = np.broadcast_shapes(graph.constants[name].shape, dead.shape)
            values[name] = np.where(dead, 0.0, np.broadcast_to(graph.constants[name], shape))
    return values
