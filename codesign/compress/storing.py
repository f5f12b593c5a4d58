"""Steps that change how weights are kept, not what they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from codesign.compress.count import stored_bytes
from codesign.compress.step import Data, chosen
from codesign.errors import UserError
from codesign.graph import Constant, Graph

Told = tuple[Graph, tuple[str, ...]]


@dataclass(frozen=True)
class Csr:
    """Weights that are not zero, row by row, with their columns; `huffman`: entries and gaps in a Huffman code."""

    name: ClassVar[str] = "csr"
    paper: ClassVar[str] = "Han et al., Deep Compression, 2016"

    layers: str = "*"
    huffman: bool = False

    def apply(self, graph: Graph, data: Data | None) -> Told:
        return kept(graph, self.layers, "csr" + "+huffman" * self.huffman)


@dataclass(frozen=True)
class Bcsr:
    """Blocks of weights that are not all zero, row by row; `block`: outputs by inputs, as in 4x4."""

    name: ClassVar[str] = "bcsr"
    paper: ClassVar[str] = "Saad, SPARSKIT, 1994"

    block: str = "4x4"
    layers: str = "*"
    huffman: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[1-9]\d{0,3}x[1-9]\d{0,3}", self.block):
            raise UserError(f"step 'bcsr': block '{self.block}' is not of the form 4x4")

    def apply(self, graph: Graph, data: Data | None) -> Told:
        return kept(graph, self.layers, f"bcsr({self.block})" + "+huffman" * self.huffman)


@dataclass(frozen=True)
class HuffmanCode:
    """Weights in a Huffman code of their values, the table beside it."""

    name: ClassVar[str] = "huffman"
    paper: ClassVar[str] = "Huffman, 1952; Han et al., Deep Compression, 2016"

    layers: str = "*"

    def apply(self, graph: Graph, data: Data | None) -> Told:
        return kept(graph, self.layers, "huffman")


def kept(graph: Graph, patterns: str, storage: str) -> Told:
    """The graph with the weights of some layers, real or quantized, kept in a storage; what that takes."""
    found = chosen(graph, patterns, quantized=True)
    names = {p.weights for p in found}
    changed = graph.replace(
        replace(n, op=replace(n.op, storage=storage)) if isinstance(n.op, Constant) and n.name in names else n
        for n in graph.nodes
    )
    sizes = [[stored_bytes(g.by_name[p.weights]) for g in (graph, changed)] for p in found]
    told = [f"{p.label}: {b:,} -> {a:,} bytes as {storage}" for p, (b, a) in zip(found, sizes)]
    return changed, tuple(told)
