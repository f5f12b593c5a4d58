"""Steps that change how a file keeps weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import gcd
from typing import ClassVar

from codesign.compress.circulant import from_rows, rows_of
from codesign.compress.count import stored_bytes
from codesign.compress.step import Data, chosen, with_weights, within
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


@dataclass(frozen=True)
class Circulant:
    """Every block of `block` inputs by `block` outputs (0: as large as fits) becomes the nearest circulant matrix, of
    which the file keeps one row: between input channels and outputs, for each tap of a kernel."""

    name: ClassVar[str] = "circulant"
    paper: ClassVar[str] = "Cheng et al., An Exploration of Parameter Redundancy with Circulant Projections, 2015"

    block: int = 0
    layers: str = "*"

    def __post_init__(self) -> None:
        within(self.name, "block", self.block, 0, 1 << 16)

    def apply(self, graph: Graph, data: Data | None) -> Told:
        told: tuple[str, ...] = ()
        for p in chosen(graph, self.layers):
            size = gcd(gcd(*p.value.shape[-2:]), self.block)  # gcd(n, 0) is n
            if size == 1:
                told += (f"{p.label}: left as it is, no block divides its {p.value.shape[-2:]} inputs and outputs",)
                continue
            graph = with_weights(graph, {p.weights: from_rows(rows_of(p.value, size))})
            graph, stored = kept(graph, literal(p.label), f"circulant({size})")
            told += stored
        return graph, told


def literal(label: str) -> str:
    """A pattern that matches this label."""
    return "".join(f"[{c}]" if c in "*?[" else "?" if c == "," else c for c in label)


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
