"""How much error at the output each choice of a format causes by itself, all others at their widest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.graph import Graph, Input
from codesign.quantize.calibrate import spread, tensors_of
from codesign.quantize.insert import insert
from codesign.quantize.knobs import WEIGHTS, Knob, Setting, knobs_of, precision_for
from codesign.quantize.prepare import Prepared
from codesign.quantize.reconstruct import fit_each, reconstruct
from codesign.quantize.weight_formats import weight_format
from codesign.quantize.weights import Weights, nearest_weights

MOST_SAMPLES = 200
MOST_ELEMENTS = 1 << 24  # of the widest tensor, over all samples

Fits = Mapping[str, Sequence[tuple[Weights, np.ndarray]]]


@dataclass(frozen=True, eq=False)
class Candidates:
    """A prepared network, its knobs, and every layer's (weights, bias) fitted to every format they may get."""

    found: Prepared
    observer: str
    knobs: tuple[Knob, ...]
    fits: Fits

    @property
    def widest(self) -> Setting:
        return dict.fromkeys(self.knobs, 0)

    def graph(self, setting: Setting) -> Graph:
        """The network with quantizers at a setting; tensors have the same names at each."""
        f = self.found
        chosen = {k.layers[0]: self.fits[k.layers[0]][i] for k, i in setting.items() if k.kind == "weights"}
        weights, biases = {p: w for p, (w, _) in chosen.items()}, {p: b for p, (_, b) in chosen.items()}
        return insert(f.real, f.layers, weights, f.points, f.codes(precision_for(f, setting), self.observer), biases)

    def changed(self, knob: Knob) -> set[str]:
        """The tensors that a knob sets."""
        if knob.kind == "weights":
            return {t for k in self.found.layers if k.product in knob.layers for t in (k.weights, k.bias)}
        return {f"{t}.codes" for p in self.found.points if set(p.layers) <= set(knob.layers) for t in p.tensors}


def candidates(found: Prepared, observer: str, steps: Collection[str], progress: Callable[[str], None]) -> Candidates:
    """Fit every layer's weights to every format, to what the network with the widest formats gives it."""
    formats, real, layers = [weight_format(name) for name in WEIGHTS], found.real, found.layers
    starts = {k.product: [nearest_weights(real.constants[k.weights], f) for f in formats] for k in layers}
    plain = {k.product: [(w, real.constants[k.bias]) for w in starts[k.product]] for k in layers}
    given = Candidates(found, observer, knobs_of(found), plain)
    widest = {p: w[0] for p, w in starts.items()}
    base = reconstruct(real, given.graph(given.widest), layers, widest, found.samples, steps, progress)
    fitted = {p: [(w, base[1][p])] for p, w in base[0].items()}
    given = replace(given, fits=fitted)
    rest = {p: w[1:] for p, w in starts.items()}
    more = fit_each(real, given.graph(given.widest), layers, rest, found.samples, steps, progress)
    return replace(given, fits={p: fitted[p] + more[p] for p in fitted})


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Power of the output's error by that of the output: `floor` at the widest formats, and what each option adds."""

    floor: float
    added: Mapping[Knob, tuple[float, ...]]

    def error(self, setting: Setting) -> float:
        """As if errors added up."""
        return self.floor + sum(self.added[k][i] for k, i in setting.items())


def measure(given: Candidates, progress: Callable[[str], None]) -> Sensitivity:
    """Only what follows a knob is computed again for each of its options."""
    count = min(MOST_SAMPLES, max(1, MOST_ELEMENTS // given.found.real.widest))
    samples = spread(given.found.samples, count)
    widest = given.graph(given.widest)
    floor = output_error(given.found.real, widest, samples)
    added = {}
    for n, knob in enumerate(given.knobs):
        progress(f"measuring sensitivity, {n + 1} of {len(given.knobs)}: {knob.kind} of {', '.join(knob.labels)}")
        graphs = [given.graph({**given.widest, knob: i}) for i in range(1, len(knob.options))]
        errors = _errors(given.found.real, widest, graphs, given.changed(knob), samples)
        added[knob] = (0.0, *(max(e - floor, 0.0) for e in errors))
    return Sensitivity(floor, added)


def output_error(real: Graph, quantized: Graph, samples: Mapping[str, np.ndarray]) -> float:
    """The relative error of a quantized network's outputs."""
    return output_errors(real, [quantized], samples)[0]


def output_errors(real: Graph, graphs: Sequence[Graph], samples: Mapping[str, np.ndarray]) -> list[float]:
    """The relative error of the outputs of each of some quantized networks."""
    return _errors(real, real, graphs, set(), samples)


def _errors(
    real: Graph, base: Graph, graphs: Sequence[Graph], changed: set[str], samples: Mapping[str, np.ndarray]
) -> list[float]:
    """The relative error of each graph, which differs from `base` in the tensors `changed` only."""
    scores = scores_of(real)
    tails = [_tail(g, changed, scores) for g in graphs] if changed else list(graphs)
    read = [i.name for i in tails[0].inputs]
    signal, noise = np.zeros(len(scores)), np.zeros((len(graphs), len(scores)))
    wanted = tensors_of(real, samples, scores)
    for w, values in zip(wanted, tensors_of(base, samples, read, real.widest)):
        signal += [(w[s] ** 2).sum() for s in scores]
        for k, tail in enumerate(tails):
            got = tail.run(values, scores)
            noise[k] += [((got[s] - w[s]) ** 2).sum() for s in scores]
    return [float(e) for e in (noise / np.maximum(signal, np.finfo(float).tiny)).sum(axis=1)]


def scores_of(graph: Graph) -> list[str]:
    """The outputs; in place of a class number what it is chosen from."""
    names = []
    for name in graph.outputs:
        while graph.types[name].is_integer and name in graph.by_name:
            name = graph.by_name[name].inputs[0]
        names.append(name)
    return list(dict.fromkeys(names))


def _tail(graph: Graph, changed: set[str], outputs: Sequence[str]) -> Graph:
    """What follows the changed tensors, with all else that it reads as inputs."""
    after = set(changed)
    for node in graph.nodes:
        if not after.isdisjoint(node.inputs):
            after.add(node.name)
    fixed: set[str] = set()
    for node in graph.nodes:
        if fixed.issuperset(node.inputs):
            fixed.add(node.name)
    kept = [n for n in graph.nodes if n.name in after or n.name in fixed]
    read = dict.fromkeys(i for n in kept for i in n.inputs if i not in after and i not in fixed)
    inputs = tuple(Input(i, graph.types[i]) for i in dict.fromkeys((*read, *(o for o in outputs if o not in after))))
    return Graph(inputs, (), ()).replace(kept, tuple(outputs))
