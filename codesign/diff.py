"""Where things differ, tensor by tensor: float against quantized, quantized against integer, integer against RTL.

A tensor's name means the same number in every graph on the way to the accelerator (real `name` is integer `name_int`
where its integers are nodes of their own): so tensors are found by name, and those that are not there any more were
fused away. No tensor is trusted for its name alone: what diverges here without reason is a pass that broke the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from codesign.compare import Exact, Noise, as_integers, differ, exact_of, noise_of
from codesign.graph import Constant, Dequantize, Graph, Node, TensorType
from codesign.ops.elementwise import Add, Mul, Sub
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.pad import Pad
from codesign.ops.quantize import Quantize
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes.check import TIE, tie_distance
from codesign.passes.split import Model

ELEMENTS = 1 << 23  # of all tensors of a chunk of samples
QUANTIZERS = (Quantize, Threshold)
SINGLE = (Dequantize, Concat, Reshape, Transpose, Pad, Add, Mul, Sub, Unary)  # an element of theirs touches one result

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Stream:
    """What one edge of the RTL carried, and should have: integers (samples, *shape); `tensor`: of the core graph."""

    edge: str
    tensor: str
    got: np.ndarray
    golden: np.ndarray


@dataclass(frozen=True)
class Carried:
    """The streams of one tensor, compared: how many, all their values, and the first edge that diverges."""

    edges: int
    exact: Exact
    edge: str


@dataclass(frozen=True)
class Row:
    """One tensor of the quantized graph; None: not comparable there. `integers`: its name in the integer network.

    `added`: the noise that this node alone makes of float operands, by its rounding or its weights'.
    """

    tensor: str
    layer: str
    type: TensorType
    noise: Noise | None
    added: Noise | None
    integers: str
    integer: Exact | None
    fused_into: str
    rtl: Carried | None


@dataclass(frozen=True)
class Networks:
    """The same network three times; `real` None: there is no float network."""

    real: Graph | None
    quantized: Graph
    integer: Model

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """The tensors of the quantized graph that depend on an input, in order."""
        return _live(self.quantized)

    @cached_property
    def parts(self) -> tuple[Graph, ...]:
        return (self.integer.before, self.integer.core, self.integer.after)

    @cached_property
    def integer_types(self) -> Mapping[str, TensorType]:
        """Of every tensor on the way through host, accelerator and host."""
        return {name: part.types[name] for part in self.parts for name in _live(part)}

    @cached_property
    def integer_names(self) -> Mapping[str, str]:
        """Tensor of the quantized graph -> the same in the integer network, where it exists."""
        found: dict[str, str] = {}
        for name in self.tensors:
            shape = self.quantized.types[name].shape
            for there in (f"{name}_int", name):
                if there in self.integer_types and self.integer_types[there].shape == shape:
                    found.setdefault(name, there)
        return found

    @cached_property
    def float_names(self) -> Mapping[str, str]:
        """Tensor of the quantized graph -> the same in the float graph, where it has one."""
        return {name: there for name in self.tensors if (there := self._float_name(name)) is not None}

    def _float_name(self, name: str) -> str | None:
        """A quantizer and its Dequantize stand for their operand, unless the float graph has their names."""
        while self.real is not None and name not in self.real.types:
            node = self.quantized.by_name.get(name)
            if node is None or not isinstance(node.op, (Quantize, Dequantize)):
                return None
            name = node.inputs[0]
        return name if self.real is not None else None

    @cached_property
    def fixed(self) -> Mapping[str, np.ndarray]:
        """The tensors of the quantized graph that depend on no input."""
        live = set(self.tensors)
        names = [n.name for n in self.quantized.nodes if n.name not in live]
        values = Graph((), (), ()).replace(self.quantized.nodes, names).run({})
        return {name: value[0] for name, value in values.items()}

    def is_alone(self, node: Node) -> bool:
        """Whether the node can run on the operands that it has in the float graph."""
        real = all(i in self.float_names or i in self.fixed for i in node.inputs)
        return real and not any(self.quantized.types[i].is_integer for i in node.inputs)

    def fused_into(self, name: str) -> str:
        """The next tensor down the stream that the integer network still has; "" where none is left."""
        while name not in self.integer_names and self.quantized.readers[name]:
            name = self.quantized.readers[name][0].name
        return name if name in self.integer_names else ""

    @cached_property
    def row_of_core(self) -> Mapping[str, str]:
        """Tensor of the accelerator's graph -> the tensor of the quantized graph that it is, or is on the way to."""
        core, known = self.integer.core, {v: k for k, v in self.integer_names.items()}
        rows: dict[str, str] = {}
        for name in reversed(list(core.types)):
            below = [rows[r.name] for r in core.readers[name] if r.name in rows]
            if name in known or below:
                rows[name] = known.get(name) or below[0]
        return rows


def compare(
    networks: Networks, feeds: Arrays, streams: Sequence[Stream] = ()
) -> tuple[tuple[Row, ...], tuple[int, ...]]:
    """Every tensor in network order, and the samples that differ from a rounding tie on."""
    comparison = Comparison(networks)
    size = sum(t.size for g in (networks.quantized, *networks.parts) for t in g.types.values())
    step = max(1, ELEMENTS // size)
    samples = len(next(iter(feeds.values())))
    for start in range(0, samples, step):
        comparison.add({k: v[start : start + step] for k, v in feeds.items()}, start)
    carried = _carried(networks, streams)
    return tuple(comparison.row(name, carried.get(name)) for name in networks.tensors), tuple(comparison.ties)


@dataclass
class Comparison:
    """What the samples so far showed of every tensor."""

    networks: Networks
    noise: dict[str, Noise] = field(default_factory=dict)
    added: dict[str, Noise] = field(default_factory=dict)
    exact: dict[str, Exact] = field(default_factory=dict)
    ties: list[int] = field(default_factory=list)

    def add(self, feeds: Arrays, start: int) -> None:
        """Compare all tensors on some more samples, the first of which is number `start`."""
        values = self.networks.quantized.run(feeds, self.networks.tensors)
        self._add_noise(feeds, values, start)
        self._add_exact(_integers(self.networks, feeds), values, start)

    def _add_noise(self, feeds: Arrays, values: Arrays, start: int) -> None:
        networks, names = self.networks, self.networks.float_names
        if networks.real is None:
            return
        made = networks.real.run(feeds, list(dict.fromkeys(names.values())))
        real = {name: _real(made[there], networks.real.types[there]) for name, there in names.items()}
        for name, wanted in real.items():
            t, node = networks.quantized.types[name], networks.quantized.by_name.get(name)
            _join(self.noise, name, noise_of(wanted, _real(values[name], t), start))
            if node is not None and networks.is_alone(node):
                operands = [real[i] if i in real else networks.fixed[i] for i in node.inputs]
                _join(self.added, name, noise_of(wanted, _real(node.op.run(t, *operands), t), start))

    def _add_exact(self, integers: Arrays, values: Arrays, start: int) -> None:
        samples = len(next(iter(values.values())))
        tied, broken = np.zeros(samples, bool), np.zeros(samples, bool)
        for name, there in self.networks.integer_names.items():
            t = self.networks.integer_types[there]
            wanted = as_integers(values[name], self.networks.quantized.types[name], t)
            wrong = differ(wanted, integers[there], t)
            fresh = wrong.reshape(samples, -1).any(axis=1) & ~tied & ~broken
            if fresh.any():
                tied |= fresh & self._at_tie(name, wrong, values)
                broken |= fresh & ~tied
            _join(self.exact, name, exact_of(wanted, integers[there], wrong, tied, start))
        self.ties += (start + np.flatnonzero(tied)).tolist()

    def _at_tie(self, name: str, wrong: np.ndarray, values: Arrays) -> np.ndarray:
        """Which samples differ only where this quantizer is at a tie, or not oftener than those above that were fused
        away are (each at once in all that a product makes of it)."""
        samples = len(wrong)
        count, most = wrong.reshape(samples, -1).sum(axis=1), np.zeros(samples)
        excused = np.zeros(samples, bool)
        for node, spreads in _quantizers_above(self.networks, name):
            near = tie_distance(node.op, values[node.inputs[0]]) < TIE  # type: ignore[arg-type]
            if node.name == name:
                excused |= (near | ~wrong).reshape(samples, -1).all(axis=1)
            else:
                most += near.reshape(samples, -1).sum(axis=1) * (wrong.size if spreads else 1)
        return excused | (count <= most)

    def row(self, name: str, carried: Carried | None) -> Row:
        networks, node = self.networks, self.networks.quantized.by_name.get(name)
        return Row(
            name,
            node.origin if node else "",
            networks.quantized.types[name],
            self.noise.get(name),
            self.added.get(name),
            networks.integer_names.get(name, ""),
            self.exact.get(name),
            "" if name in networks.integer_names else networks.fused_into(name),
            carried,
        )


def _live(graph: Graph) -> tuple[str, ...]:
    """The tensors that depend on an input, in order."""
    live = {i.name for i in graph.inputs}
    for node in graph.nodes:
        if live & set(node.inputs) and not isinstance(node.op, Constant):
            live.add(node.name)
    return tuple(name for name in graph.types if name in live)


def _real(values: np.ndarray, t: TensorType) -> np.ndarray:
    return t.to_real(values) if t.is_integer else values


def _join(found: dict[str, Any], name: str, later: Noise | Exact) -> None:
    """Add what some more samples showed of a tensor."""
    found[name] = found[name].joined(later) if name in found else later


def _integers(networks: Networks, feeds: Arrays) -> dict[str, np.ndarray]:
    """Every tensor on the way through host, accelerator and host."""
    values: dict[str, np.ndarray] = {n: x.astype(np.float32, copy=False) for n, x in feeds.items()}
    for part in networks.parts:
        values.update(part.run({i.name: values[i.name] for i in part.inputs}, _live(part)))
    return values


def _quantizers_above(networks: Networks, name: str) -> list[tuple[Node, bool]]:
    """The quantizer that makes a tensor, and those above it whose own tensor the integer network lacks; and whether
    an operator lies between that spreads one element over many."""
    found, todo, seen = [], [(name, False)], set[str]()
    while todo:
        name, spreads = todo.pop()
        node = networks.quantized.by_name.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if isinstance(node.op, QUANTIZERS) and not networks.quantized.types[node.inputs[0]].is_integer:
            found.append((node, spreads))
        below = spreads or not isinstance(node.op, (*QUANTIZERS, *SINGLE))
        todo += [(i, below) for i in node.inputs if i not in networks.integer_names]
    return found


def _carried(networks: Networks, streams: Sequence[Stream]) -> dict[str, Carried]:
    """The streams by the tensor of the quantized graph that they carry, or lead to: at the latest the last one."""
    found: dict[str, Carried] = {}
    for stream in streams:
        row = networks.row_of_core.get(stream.tensor, networks.tensors[-1])
        none = np.zeros(len(stream.got), bool)
        exact = exact_of(stream.golden, stream.got, stream.got != stream.golden, none, 0)
        before = found.get(row)
        if before is None:
            found[row] = Carried(1, exact, stream.edge if exact.first else "")
        else:
            edge = before.edge or (stream.edge if exact.first else "")
            found[row] = Carried(before.edges + 1, before.exact.joined(exact), edge)
    return found
