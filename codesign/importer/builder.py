"""Collects the new graph's nodes with their types; moves tensors into the order that an operator needs."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from codesign.graph import Constant, Dequantize, Graph, GraphError, Input, Node, Op, Operand, TensorType
from codesign.importer.values import MOST_ELEMENTS, Constantlike, Quantized, Refused, Stored, per_last_axis
from codesign.ops.layout import Reshape, Transpose


class Builder:
    """A graph in the making. `origin` and `stem`: the ONNX node being converted and its result's name."""

    def __init__(self, reserved: frozenset[str]) -> None:
        self.inputs: list[Input] = []
        self.nodes: list[Node] = []
        self.types: dict[str, TensorType] = {}
        self.origin = self.stem = ""
        self._reserved = reserved  # names that ONNX gave to results
        self._values: dict[str, np.ndarray] = {}
        self._arranged: dict[tuple[str, tuple[int, ...], tuple[int, ...]], str] = {}

    def input(self, name: str, shape: tuple[int, ...]) -> Stored:
        """A network input, stored as ONNX sees it."""
        if prod(shape) > MOST_ELEMENTS:
            raise Refused(f"it has {prod(shape)} elements a sample; at most {MOST_ELEMENTS} are supported")
        self.inputs.append(Input(name, TensorType(shape)))
        self.types[name] = TensorType(shape)
        return Stored.plain(name, shape)

    def maker(self, name: str) -> Node | None:
        """The node that computes a tensor; None for a network input."""
        return next((n for n in reversed(self.nodes) if n.name == name), None)

    def emit(self, op: Op, *inputs: str) -> str:
        """Append a node; its result's name. An integer result is dequantized at once."""
        try:
            kind = op.infer(*(Operand(self.types[i], self._values.get(i)) for i in inputs))
        except GraphError as e:
            raise Refused(str(e)) from None
        if prod(kind.shape) > MOST_ELEMENTS and not isinstance(op, Constant):
            raise Refused(f"its result has {prod(kind.shape)} elements; at most {MOST_ELEMENTS} are supported")
        name = self._fresh()
        self.nodes.append(Node(name, op, inputs, self.origin))
        self.types[name] = kind
        if isinstance(op, Constant):
            self._values[name] = op.value
        return self.emit(Dequantize(), name) if kind.is_integer else name

    def apply(self, op: Op, x: Stored) -> Stored:
        """An operator that leaves the shape as it is."""
        return replace(x, name=self.emit(op, x.name))

    def _fresh(self) -> str:
        k = 1
        while f"{self.stem}.{k}" in self.types or f"{self.stem}.{k}" in self._reserved:
            k += 1
        return f"{self.stem}.{k}"

    def rename_last(self, name: str, x: Stored, before: int) -> Stored:
        """Give the tensor ONNX's own name where a node after the first `before` computes it as the last."""
        if len(self.nodes) == before or self.nodes[-1].name != x.name:
            return x
        self.nodes[-1] = replace(self.nodes[-1], name=name)
        self.types[name] = self.types.pop(x.name)
        for key in [k for k, v in self._arranged.items() if v == x.name]:
            self._arranged[key] = name
        return replace(x, name=name)

    def constant(self, value: np.ndarray) -> str:
        """A real constant."""
        value = np.asarray(value).astype(np.float64)
        if not np.isfinite(value).all():
            raise Refused("a constant that it reads is NaN or infinite")
        return self.emit(Constant.real(value))

    def number(self, value: float) -> str:
        """A real constant of no axes."""
        return self.constant(np.asarray(value, dtype=np.float64))

    def weights(self, value: Constantlike, perm: tuple[int, ...]) -> str:
        """Constant weights, transposed to have output channels last; quantized ones keep their integers."""
        value = value.transpose(perm)
        if not isinstance(value, Quantized):
            return self.constant(value)
        scale, zero_point = per_last_axis(value.scale), per_last_axis(value.zero_point)
        if scale is None or zero_point is None:
            raise Refused("its weights' scales vary within an output channel; use one per output channel")
        kind = TensorType(value.shape, value.format, tuple(map(float, scale)), tuple(map(int, zero_point)))
        return self.emit(Constant(kind, value.integers))

    def reshape(self, x: Stored, shape: tuple[int, ...]) -> Stored:
        """ONNX's Reshape of each sample: row-major in ONNX's order of axes."""
        x = self.arrange(x, tuple(a for a in range(len(x.shape)) if a in x.order))
        if x.stored_shape == shape:
            return Stored.plain(x.name, shape)
        return Stored.plain(self.emit(Reshape(shape), x.name), shape)

    def full(self, x: Stored) -> Stored:
        """Stored exactly as ONNX sees it."""
        return self.arrange(x, tuple(range(len(x.shape))))

    def arrange(self, x: Stored, order: tuple[int, ...]) -> Stored:
        """The tensor with its axes stored in `order`, which names every axis longer than 1."""
        if x.order == order:
            return x
        key = (x.name, x.order, order)
        if key not in self._arranged:
            self._arranged[key] = self._move(x, order)
        return Stored(self._arranged[key], x.shape, order, x.codes)

    def _move(self, x: Stored, order: tuple[int, ...]) -> str:
        """Reshape where only axes of length 1 move; else Transpose, after adding or dropping such axes."""
        if [a for a in x.order if x.shape[a] != 1] == [a for a in order if x.shape[a] != 1]:
            return self.emit(Reshape(tuple(x.shape[a] for a in order)), x.name)
        axes = [a for a in x.order if a in order] + [a for a in order if a not in x.order]
        name = x.name
        if tuple(axes) != x.order:
            name = self.emit(Reshape(tuple(x.shape[a] for a in axes)), name)
        return self.emit(Transpose(tuple(axes.index(a) for a in order)), name)

    def finish(self, outputs: dict[str, Stored]) -> Graph:
        """The graph whose outputs have ONNX's names and axes."""
        sources = {}
        for name, x in outputs.items():
            self.stem = name
            sources[name] = self.full(x).name
        for name in outputs:
            self._name_output(name, sources)
        graph = Graph(tuple(self.inputs), tuple(self.nodes), tuple(outputs))
        return graph.replace(graph.nodes)  # without what no output needs

    def _name_output(self, name: str, sources: dict[str, str]) -> None:
        """Rename an output's source; where an input or another output has that name, copy it."""
        now, self.stem = sources[name], name
        if now == name:
            return
        if name in self.types:  # the same tensor in another order
            self._rename(name, self._fresh(), sources)
        if now in sources or now in {i.name for i in self.inputs}:
            self.types[name] = self.types[now]
            self.nodes.append(Node(name, Reshape(self.types[now].shape), (now,), self.origin))
        else:
            self._rename(now, name, sources)

    def _rename(self, old: str, new: str, sources: dict[str, str]) -> None:
        self.types[new] = self.types.pop(old)
        self.nodes = [_renamed(n, old, new) for n in self.nodes]
        sources.update({k: new for k, v in sources.items() if v == old})


def _renamed(node: Node, old: str, new: str) -> Node:
    inputs = tuple(new if i == old else i for i in node.inputs)
    return replace(node, name=new if node.name == old else node.name, inputs=inputs)
