"""Where the accelerator begins and ends: host work before it, integers in it, host work after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from codesign.chunks import run_chunked
from codesign.errors import UserError
from codesign.graph import Constant, Dequantize, Graph, Input, Node
from codesign.ops.conv import Conv
from codesign.ops.integer import Reinterpret
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import BatchMatMul, MatMul
from codesign.passes.fuse import ARITHMETIC, data_operands

LAYOUT = (Reshape, Transpose, Reinterpret)
NO_HARDWARE: dict[type, str] = {
    BatchMatMul: "both of its operands are computed, and hardware multiplies matrices with constants only; "
}


@dataclass(frozen=True)
class Model:
    """A quantized network cut in three: `before` (host), `core` (the accelerator: integers only), `after` (host)."""

    before: Graph
    core: Graph
    after: Graph

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The network's outputs for arrays with a leading sample axis, in chunks of samples."""
        return run_chunked(self._run, feeds, max(self.before.widest, self.core.widest))

    def _run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = self.to_core(feeds)
        return self.from_core({**values, **self.core.run({i.name: values[i.name] for i in self.core.inputs})})

    def to_core(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The integers that enter the accelerator (and what the host keeps for afterwards)."""
        return self.before.run({i.name: feeds[i.name].astype(np.float32, copy=False) for i in self.before.inputs})

    def from_core(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The network's outputs from the integers that left the accelerator."""
        return self.after.run({i.name: values[i.name] for i in self.after.inputs})


def split(graph: Graph) -> Model:
    """Cut a fused graph; UserError where a node in the middle stays real."""
    part = _parts(graph)
    core_outputs = _crossing(graph, part, "core", {"after"})
    if not core_outputs:
        if products := _real_products(graph):
            _refuse_product(products[0])
        raise UserError("the model has no layer to accelerate (no quantized product, pool or sum)")
    core_inputs = _crossing(graph, part, "before", {"core"})
    before_outputs = _crossing(graph, part, "before", {"core", "after"})
    core = _cut(graph, core_inputs, core_outputs)
    kept = [n for n in before_outputs if any(part.get(r.name) == "after" for r in graph.readers[n])]
    given = list(dict.fromkeys([*core_outputs, *kept, *(o for o in graph.outputs if part.get(o) == "before")]))
    before = Graph(graph.inputs, (), ()).replace(
        graph.nodes, list(dict.fromkeys([*before_outputs, *given[len(core_outputs) :]]))
    )
    return Model(before, core, _cut(graph, given, graph.outputs))


def _parts(graph: Graph) -> dict[str, str]:
    """Which part each tensor belongs to; constants belong to none."""
    part = {i.name: "before" for i in graph.inputs}
    for node in graph.nodes:
        if not isinstance(node.op, Constant):
            part[node.name] = _part_of(graph, node, part)
    for node in reversed(graph.nodes):  # layout at the end is the host's
        readers = {part[r.name] for r in graph.readers[node.name]}
        if part.get(node.name) == "core" and isinstance(node.op, LAYOUT) and readers <= {"after"}:
            part[node.name] = "after"
    return part


def _part_of(graph: Graph, node: Node, part: Mapping[str, str]) -> str:
    operands = {part[i] for i in node.inputs if i in part}
    real = not graph.types[node.name].is_integer or any(not graph.types[i].is_integer for i in node.inputs)
    if "after" in operands:
        if not real and not isinstance(node.op, LAYOUT):
            _refuse_real(graph, next(i for i in node.inputs if part.get(i) == "after"))
        return "after"
    if real:
        return "after" if "core" in operands else "before"
    return "before" if operands == {"before"} and isinstance(node.op, LAYOUT) else "core"


def host_layers(network: Model) -> list[str]:
    """A line for each product that the host computes in float."""
    return [
        f"'{n.label}' ({type(n.op).__name__}) is not quantized: the host computes it"
        for part in (network.before, network.after)
        for n in _real_products(part)
    ]


def _real_products(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if isinstance(n.op, (MatMul, Conv)) and not graph.types[n.name].is_integer]


def _refuse_product(node: Node) -> None:
    raise UserError(
        f"node '{node.label}' ({type(node.op).__name__}): its weights '{node.inputs[1]}' are not "
        "quantized; put a quantizer (Quant, BipolarQuant) in front of them"
    )


def _refuse_real(graph: Graph, name: str) -> None:
    """Name the operator between integer layers that keeps a tensor real."""
    blame = graph.by_name[name]
    while len(above := _above(graph, blame)) == 1 and not _is_dequantized(graph, above[0]):
        blame = graph.by_name[above[0]]
    if blame in _real_products(graph):
        _refuse_product(blame)
    joins = isinstance(blame.op, (*ARITHMETIC, Concat))
    reason = NO_HARDWARE.get(type(blame.op), "" if joins else "it has no form on integers; ")
    help = "quantize its operands with one scale (Quant on every input), or move it" if joins else "move it"
    raise UserError(
        f"node '{blame.label}' ({type(blame.op).__name__}) stays real between integer layers; "
        f"{reason}{help} to the end of the network"
    )


def _above(graph: Graph, node: Node) -> tuple[str, ...]:
    """The tensors that a function or layout is of."""
    return node.inputs if isinstance(node.op, (*LAYOUT, Dequantize)) else data_operands(graph, node)


def _is_dequantized(graph: Graph, name: str) -> bool:
    return name not in graph.by_name or isinstance(graph.by_name[name].op, Dequantize)


def _crossing(graph: Graph, part: Mapping[str, str], source: str, targets: set[str]) -> list[str]:
    """Tensors of one part that nodes of other parts (or, from the core, the outputs) read."""
    return [
        name
        for name in graph.types
        if part.get(name) == source
        and (
            any(part.get(r.name) in targets for r in graph.readers[name])
            or (name in graph.outputs and source == "core")
        )
    ]


def _cut(graph: Graph, given: Iterable[str], outputs: Iterable[str]) -> Graph:
    """The part of a graph between some tensors."""
    given = list(given)
    nodes = [n for n in graph.nodes if n.name not in given]
    return Graph(tuple(Input(n, graph.types[n]) for n in given), (), ()).replace(nodes, tuple(outputs))
