"""Channels that their batch normalization scales down go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.chunks import run_chunked
from codesign.compress.channel_pruning import ChannelPruning, Given, summed
from codesign.compress.channels import Family
from codesign.errors import UserError
from codesign.graph import Graph, Node
from codesign.ops.elementwise import Add, Mul
from codesign.quantize.canonical import is_product


@dataclass(frozen=True)
class Slimming(ChannelPruning):
    """The importance is the scale |gamma| of the batch normalization behind a layer.

    A model file read in has it divided by the deviation; the deviation of what the normalization gives is gamma again,
    so it is measured on the samples.
    """

    name: ClassVar[str] = "slimming"
    paper: ClassVar[str] = "Liu et al., Learning Efficient Convolutional Networks through Network Slimming, 2017"
    on_samples: ClassVar[bool] = True

    def importance(self, given: Given, families: Sequence[Family]) -> list[np.ndarray]:
        samples, graph = given.needs_samples(self.name), given.source
        behind = {p: _normalization(graph, given.label_of(p)) for f in families for p in f.layers}
        missing = [given.label_of(p) for p, n in behind.items() if n is None]
        if missing:
            raise UserError(
                f"step '{self.name}': no batch normalization follows '{missing[0]}' (it may be folded into the weights "
                "already); name layers that have one, or take another step, like filter-norm"
            )
        names = tuple(n.name for n in behind.values() if n is not None)
        found = run_chunked(lambda x: graph.run(x, names), dict(samples), graph.widest)
        deviation = dict(zip(behind, (found[n].reshape(-1, found[n].shape[-1]).std(axis=0) for n in names)))
        return [summed(f, [(p, deviation[p]) for p in f.layers]) for f in families]


def _normalization(graph: Graph, label: str) -> Node | None:
    """The factor of each channel right behind a layer, or behind its bias."""
    at = next(n for n in graph.nodes if n.label == label and is_product(graph, n))
    for _ in range(2):
        readers = graph.readers[at.name]
        if len(readers) != 1 or not any(i in graph.constants for i in readers[0].inputs):
            return None
        at = readers[0]
        if isinstance(at.op, Mul):
            return at
        if not isinstance(at.op, Add):
            return None
    return None
