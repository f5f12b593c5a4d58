"""A ModelProto -> Model: named arrays and live nodes in topological order, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from codesign.errors import UserError
from codesign.importer.load import DOMAINS
from codesign.importer.values import INTEGERS, MOST_ELEMENTS

FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)

KNOWN_ATTRIBUTES = tuple(k for k in onnx.AttributeProto.AttributeType.values() if k)


@dataclass(frozen=True)
class OnnxNode:
    """A node with decoded attributes; `origin` is its name, or its operator and result where it has none."""

    op: str
    domain: str
    origin: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: onnx.NodeProto = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"node '{self.origin}' ({self.op})"


@dataclass(frozen=True)
class ModelInput:
    """A network input: its shape, the name of its elements' type, and whether the file fixes its first axis."""

    name: str
    shape: tuple[int, ...]
    type: str
    is_fixed: bool = True


@dataclass(frozen=True)
class Model:
    """What a file holds, without what no varying output needs: that is `dead`."""

    inputs: tuple[ModelInput, ...]
    nodes: tuple[OnnxNode, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, np.ndarray]
    varying: frozenset[str]
    opset: int
    notes: tuple[str, ...]
    dead: tuple[OnnxNode, ...] = ()


def parse(proto: onnx.ModelProto) -> Model:
    """Check names, order and values; UserError names what is wrong."""
    graph = proto.graph
    constants = {t.name: array_of(t) for t in graph.initializer}
    inputs, notes = _inputs([i for i in graph.input if i.name not in constants])
    nodes = [_node(n) for n in graph.node]
    _check_names([i.name for i in inputs], [t.name for t in graph.initializer], nodes)
    order = _ordered(nodes, {*constants, *(i.name for i in inputs)})
    varying = _varying(order, {i.name for i in inputs})
    outputs, dropped = _outputs([o.name for o in graph.output], varying, constants, nodes)
    live = _live(order, outputs)
    needed = {n.origin for n in live}
    return Model(
        inputs,
        live,
        outputs,
        constants,
        frozenset(varying),
        max(o.version for o in proto.opset_import if o.domain in DOMAINS),
        (*notes, *dropped),
        tuple(n for n in order if n.origin not in needed),
    )


def array_of(tensor: onnx.TensorProto) -> np.ndarray:
    """A stored tensor, floats in float64; UserError where it is malformed, NaN or infinite."""
    malformed = UserError(f"tensor '{tensor.name}' is malformed: data, shape and type disagree")
    if prod(tensor.dims) > 2 * tensor.ByteSize() or min(tensor.dims, default=0) < 0:  # 4 bits are the least
        raise malformed
    try:
        value = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):
        raise malformed from None
    if value.dtype.kind in "cOSU":
        raise UserError(f"tensor '{tensor.name}' holds {value.dtype.name} values; numbers are supported")
    if tensor.data_type not in FLOATS:
        return value
    value = value.astype(np.float64)
    if not np.isfinite(value).all():
        raise UserError(f"tensor '{tensor.name}' holds NaN or infinite values; train the model again")
    return value


def _inputs(infos: Iterable[onnx.ValueInfoProto]) -> tuple[tuple[ModelInput, ...], list[str]]:
    """The inputs, a dynamic sample axis fixed to 1, with a note where that was done."""
    inputs, notes = [], []
    for info in infos:
        t = info.type.tensor_type
        if not info.type.HasField("tensor_type") or not t.HasField("shape"):
            raise UserError(f"input '{info.name}' has no shape; export the model with one")
        dims = list(t.shape.dim)
        shape = tuple(_dim(info.name, axis, d) for axis, d in enumerate(dims))
        if prod(shape[1:]) > MOST_ELEMENTS:
            raise UserError(f"input '{info.name}' has {prod(shape[1:])} elements a sample; at most {MOST_ELEMENTS}")
        fixed = all(map(_is_fixed, dims[:1]))
        if not fixed:
            notes.append(f"input '{info.name}': the sample axis {dims[0].dim_param!r} became 1")
        inputs.append(ModelInput(info.name, shape, _type_name(info.name, t.elem_type), fixed))
    if not inputs:
        raise UserError("the model has no input besides its constants")
    return tuple(inputs), notes


def _type_name(name: str, number: int) -> str:
    """ "float" or the name of an integer type; others are refused."""
    if number in FLOATS:
        return "float"
    try:
        kind = onnx.TensorProto.DataType.Name(number).lower()
    except ValueError:
        kind = str(number)
    if kind not in INTEGERS:
        raise UserError(f"input '{name}' is of type {kind}; floats and integers of 4 to 64 bits are supported")
    return kind


def _is_fixed(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return dim.HasField("dim_value") and dim.dim_value > 0


def _dim(name: str, axis: int, dim: onnx.TensorShapeProto.Dimension) -> int:
    if _is_fixed(dim):
        return dim.dim_value
    if dim.HasField("dim_value") and (axis or not dim.dim_value):
        raise UserError(f"input '{name}': axis {axis} has length {dim.dim_value}; empty tensors are not supported")
    if axis == 0:
        return 1
    raise UserError(
        f"input '{name}': axis {axis} ({dim.dim_param or '?'!r}) has no fixed length; "
        f"fix it with onnxruntime.tools.make_dynamic_shape_fixed or export the model with fixed shapes"
    )


def _node(proto: onnx.NodeProto) -> OnnxNode:
    outputs = tuple(proto.output)
    origin = proto.name or f"{proto.op_type}:{outputs[0] if outputs else '?'}"
    if not any(outputs):
        raise UserError(f"node '{origin}' ({proto.op_type}) has no output")
    attributes = {a.name: _attribute(origin, a) for a in proto.attribute}
    domain = "" if proto.domain in DOMAINS else proto.domain
    return OnnxNode(proto.op_type, domain, origin, tuple(proto.input), outputs, attributes, proto)


def _attribute(origin: str, a: onnx.AttributeProto) -> Any:
    """int, float, str, lists of them, or an array."""
    if a.type == onnx.AttributeProto.TENSOR:
        return array_of(a.t)
    if a.type not in KNOWN_ATTRIBUTES:  # without a type, its value would be taken for missing
        raise UserError(f"node '{origin}': attribute '{a.name}' is of no known type")
    value = onnx.helper.get_attribute_value(a)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise UserError(f"node '{origin}': attribute '{a.name}' is no text; the file is damaged") from None
    return list(value) if a.type in (a.INTS, a.FLOATS, a.STRINGS) else value


def _check_names(inputs: list[str], initializers: list[str], nodes: list[OnnxNode]) -> None:
    """Every tensor has one source."""
    sources = [*inputs, *initializers, *(o for n in nodes for o in n.outputs if o)]
    seen: set[str] = set()
    for name in sources:
        if name in seen:
            raise UserError(f"two tensors of the model are named '{name}'; rename one of them")
        seen.add(name)


def _ordered(nodes: list[OnnxNode], given: set[str]) -> list[OnnxNode]:
    """Topological order; refuses cycles and tensors that nothing computes."""
    maker = {o: i for i, n in enumerate(nodes) for o in n.outputs if o}
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for i, node in enumerate(nodes):
        for name in filter(None, node.inputs):
            if name not in given and name not in maker:
                raise UserError(f"{node} reads '{name}', which is neither computed nor given")
        sorter.add(i, *(maker[name] for name in node.inputs if name in maker))
    try:
        return [nodes[i] for i in sorter.static_order()]
    except CycleError as e:
        raise UserError(f"the model has a cycle through {nodes[e.args[1][0]]}") from None


def _varying(order: list[OnnxNode], inputs: set[str]) -> set[str]:
    """The tensors that depend on an input's values (shapes are fixed, so Shape's result does not)."""
    varying = set(inputs)
    for node in order:
        if node.op not in ("Shape", "Size") and varying & set(node.inputs):
            varying |= set(node.outputs) - {""}
    return varying


def _outputs(
    names: list[str], varying: set[str], constants: Mapping[str, np.ndarray], nodes: list[OnnxNode]
) -> tuple[tuple[str, ...], list[str]]:
    """The outputs that depend on the input, and a note for each of the others."""
    known = {*varying, *constants, *(o for n in nodes for o in n.outputs)}
    for name in names:
        if name not in known:
            raise UserError(f"output '{name}' is not computed by any node")
    kept = tuple(dict.fromkeys(n for n in names if n in varying))
    if not kept:
        raise UserError("no output of the model depends on its input")
    return kept, [f"output '{n}' is constant and was dropped" for n in names if n not in varying]


def _live(order: list[OnnxNode], outputs: Iterable[str]) -> tuple[OnnxNode, ...]:
    """The nodes that the outputs need."""
    needed, live = set(outputs), []
    for node in reversed(order):
        if needed & set(node.outputs):
            needed |= set(node.inputs)
            live.append(node)
    return tuple(reversed(live))
