"""Channels that seldom answer go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.chunks import run_chunked
from codesign.compress.channel_pruning import ChannelPruning, Given, by_label
from codesign.compress.channels import Family
from codesign.compress.step import Samples
from codesign.graph import Graph
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.unary import Unary


@dataclass(frozen=True)
class Apoz(ChannelPruning):
    """The importance is the share of a channel's values behind its rectifier that are not zero on the samples: the
    average percentage of zeros, from the other side. Channels without a rectifier are never zero, and stay first."""

    name: ClassVar[str] = "apoz"
    paper: ClassVar[str] = "Hu et al., Network Trimming: A Data-Driven Neuron Pruning Approach, 2016"
    on_samples: ClassVar[bool] = True

    def importance(self, given: Given, families: Sequence[Family]) -> list[np.ndarray]:
        ends = {p: rectified(given.real, p) for f in families for p in f.layers}
        shares = nonzero_shares(given.real, sorted(set(ends.values())), given.needs_samples(self.name))
        return [np.mean([by_label(f, p, shares[ends[p]]) for p in f.layers], axis=0) for f in families]


def rectified(graph: Graph, product: str) -> str:
    """The tensor of a product's channels behind biases, factors and functions of one number that alone read them."""
    name = product
    while len(graph.readers[name]) == 1 and name not in graph.outputs:
        (node,) = graph.readers[name]
        affine = isinstance(node.op, (Add, Sub, Mul, Div)) and bool(set(node.inputs) & graph.constants.keys())
        if not (affine or isinstance(node.op, Unary)):
            break
        name = node.name
    return name


def nonzero_shares(graph: Graph, tensors: Sequence[str], samples: Samples) -> Mapping[str, np.ndarray]:
    """By tensor: the share of values that are not zero, of each channel."""
    feeds = {i.name: samples[i.name] for i in graph.inputs}

    def shares(chunk: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = graph.run(chunk, tensors)
        return {k: (v != 0).reshape(len(v), -1, v.shape[-1]).mean(axis=1) for k, v in values.items()}

    return {k: v.mean(axis=0) for k, v in run_chunked(shares, feeds, graph.widest).items()}
