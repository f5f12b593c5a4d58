"""What the steps that remove whole channels share: families of tied layers, how many go, and the fit afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.compress.channels import Channels, Family, without
from codesign.compress.fit import dense_task, fit_all
from codesign.compress.remove import Removed, remove
from codesign.compress.step import Data, Samples, chosen, needed, one_of, with_weights, within
from codesign.compress.tidy import folded, without_idle_sums
from codesign.errors import UserError
from codesign.graph import Graph
from codesign.quantize.canonical import layers_of


@dataclass(frozen=True, eq=False)
class Given:
    """What channels are judged by: the network as it came and in canonical form, its channels, samples."""

    source: Graph
    real: Graph
    channels: Channels
    samples: Samples | None

    def label_of(self, product: str) -> str:
        return self.real.by_name[product].label

    def filters(self, product: str) -> np.ndarray:
        """(outputs, weights of each), batch normalization included."""
        w = self.real.constants[self.real.by_name[product].inputs[1]]
        return w.reshape(-1, w.shape[-1]).T

    def needs_samples(self, step: str) -> Samples:
        if self.samples is None:
            raise UserError(f"step '{step}' works on samples; give some with --calibration")
        return self.samples


@dataclass(frozen=True)
class ChannelPruning:
    """The share `sparsity` of the channels goes, those of least importance: of each family of layers that share
    channels (through sums, say), or of all families together (`scope: global`).

    As many stay as make a `multiple`, which folds well. `responses`: the layers that are left are fitted to what the
    network answered before (see compress/responses.py).
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    on_samples: ClassVar[bool] = False  # whether the step itself works on samples

    sparsity: float
    layers: str = "*"
    scope: str = "layer"
    multiple: int = 1
    responses: bool = False

    def __post_init__(self) -> None:
        within(self.name, "sparsity", self.sparsity, 0, 1)
        within(self.name, "multiple", self.multiple, 1, 1 << 10)
        one_of(self.name, "scope", self.scope, ("layer", "global"))

    def importance(self, given: Given, families: Sequence[Family]) -> list[np.ndarray]:
        """What each label of each family is worth; comparable between families."""
        raise NotImplementedError

    def apply(self, graph: Graph, data: Data | None) -> tuple[Graph, tuple[str, ...]]:
        samples = needed(data, self.name).samples if self.responses or self.on_samples else None
        real = folded(graph)
        given = Given(graph, real, Channels(real), samples)
        families, notes = self._families(given)
        gone = self._gone(given.channels, families, self.importance(given, families)) if families else []
        for family, labels in zip(families, gone):
            names = " + ".join(map(given.label_of, family.layers))
            notes.append(f"{names}: {len(family.labels) - len(labels)} of {len(family.labels)} channels stay")
        removed = remove(given.channels, {int(i) for labels in gone for i in labels})
        result = _refitted(real, removed, samples) if self.responses and samples else removed.graph
        return without_idle_sums(result), tuple(notes)

    def _families(self, given: Given) -> tuple[list[Family], list[str]]:
        """The families of the layers asked for, and why others cannot lose channels."""
        found, notes = [], []
        families = given.channels.families()
        for product in chosen(given.real, self.layers):
            name = product.node.name
            family = next((f for f in families if name in f.layers), None)
            why = given.channels.why_not(name) if product.kind != "@depthwise" else ""
            try:
                if family is not None and family not in found:
                    remove(given.channels, {int(family.labels[0])})
                    found.append(family)
            except UserError as e:
                families = tuple(f for f in families if f is not family)
                why = str(e)
            if why:
                notes.append(f"{product.label} keeps its channels: {why}")
        return found, notes

    def _gone(self, channels: Channels, families: Sequence[Family], worth: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The labels of each family that go; one stays of every tensor."""
        bar = float(np.quantile(np.concatenate(worth), self.sparsity)) if self.scope == "global" else 0.0
        gone = []
        for family, values in zip(families, worth):
            size = len(values)
            stay = (values > bar).sum() if self.scope == "global" else size - round(self.sparsity * size)
            stay = min(size, max(1, -(-int(stay) // self.multiple)) * self.multiple)
            gone.append(family.labels[np.argsort(values, kind="stable")[: size - stay]])
        spared = _spared(channels, {int(i): v for f, w in zip(families, worth) for i, v in zip(f.labels, w)}, gone)
        return [labels[without(labels, spared)] for labels in gone]


def _spared(channels: Channels, worth: Mapping[int, float], gone: Sequence[np.ndarray]) -> set[int]:
    """The best label of every tensor that would lose all of them."""
    every, spared = {int(i) for labels in gone for i in labels}, set()
    for labels in channels.labels.values():
        there = set(np.unique(labels).tolist())
        if there <= every:
            spared.add(max(there, key=lambda i: worth[i]))
    return spared


def _refitted(real: Graph, removed: Removed, samples: Samples) -> Graph:
    """Every layer that lost channels, and all behind them, fitted to what they answered."""
    changed = set(removed.kept)
    for node in real.nodes:
        if changed & set(node.inputs):
            changed.add(node.name)
    layers = [layer for layer in layers_of(real) if layer.product in changed]
    tasks = [dense_task(real, removed.graph, layer, removed.kept) for layer in layers]
    return with_weights(removed.graph, fit_all(real, removed.graph, tasks, samples, removed.kept))


def by_label(family: Family, product: str, values: np.ndarray) -> np.ndarray:
    """A value for each output of one of the family's layers -> the sum for each label of the family."""
    of = family.of[family.layers.index(product)]
    place = {int(label): k for k, label in enumerate(family.labels)}
    found = np.zeros(len(family.labels))
    for label, value in zip(of.tolist(), values):
        if label in place:
            found[place[label]] += value
    return found


def relative(values: np.ndarray) -> np.ndarray:
    """In units of their mean, so that layers of other scales compare."""
    return values / max(float(values.mean()), 1e-300)


def summed(family: Family, layers: Collection[tuple[str, np.ndarray]]) -> np.ndarray:
    """The relative values of several layers' outputs, added up by label."""
    return np.sum([by_label(family, product, relative(values)) for product, values in layers], axis=0) / len(layers)
