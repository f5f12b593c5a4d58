"""Layer by layer, the real and the quantized network side by side: weights and biases fitted to what the layer gets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from codesign.chunks import run_chunked
from codesign.graph import Constant, Graph, Input, Node
from codesign.ops.conv import Conv
from codesign.quantize.bias_correction import corrected_bias
from codesign.quantize.canonical import Layer
from codesign.quantize.rounding import learn_rounding
from codesign.quantize.statistics import gather
from codesign.quantize.weights import Weights

Values = dict[str, np.ndarray]
Fitted = tuple[dict[str, Weights], dict[str, np.ndarray]]


def reconstruct(
    real: Graph, quantized: Graph, layers: Sequence[Layer], weights: Mapping[str, Weights],
    samples: Mapping[str, np.ndarray], steps: Collection[str], progress: Callable[[str], None],
) -> Fitted:  # fmt: skip
    """(weights, biases) by product after learned rounding and bias correction, as far as `steps` names them."""
    fitted: Fitted = (dict(weights), {})
    by_product = {layer.product: layer for layer in layers}
    wanted, given = Walk(real, samples, set(by_product)), Walk(quantized, samples)
    for node in quantized.nodes:
        layer = by_product.get(node.name)
        if layer is not None:
            progress(f"fitting layer {len(fitted[1]) + 1} of {len(layers)}: {layer.label}")
            wanted.to(layer.product)
            _fit(real, layer, wanted, given, steps, fitted)
        given.to(node.name)
    return fitted


def _fit(real: Graph, layer: Layer, wanted: Walk, given: Walk, steps: Collection[str], fitted: Fitted) -> None:
    """Fit one layer, and let the quantized network go on with the result."""
    node, values = real.by_name[layer.product], real.constants[layer.weights]
    data = given.graph.by_name[layer.product].inputs[0]
    s = gather(node, values.shape, given.values[data], wanted.values[layer.product])
    wanted.to(layer.result)
    del wanted.values[layer.product]
    found = fitted[0][layer.product]
    bias = real.constants[layer.bias]
    if "rounding" in steps:
        found = learn_rounding(values, found, s)
    if "bias" in steps:
        bias = corrected_bias(bias, found, s)
    fitted[0][layer.product], fitted[1][layer.product] = found, bias
    given.put(layer.weights, found.real)
    given.put(layer.bias, bias)


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
