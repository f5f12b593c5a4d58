"""An input that reaches a product without a quantizer gets a format: the model leaves it open, hardware cannot."""

from __future__ import annotations

from dataclasses import replace

from codesign.fusion import Journal
from codesign.graph import Dequantize, Graph, Node
from codesign.ops.quantize import Quantize
from codesign.passes.integerize import ASSUMED, ASSUMED_FORMAT, Lifting


def quantize_inputs(graph: Graph, journal: Journal) -> Graph:
    """Put a fixed<16,6> quantizer where the input of the network reaches a product without one."""
    lifting = Lifting(graph)
    for node in graph.nodes:
        lifting.convert(node)
    for name in lifting.assumed:
        integers, real = graph.fresh(f"{name}{ASSUMED}"), graph.fresh(f"{name}{ASSUMED}_real")
        readers = [replace(n, inputs=tuple(real if i == name else i for i in n.inputs)) for n in graph.nodes]
        journal.did(f"'{name}' taken as fixed<16,6>", *graph.readers[name])
        added = [Node(integers, ASSUMED_FORMAT, (name,)), Node(real, Dequantize(), (integers,))]
        graph = graph.replace([*readers, *added])
    return graph


def assumed_inputs(graph: Graph) -> list[str]:
    """The quantizers that `quantize_inputs` added."""
    return [n.name for n in graph.nodes if n.name.endswith(ASSUMED) and isinstance(n.op, Quantize)]
