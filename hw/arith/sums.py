"""The circuits of dot products, by the place of their weights: what they are, and what they take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from codesign.cost import Cost
from codesign.formats import Int
from hw.arith.chosen import chosen, chosen_sites
from hw.arith.constant import constant, constant_sites
from hw.arith.powers import powers_of
from hw.arith.product import Built, Codes, Place, Product
from hw.arith.signals import remembered, signal_sites, tabled, tabled_sites
from hw.fitted import fitted
from hw.netlist.cells import Netlist
from hw.netlist.pipeline import pipelined
from hw.netlist.sizes import netlist_cost


@dataclass(frozen=True)
class Circuit:
    """`build` on inputs' codes, for sums modulo 2^most_bits; `sites` counts partial products and plans heaps: no gates
    are built."""

    build: Callable[[Netlist, Product, Codes, int], Built]
    sites: Callable[[Product, int], float]


CIRCUITS = {
    Place.CONSTANT: Circuit(constant, constant_sites),
    Place.CHOSEN: Circuit(chosen, chosen_sites),
    Place.TABLE: Circuit(tabled, tabled_sites),
    Place.MEMORY: Circuit(remembered, signal_sites),
}


@dataclass(frozen=True)
class Sums:
    """A registered netlist from `x` (and `fold`, or `w` for one neuron) to `y`, and the format of each sum in `y`."""

    netlist: Netlist
    latency: int
    formats: tuple[Int, ...]

    @property
    def luts(self) -> int:
        return self.netlist.sites

    @cached_property
    def cost(self) -> Cost:
        """Of the netlist."""
        return netlist_cost(self.netlist)


def sums_of(product: Product, most_bits: int) -> Sums:
    """All neurons' sums modulo 2^most_bits; of one neuron where the weights are in a memory."""
    return _built(_Content(product, most_bits))


def product_cost(product: Product, most_bits: int) -> Cost:
    """Of the circuit of all neurons, without a memory outside."""
    place = product.place.name.lower()
    lut = CIRCUITS[product.place].sites(product, most_bits) * fitted(f"product.{place}")
    return Cost(lut=lut, ff=fitted(f"product.{place} ff") * lut)


def stored(product: Product, most_bits: int) -> Product:
    """With weights as signs and exponents where they are powers of two and that takes less."""
    powers = powers_of(product.weights)
    if powers is None or product.place not in (Place.TABLE, Place.MEMORY) or product.signs or product.x.bits == 1:
        return product
    other, sites = replace(product, w=powers), CIRCUITS[product.place].sites
    return other if sites(other, most_bits) < sites(product, most_bits) else product


class _Content:
    """What a netlist depends on; equal contents are built once."""

    def __init__(self, product: Product, most_bits: int) -> None:
        self.product, self.most_bits = product, most_bits
        shape = product.weights.shape
        outside = product.place is Place.MEMORY
        values = (shape[2], product.most[0]) if outside else (shape, product.weights.tobytes())
        parts = repr((product.x, product.w, product.place, product.banks, product.levels, most_bits, values))
        self.digest = hashlib.sha256(parts.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@lru_cache(maxsize=64)
def _built(content: _Content) -> Sums:
    p, n = content.product, Netlist()
    lanes = p.synapses if p.place is Place.MEMORY else p.banks * p.synapses
    bits = n.input("x", lanes * p.x.bits)
    codes = [bits[k : k + p.x.bits] for k in range(0, len(bits), p.x.bits)]
    sums, formats = CIRCUITS[p.place].build(n, p, codes, content.most_bits)
    n.output("y", [bit for bits in sums for bit in bits])
    return Sums(*pipelined(n, p.levels), tuple(formats))
