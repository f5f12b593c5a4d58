"""The network as an immutable value: typed, topologically ordered, checked when it is made.

Every array that runs through a graph has a leading sample axis; shapes in types leave it out. Integer tensors
are carried in the fastest dtype that is exact for their format (see `formats.carrier`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from codesign.formats import Format, carrier


class GraphError(ValueError):
    """A graph that cannot exist: names the node and the reason."""


@dataclass(frozen=True)
class TensorType:
    """Shape of one sample; format None means real. real = scale * (integer - zero_point).

    `scale` and `zero_point` hold one entry, or one for each index of the last axis (the channels).
    """

    shape: tuple[int, ...]
    format: Format | None = None
    scale: tuple[float, ...] = (1.0,)
    zero_point: tuple[int, ...] = (0,)

    @property
    def is_integer(self) -> bool:
        return self.format is not None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def to_real(self, integers: np.ndarray) -> np.ndarray:
        """Integer values -> real values in float64."""
        return (integers.astype(np.float64) - np.asarray(self.zero_point)) * np.asarray(self.scale)

    def __str__(self) -> str:
        text = f"{self.format or 'real'}[{', '.join(map(str, self.shape))}]"
        if self.is_integer and self.scale != (1.0,):
            text += f" scale {self.scale[0]:.6g}" if len(self.scale) == 1 else f" scale per channel({len(self.scale)})"
        if any(self.zero_point):
            text += f" zero {self.zero_point[0] if len(self.zero_point) == 1 else 'per channel'}"
        return text


@dataclass(frozen=True)
class Operand:
    """What an operator may know of an input before it runs: its type, and its value where it is constant."""

    type: TensorType
    value: np.ndarray | None = None


class Op(Protocol):
    """An operator: a frozen dataclass whose fields are its attributes (see `codesign/ops`)."""

    def infer(self, *operands: Operand) -> TensorType:
        """The result's type; raises GraphError with the reason when the operands don't fit."""
        ...

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        """The exact result; `out` is what `infer` said. Constant operands come without a sample axis."""
        ...


@dataclass(frozen=True)
class Constant:
    """A constant tensor: `value` has the type's shape (no sample axis).

    `storage` says how a file keeps it, as in `csr` (see codesign/compress/storage.py); the value is the same.
    """

    type: TensorType
    value: np.ndarray = field(compare=False)
    storage: str = ""

    def __post_init__(self) -> None:
        value = np.array(self.value, dtype=carrier(self.type.format), order="C")
        if value.shape != self.type.shape:
            raise GraphError(f"constant of shape {value.shape} declared as {self.type}")
        if self.type.format is not None and not self.type.format.contains(value):
            raise GraphError(f"constant values {value.min()}..{value.max()} are outside of {self.type.format}")
        value.setflags(write=False)
        object.__setattr__(self, "value", value)

    @classmethod
    def real(cls, value: Any, storage: str = "") -> Constant:
        array = np.asarray(value, dtype=np.float64)
        return cls(TensorType(array.shape), array, storage)

    def infer(self, *operands: Operand) -> TensorType:
        return self.type

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        return self.value


@dataclass(frozen=True)
class Dequantize:
    """Integer -> real: scale * (x - zero_point), as its operand's type says (so the graph itself runs it)."""

    def infer(self, *operands: Operand) -> TensorType:
        (x,) = operands
        if not x.type.is_integer:
            raise GraphError("dequantizes a tensor that is real already")
        return TensorType(x.type.shape)

    def run(self, out: TensorType, *arrays: np.ndarray) -> np.ndarray:
        raise TypeError("Dequantize runs within a Graph, which knows its operand's type")


@dataclass(frozen=True)
class Node:
    """One operator applied to named tensors; its result has the node's name. `origin`: the user's own layer name."""

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    origin: str = ""

    @property
    def label(self) -> str:
        """What people are told it is called."""
        return self.origin or self.name


@dataclass(frozen=True)
class Input:
    """A network input."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class Graph:
    """inputs, nodes in topological order, and the names of the results."""

    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        _ = self.types  # an invalid graph cannot exist
        for name in self.outputs:
            if name not in self.types:
                raise GraphError(f"output '{name}' is not computed by any node")

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """The type of every tensor by name."""
        types = {i.name: i.type for i in self.inputs}
        for node in self.nodes:
            if node.name in types:
                raise GraphError(f"two tensors are named '{node.name}'")
            missing = [i for i in node.inputs if i not in types]
            if missing:
                raise GraphError(f"node '{node.name}' reads '{missing[0]}' before it is computed")
            types[node.name] = self._infer(node, types)
        return types

    def _infer(self, node: Node, types: Mapping[str, TensorType]) -> TensorType:
        try:
            return node.op.infer(*(Operand(types[i], self.constants.get(i)) for i in node.inputs))
        except GraphError as e:
            raise GraphError(f"node '{node.label}' ({type(node.op).__name__}): {e}") from None

    @cached_property
    def constants(self) -> Mapping[str, np.ndarray]:
        """The value of every constant by name."""
        return {n.name: n.op.value for n in self.nodes if isinstance(n.op, Constant)}

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        return {n.name: n for n in self.nodes}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each tensor (a node that reads it twice is listed once)."""
        readers: dict[str, list[Node]] = {name: [] for name in self.types}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return {k: tuple(v) for k, v in readers.items()}

    @cached_property
    def widest(self) -> int:
        """Elements of the largest tensor of one sample."""
        return max((t.size for name, t in self.types.items() if name not in self.constants), default=1)

    def run(self, feeds: Mapping[str, np.ndarray], want: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Every tensor in `want` (default: the outputs) for arrays with a leading sample axis."""
        want = tuple(self.outputs if want is None else want)
        values: dict[str, np.ndarray] = {i.name: self._exact(i, feeds[i.name]) for i in self.inputs}
        last = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}
        for index, node in enumerate(self.nodes):
            values[node.name] = self._run_node(node, values)
            for name in set(node.inputs):
                if last[name] == index and name not in want:
                    del values[name]
        samples = next(iter(feeds.values())).shape[0] if feeds else 1
        return {n: _with_samples(values[n], self.types[n], samples) for n in want}

    def _exact(self, i: Input, samples: np.ndarray) -> np.ndarray:
        """Real samples in float64, so that no operator rounds as float32 does; what only compares takes them as
        they are."""
        if i.type.is_integer or all(getattr(n.op, "only_compares", False) for n in self.readers[i.name]):
            return samples
        return samples.astype(np.float64, copy=False)

    def _run_node(self, node: Node, values: Mapping[str, np.ndarray]) -> np.ndarray:
        out = self.types[node.name]
        if isinstance(node.op, Dequantize):
            return self.types[node.inputs[0]].to_real(values[node.inputs[0]])
        result = node.op.run(out, *(values[i] for i in node.inputs))
        return result if result.dtype == carrier(out.format) else result.astype(carrier(out.format))

    def replace(self, nodes: Iterable[Node], outputs: Sequence[str] | None = None) -> Graph:
        """The same inputs with other nodes; nodes that no output needs are dropped, order is repaired."""
        outputs = self.outputs if outputs is None else tuple(outputs)
        return Graph(self.inputs, _ordered_live(nodes, {i.name for i in self.inputs}, outputs), outputs)

    def rename(self, old: str, new: str) -> Graph:
        """The graph with every reader of `old` reading `new` instead."""
        nodes = [replace(n, inputs=tuple(new if i == old else i for i in n.inputs)) for n in self.nodes]
        return self.replace(nodes, [new if o == old else o for o in self.outputs])

    def fresh(self, stem: str) -> str:
        """A tensor name that is not taken yet."""
        taken, name, k = self.types, stem, 1
        while name in taken:
            name, k = f"{stem}_{k}", k + 1
        return name

    def __str__(self) -> str:
        lines = [f"input  {i.name}: {i.type}" for i in self.inputs]
        for n in self.nodes:
            args = ", ".join((*n.inputs, *attributes(n.op)))
            lines.append(f"{n.name} = {type(n.op).__name__}({args}): {self.types[n.name]}")
        return "\n".join([*lines, f"output {', '.join(self.outputs)}"]) + "\n"


def attributes(op: Op) -> list[str]:
    """An operator's attributes as text, arrays by shape and range."""
    if isinstance(op, Constant):
        return []
    return [f"{k}={_show(v)}" for k, v in vars(op).items() if not k.startswith("_")]


def _show(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"array{list(value.shape)}[{value.min():g}..{value.max():g}]" if value.size else "array[]"
    return str(value)


def _with_samples(value: np.ndarray, t: TensorType, samples: int) -> np.ndarray:
    """A constant result repeated for every sample; others as they are."""
    if value.ndim == len(t.shape):
        return np.broadcast_to(value, (samples, *value.shape))
    return value


def _ordered_live(nodes: Iterable[Node], given: set[str], outputs: Sequence[str]) -> tuple[Node, ...]:
    """The nodes that `outputs` need, in topological order (stable: depth first in order of need)."""
    by_name = {n.name: n for n in nodes}
    order: list[Node] = []
    state: dict[str, int] = {}
    stack = [(o, False) for o in reversed(outputs)]
    while stack:
        name, done = stack.pop()
        if done:
            state[name] = 2
            order.append(by_name[name])
            continue
        if name in given or state.get(name) == 2:
            continue
        if name not in by_name:
            raise GraphError(f"'{name}' is needed but not computed by any node")
        if state.get(name) == 1:
            raise GraphError(f"the graph has a cycle through '{name}'")
        state[name] = 1
        stack.append((name, True))
        stack.extend((i, False) for i in reversed(by_name[name].inputs))
    return tuple(order)


Rewrite = Callable[[Graph], Graph]
