"""What the low-rank steps share: which layers, which ranks, and whether weights or answers are to be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.chain import Chain
from codesign.compress.factor.least_squares import Arrays
from codesign.compress.factor.svd import rank_for_energy, rank_for_error
from codesign.compress.fit import Task, dense_task, fit_all
from codesign.compress.method import Method
from codesign.compress.step import Data, Product, Samples, chosen, needed, single, with_weights, within
from codesign.compress.tidy import folded, replaced, without_idle_sums
from codesign.errors import UserError
from codesign.graph import Graph
from codesign.ops.conv import Conv
from codesign.quantize.canonical import Layer, layers_of

BISECTIONS = 40


class Left(Exception):
    """Why a layer is left as it is."""


@dataclass(frozen=True)
class Planned:
    """A layer to take apart."""

    product: Product
    method: Method
    ranks: tuple[int, ...]

    @property
    def kernel(self) -> np.ndarray:
        return kernel_of(self.product)

    def __str__(self) -> str:
        ranks = ", ".join(map(str, self.ranks))
        return f"{self.product.label}: rank {ranks}, {self.method.count(self.ranks)} of {self.kernel.size} weights"


def only_windows(product: Product) -> None:
    """Left where a layer has no window that a decomposition could take apart."""
    if product.kind != "@conv":
        raise Left("it has no window of several taps to take apart; step svd is for such layers")


def kernel_of(product: Product) -> np.ndarray:
    """(rows, columns, C, O); of a matrix product (1, 1, K, N)."""
    return product.value if product.value.ndim == 4 else product.value[None, None]


@dataclass(frozen=True)
class LowRank:
    """Layers of dense weights as chains of smaller ones.

    The ranks: the same `rank` for all; or those that keep a share `energy` of the squared singular values; or whose
    `error` is at most that share of the weights' norm; or those that keep the most energy with a `share` of the layer's
    weights. Where a chain has no fewer weights, the layer stays (unless `rank` asks for it).

    `responses`: not the weights but the answers are kept, on samples: the chain and all layers behind it are fitted to
    what the network answered before, with what the compressed layers in front give (see compress/responses.py).
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    on_vectors: ClassVar[bool] = False  # whether matrix products must have one axis only

    layers: str = "*"
    rank: int = 0
    energy: float = 0.0
    error: float = 0.0
    share: float = 0.0
    responses: bool = False

    def __post_init__(self) -> None:
        given = [k for k in ("rank", "energy", "error", "share") if getattr(self, k)]
        if len(given) != 1:
            raise UserError(f"step '{self.name}' needs one of rank, energy, error and share, not {len(given)} of them")
        within(self.name, given[0], getattr(self, given[0]), *((1, 1 << 20) if self.rank else (0, 1)))

    def method(self, product: Product) -> Method:
        """The decomposition of a layer; Left where there is none."""
        raise NotImplementedError

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        samples = needed(data, self.name).samples if self.responses else None
        real, plans, notes = folded(graph), [], []
        for product in chosen(real, self.layers):
            try:
                plans.append(self._planned(real, product))
                notes.append(str(plans[-1]))
            except Left as reason:
                notes.append(f"{product.label} is left as it is: {reason}")
        result = taken_apart(real, plans, samples)
        return without_idle_sums(result), tuple(notes)

    def _planned(self, graph: Graph, product: Product) -> Planned:
        if product.kind == "@fc" and self.on_vectors and len(graph.types[product.node.inputs[0]].shape) > 1:
            raise Left("it multiplies along the last of several axes; this step splits products of vectors only")
        if isinstance(product.node.op, Conv) and product.node.op.groups > 1:
            raise Left("its channels are in groups, each of which sees few of them")
        method, kernel = self.method(product), kernel_of(product)
        spectra = method.spectra(kernel)
        if self.rank:
            return Planned(product, method, tuple(min(self.rank, len(s)) for s in spectra))
        ranks = self._ranks(method, spectra, kernel.size)
        if method.count(ranks) >= kernel.size:
            raise Left(f"{method.count(ranks)} weights at rank {', '.join(map(str, ranks))} are not fewer")
        return Planned(product, method, ranks)

    def _ranks(self, method: Method, spectra: Sequence[np.ndarray], size: int) -> tuple[int, ...]:
        if self.error:
            return tuple(rank_for_error(s, self.error / np.sqrt(len(spectra))) for s in spectra)
        if self.energy:
            return _at_energy(spectra, self.energy)
        low, high = 0.0, 1.0
        if method.count(_at_energy(spectra, low)) > self.share * size:
            raise Left(f"even rank 1 takes more than {self.share:g} of its weights")
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            fits = method.count(_at_energy(spectra, middle)) <= self.share * size
            low, high = (middle, high) if fits else (low, middle)
        return _at_energy(spectra, low)


def _at_energy(spectra: Sequence[np.ndarray], energy: float) -> tuple[int, ...]:
    return tuple(rank_for_energy(s, energy) for s in spectra)


def taken_apart(real: Graph, plans: Sequence[Planned], samples: Samples | None) -> Graph:
    """A canonical graph with chains for layers; with samples fitted to what it answered."""
    graph, chains = real, []
    for plan in plans:
        factors = tuple(single(f) for f in plan.method.factors(plan.kernel, plan.ranks))
        chains.append(plan.method.chain(graph, graph.by_name[plan.product.node.name], factors))
        graph = replaced(graph, plan.product.node.name, chains[-1].nodes)
    if samples is None or not plans:
        return graph
    return with_weights(graph, fit_all(real, graph, _tasks(real, graph, plans, chains), samples, {}))


def _tasks(real: Graph, graph: Graph, plans: Sequence[Planned], chains: Sequence[Chain]) -> list[Task]:
    """The chains, and every layer that reads anything of what they change."""
    by_product = {p.product.node.name: (p, c) for p, c in zip(plans, chains)}
    changed: set[str] = set()
    for node in real.nodes:
        if node.name in by_product or changed & set(node.inputs):
            changed.add(node.name)
    touched = [layer for layer in layers_of(real) if layer.product in changed]
    return [
        _chain_task(real, graph, layer, *by_product[layer.product])
        if layer.product in by_product
        else dense_task(real, graph, layer, {})
        for layer in touched
    ]


def _chain_task(real: Graph, graph: Graph, layer: Layer, plan: Planned, chain: Chain) -> Task:
    fit = _Fitted(plan)
    first = graph.readers[chain.weights[0]][0].name
    node, outputs = real.by_name[layer.product], np.arange(plan.kernel.shape[-1])
    return Task(layer, node, plan.product.value, outputs, first, chain.weights, fit.project, lambda w: fit.weights())


class _Fitted:
    """A chain's factors in the course of a fit, each found from the one before."""

    def __init__(self, plan: Planned) -> None:
        self.plan, self.last = plan, None

    def project(self, target: np.ndarray, moments: np.ndarray) -> np.ndarray:
        method, kernel = self.plan.method, target[0].reshape(self.plan.kernel.shape)
        self.last: Arrays | None = method.nearer(kernel, moments[0], self.plan.ranks, self.last)
        return method.kernel(self.last).reshape(target.shape)

    def weights(self) -> list[np.ndarray]:
        """The constants of what was found last."""
        assert self.last is not None
        found = self.plan.method.weights(self.last)
        return [w[0, 0] for w in found] if self.plan.product.value.ndim == 2 and found[0].ndim == 4 else found
