"""Layer after layer, the original and the compressed network side by side: every layer is fitted to the original's
answers, with what the compressed layers before it give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.compress.responses import Project, Responses, fitted
from codesign.compress.step import Samples, single
from codesign.graph import Graph, Node
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add
from codesign.ops.unary import Unary
from codesign.quantize.canonical import Layer
from codesign.quantize.reconstruct import Walk
from codesign.quantize.statistics import by_group, columns, from_groups

ROWS = 1 << 13  # positions that say enough of a layer

Kept = Mapping[str, np.ndarray]  # the channels that are left of a tensor, where some are gone


@dataclass(frozen=True, eq=False)
class Task:
    """A layer of the original network, and what stands for it in the compressed one.

    `node`, `kernel`: the product and its weights as far as channels are left of it, `outputs` which of the original's
    outputs they give; `weights`: the constants that `split` makes of the weights found (G, K, N), which `project` makes
    such that it can; `first`: the first node of the compressed network that reads one of them.
    """

    layer: Layer
    node: Node
    kernel: np.ndarray
    outputs: np.ndarray
    first: str
    weights: tuple[str, ...]
    project: Project
    split: Callable[[np.ndarray], Sequence[np.ndarray]]

    @property
    def groups(self) -> int:
        return self.node.op.groups if isinstance(self.node.op, Conv) else 1


def dense_task(original: Graph, compressed: Graph, layer: Layer, kept: Kept) -> Task:
    """A layer that stays one: nothing restricts its weights."""
    node, kernel = compressed.by_name[layer.product], compressed.constants[layer.weights]
    outputs = channels_of(original, layer.result, kept)
    return Task(
        layer, node, kernel, outputs, node.name, (layer.weights,),
        lambda target, moments: target, lambda w: [from_groups(w, kernel.shape)],
    )  # fmt: skip


def channels_of(original: Graph, name: str, kept: Kept) -> np.ndarray:
    """Which of a tensor's channels the compressed network has."""
    return kept.get(name, np.arange(original.types[name].shape[-1]))


def fit_all(
    original: Graph, compressed: Graph, tasks: Sequence[Task], samples: Samples, kept: Kept
) -> dict[str, np.ndarray]:
    """New values of constants of the compressed graph, by name."""
    place = {n.name: k for k, n in enumerate(compressed.nodes)}
    tasks = sorted(tasks, key=lambda t: place[t.first])
    pairs = _Pair(original, compressed, tasks, samples)
    values: dict[str, np.ndarray] = {}
    for task in tasks:
        found = _fit(pairs, task, kept)
        for name, value in found.items():
            values[name] = single(value)
            pairs.given.put(name, values[name])
        pairs.done(task)
    return values


@dataclass(frozen=True)
class _After:
    """What follows a layer: the tensor added to its result ('' for none), the rectifier's limits."""

    beside: str
    rectifier: tuple[float, float] | None


class _Pair:
    """Both networks walked up to a task; tensors are kept as long as a later task reads them."""

    def __init__(self, original: Graph, compressed: Graph, tasks: Sequence[Task], samples: Samples) -> None:
        self.original, self.compressed = original, compressed
        self.after = {t.layer.product: _following(original, t.layer.result) for t in tasks}
        self.needed = Counter(name for t in tasks for name in self.names(t))
        keep = set(self.needed)
        self.wanted, self.given = Walk(original, samples, keep), Walk(compressed, samples, keep)

    def names(self, task: Task) -> tuple[str, ...]:
        """Tensors that a task reads, in one network or the other."""
        return task.layer.result, self.source(task), *filter(None, [self.after[task.layer.product].beside])

    def source(self, task: Task) -> str:
        """What a product reads, from before its border where the compressed network has none."""
        data = task.node.inputs[0]
        return data if data in self.compressed.types else self.original.by_name[data].inputs[0]

    def read(self, task: Task) -> np.ndarray:
        source, data = self.source(task), task.node.inputs[0]
        _run_before(self.given, task.first)
        x = self.given.values[source]
        return x if source == data else self.original.by_name[data].op.run(self.original.types[data], x)

    def done(self, task: Task) -> None:
        for name in self.names(task):
            self.needed[name] -= 1
            for walk in (self.wanted, self.given):
                if not self.needed[name] and walk.last.get(name, -1) < walk.done:
                    walk.values.pop(name, None)


def _run_before(walk: Walk, name: str) -> None:
    """Run a network up to the node before `name`."""
    index = next(k for k, n in enumerate(walk.graph.nodes) if n.name == name)
    if index:
        walk.to(walk.graph.nodes[index - 1].name)


def _following(graph: Graph, result: str) -> _After:
    readers, beside = graph.readers[result], ""
    if len(readers) == 1 and isinstance(readers[0].op, Add):
        total = readers[0]
        others = [i for i in total.inputs if i != result and i not in graph.constants]
        if len(others) == 1 and graph.types[others[0]].shape == graph.types[result].shape:
            beside, readers = others[0], graph.readers[total.name]
    limits = {_limits(n) for n in readers}
    return _After(beside, limits.pop() if len(limits) == 1 else None)


def _limits(node: Node) -> tuple[float, float] | None:
    """Of a rectifier; None for anything else."""
    if not isinstance(node.op, Unary) or node.op.function not in ("relu", "clip"):
        return None
    least, most = (0.0, np.inf) if node.op.function == "relu" else node.op.parameters
    return (float(least), float(most)) if np.isfinite(least) else None


def _fit(pair: _Pair, task: Task, kept: Kept) -> dict[str, np.ndarray]:
    """The layer's constants, its bias included."""
    x = pair.read(task)
    for name in filter(None, (task.layer.result, pair.after[task.layer.product].beside)):
        pair.wanted.to(name)
    total = int(np.prod(pair.wanted.values[task.layer.result].shape[:-1]))
    rows = np.sort(np.random.default_rng(0).permutation(total)[:ROWS])
    wanted, beside, limits = _answers(pair, task, kept, rows)
    picked = columns(task.node, task.kernel.shape, x, rows)
    w, bias = fitted(Responses(picked, wanted, beside, limits), by_group(task.kernel, task.groups), task.project)
    return {**dict(zip(task.weights, task.split(w), strict=True)), task.layer.bias: bias.reshape(-1)}


def _answers(
    pair: _Pair, task: Task, kept: Kept, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[float, float] | None]:
    """(what the layer should answer, what is added to it, the rectifier's limits); groups in front.

    Where a shortcut is added that the compressed network has already, the layer makes up for its error, too.
    """
    after, result = pair.after[task.layer.product], task.layer.result

    def picked(y: np.ndarray) -> np.ndarray:
        return by_group(y.reshape(-1, y.shape[-1])[rows], task.groups)

    wanted = picked(pair.wanted.values[result][..., task.outputs])
    if not after.beside:
        return wanted, np.zeros_like(wanted), after.rectifier
    if after.beside not in pair.given.values:
        return wanted, np.zeros_like(wanted), None
    was = pair.wanted.values[after.beside][..., channels_of(pair.original, after.beside, kept)]
    return wanted + picked(was), picked(pair.given.values[after.beside]), after.rectifier
