"""A file -> a ModelProto that can be read safely; every defect is a UserError of one line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from codesign.errors import UserError

MOST_BYTES = (1 << 31) - 1  # protobuf's own limit
FIRST_OPSET = 7  # before it, elementwise operators had another kind of broadcasting
DOMAINS = ("", "ai.onnx")


def load(path: Path) -> tuple[onnx.ModelProto, str]:
    """The model with its external data, and the sha256 of the file."""
    data = _read(path)
    proto = _decode(path, data)
    _check_text(path, proto.graph)
    _check_opset(path, proto)
    _check_flat(path, proto)
    for tensor in _tensors(proto.graph):
        if uses_external_data(tensor):
            _load_external(path, tensor)
    return proto, hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise UserError(f"{path} is a folder; name the ONNX file in it")
        if size > MOST_BYTES:
            raise UserError(f"{path} has {size} bytes; more than {MOST_BYTES} need external data files")
        data = path.read_bytes()
    except OSError as e:
        raise UserError(f"cannot read {path}: {e.strerror or e}") from None
    if not data:
        raise UserError(f"{path} is empty; export the model again")
    return data


def _decode(path: Path, data: bytes) -> onnx.ModelProto:
    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError:
        raise UserError(f"{path} is not an ONNX model, or it is truncated; export or copy it again") from None
    if not proto.ir_version or not proto.HasField("graph"):
        raise UserError(f"{path} is not an ONNX model: it holds no graph")
    if not (proto.graph.node and proto.graph.output):
        raise UserError(f"{path} holds a graph without nodes or outputs; it may be truncated")
    return proto


def _check_text(path: Path, graph: onnx.GraphProto) -> None:
    """Refuse names that are damaged: everything else may print them."""
    names = [x.name for x in (*graph.input, *graph.output, *graph.initializer)]
    for n in graph.node:
        names += [n.name, n.op_type, n.domain, *n.input, *n.output, *(a.name for a in n.attribute)]
    for name in names:
        if not isinstance(name, str) or not name.isprintable():  # protobuf gives bytes where UTF-8 is broken
            raise UserError(f"{path} is damaged: {name!r} is no name; export or copy it again")


def _check_opset(path: Path, proto: onnx.ModelProto) -> None:
    versions = [o.version for o in proto.opset_import if o.domain in DOMAINS]
    last = onnx.defs.onnx_opset_version()
    if not versions:
        raise UserError(f"{path} names no ONNX opset; it may be truncated")
    if not FIRST_OPSET <= max(versions) <= last:
        raise UserError(
            f"{path} uses opset {max(versions)}; {FIRST_OPSET} to {last} are understood: "
            f"convert it with onnx.version_converter"
        )


def _check_flat(path: Path, proto: onnx.ModelProto) -> None:
    """Refuse local functions and subgraphs."""
    if proto.functions:
        names = ", ".join(f.name for f in proto.functions)
        raise UserError(f"{path} defines local functions ({names}); inline them with onnx.inliner")
    for node in proto.graph.node:
        for a in node.attribute:
            if a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                raise UserError(
                    f"node '{node.name or node.output[0]}' ({node.op_type}): control flow with subgraphs "
                    f"is not supported; export the model without it"
                )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor stored in a flat graph."""
    yield from graph.initializer
    for node in graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.TENSOR:
                yield a.t


def _load_external(path: Path, tensor: onnx.TensorProto) -> None:
    """Read a tensor's data from beside the model, never from elsewhere."""
    folder = path.resolve().parent
    location = next((e.value for e in tensor.external_data if e.key == "location"), "")
    file = (folder / location).resolve()
    if not location or folder not in file.parents:
        raise UserError(f"tensor '{tensor.name}' lies outside of the model's folder ({location!r})")
    if not file.is_file():
        raise UserError(f"tensor '{tensor.name}': its data file {file} is missing")
    length = next((e.value for e in tensor.external_data if e.key == "length"), "0")
    if not length.isdecimal() or int(length) > file.stat().st_size:
        raise UserError(f"tensor '{tensor.name}': its data file {file} does not hold {length} bytes")
    try:
        load_external_data_for_tensor(tensor, str(folder))
    except (ValueError, OSError, onnx.checker.ValidationError) as e:
        raise UserError(f"tensor '{tensor.name}': {_first_line(e)}") from None
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
