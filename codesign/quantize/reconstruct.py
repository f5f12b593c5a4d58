"""Layer by layer, the real and the quantized network side by side: weights and biases fitted to what the layer gets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from codesign.chunks import run_chunked
from codesign.graph import Constant, Graph, Input, Node
from codesign.ops.conv import Conv
from codesign.quantize.bias_correction import corrected_bias
from codesign.quantize.canonical import Layer
from codesign.quantize.rounding import learn_rounding
from codesign.quantize.statistics import Statistics, gather
from codesign.quantize.weights import Weights

Values = dict[str, np.ndarray]
Fitted = tuple[dict[str, Weights], dict[str, np.ndarray]]


def reconstruct(
    real: Graph, quantized: Graph, layers: Sequence[Layer], weights: Mapping[str, Weights],
    samples: Mapping[str, np.ndarray], steps: Collection[str], progress: Callable[[str], None],
) -> Fitted:  # fmt: skip
    """(weights, biases) by product after learned rounding and bias correction, as far as `steps` names them.

    Each layer is fitted to what the quantized network gives it, the layers before fitted already.
    """
    fitted: Fitted = ({}, {})
    for layer, s, given in layers_met(real, quantized, layers, samples, progress):
        found, bias = _fit(real, layer, weights[layer.product], s, steps)
        fitted[0][layer.product], fitted[1][layer.product] = found, bias
        given.put(layer.weights, found.real)
        given.put(layer.bias, bias)
    return fitted


def fit_each(
    real: Graph, quantized: Graph, layers: Sequence[Layer], weights: Mapping[str, Sequence[Weights]],
    samples: Mapping[str, np.ndarray], steps: Collection[str], progress: Callable[[str], None],
) -> dict[str, list[tuple[Weights, np.ndarray]]]:  # fmt: skip
    """Fitted (weights, bias) for each start of each product, while the quantized network stays as it is."""
    return {
        layer.product: [_fit(real, layer, start, s, steps) for start in weights[layer.product]]
        for layer, s, _ in layers_met(real, quantized, layers, samples, progress)
    }


def layers_met(
    real: Graph, quantized: Graph, layers: Sequence[Layer], samples: Mapping[str, np.ndarray],
    progress: Callable[[str], None],
) -> Iterator[tuple[Layer, Statistics, Walk]]:  # fmt: skip
    """Each layer in order, what it gets and should give, and the walk through the quantized network up to it."""
    by_product = {layer.product: layer for layer in layers}
    wanted, given = Walk(real, samples, set(by_product)), Walk(quantized, samples)
    count = 0
    for node in quantized.nodes:
        layer = by_product.get(node.name)
        if layer is not None:
            count += 1
            progress(f"fitting layer {count} of {len(layers)}: {layer.label}")
            wanted.to(layer.product)
            data = quantized.by_name[layer.product].inputs[0]
            shape = real.constants[layer.weights].shape
            s = gather(real.by_name[layer.product], shape, given.values[data], wanted.values[layer.product])
            wanted.to(layer.result)
            del wanted.values[layer.product]
            yield layer, s, given
        given.to(node.name)


def _fit(
    real: Graph, layer: Layer, start: Weights, s: Statistics, steps: Collection[str]
) -> tuple[Weights, np.ndarray]:
    learned = "rounding" in steps and not start.format.fixed
    found = learn_rounding(real.constants[layer.weights], start, s) if learned else start
    bias = real.constants[layer.bias]
    return found, corrected_bias(bias, found, s) if "bias" in steps else bias


class Walk:
    """A graph run node after node on all samples; tensors but those in `keep` are dropped after their last reader."""

    def __init__(self, graph: Graph, samples: Mapping[str, np.ndarray], keep: Collection[str] = ()) -> None:
        self.graph, self.keep = graph, keep
        self.values: Values = {i.name: samples[i.name].astype(np.float64) for i in graph.inputs}
        self.last = {name: k for k, node in enumerate(graph.nodes) for name in node.inputs}
        self.done = 0
        self.set: set[str] = set()

    def to(self, name: str) -> None:
        """Run up to and with the node `name`."""
        while name not in self.set:
            node = self.graph.nodes[self.done]
            self.values[node.name] = _run_node(self.graph, node, self.values)
            self.set.add(node.name)
            for operand in set(node.inputs):
                if self.last[operand] == self.done and operand not in self.keep:
                    del self.values[operand]
            self.done += 1

    def put(self, name: str, value: np.ndarray) -> None:
        """Let the nodes that follow read another value of a tensor."""
        self.to(name)
        self.values[name] = value


def _run_node(graph: Graph, node: Node, values: Values) -> np.ndarray:
    """One node on all samples, in chunks."""
    fixed = {i for i in node.inputs if values[i].ndim == len(graph.types[i].shape)}
    feeds = {i: values[i] for i in node.inputs if i not in fixed}
    constants = tuple(Node(i, Constant(graph.types[i], values[i])) for i in sorted(fixed))
    inputs = tuple(Input(i, graph.types[i]) for i in feeds)
    single = Graph(inputs, (*constants, node), (node.name,))
    if not feeds:
        return single.run({})[node.name][0]
    return run_chunked(single.run, feeds, _widest(graph, node))[node.name]


def _widest(graph: Graph, node: Node) -> int:
    """Elements a sample of the widest array that a node makes."""
    sizes = [graph.types[i].size for i in (*node.inputs, node.name)]
    if isinstance(node.op, Conv):
        rows, columns, _ = graph.types[node.name].shape
        taps = graph.types[node.inputs[1]].shape[:2]
        sizes.append(rows * columns * taps[0] * taps[1] * graph.types[node.inputs[0]].shape[2])
    return max(sizes)
