"""Do a node's operands have the types that ONNX's own table of operators demands?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx

from codesign.importer.model import OnnxNode
from codesign.importer.values import Quantized, Refused, Stored, Value

FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)", "tensor(bfloat16)")


def check_types(node: OnnxNode, inputs: Sequence[Value | None], opset: int) -> None:
    """Refuse operands of types that the operator doesn't take, or of two types where one is demanded."""
    schema = _schema(node, opset)
    if schema is None:
        return
    for index, parameter in enumerate(schema.inputs):
        needed = parameter.option == onnx.defs.OpSchema.FormalParameterOption.Single
        if needed and (index >= len(inputs) or inputs[index] is None):
            raise Refused(f"its input '{parameter.name}' is missing")
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    bound: dict[str, str] = {}
    for parameter, value in _pairs(schema, inputs):
        kind, found = parameter.type_str, _type(value)
        if found not in map(_known, allowed.get(kind, [kind])):
            raise Refused(f"its input '{parameter.name}' is of type {found}, which it does not take")
        if kind in allowed and parameter.is_homogeneous and bound.setdefault(kind, found) != found:
            raise Refused(f"its input '{parameter.name}' is of type {found}, another is of type {bound[kind]}")


def _schema(node: OnnxNode, opset: int) -> onnx.defs.OpSchema | None:
    """None for operators that are not ONNX's own."""
    if node.domain or not onnx.defs.has(node.op, ""):
        return None
    try:
        return onnx.defs.get_schema(node.op, opset, "")
    except onnx.defs.SchemaError:
        raise Refused(f"ONNX's opset {opset} has no such operator; convert it with onnx.version_converter") from None


def _pairs(
    schema: onnx.defs.OpSchema, inputs: Sequence[Value | None]
) -> Iterator[tuple[onnx.defs.OpSchema.FormalParameter, Value]]:
    """Each operand that is there, with its parameter; the last parameter may be for all the rest."""
    for index, value in enumerate(inputs):
        if value is not None and schema.inputs:
            yield schema.inputs[min(index, len(schema.inputs) - 1)], value


def _known(kind: str) -> str:
    """ONNX's name of a type as importing sees it: floats of all sizes are one."""
    return "float" if kind in FLOATS else kind.removeprefix("tensor(").removesuffix(")")


def _type(value: Value) -> str:
    if isinstance(value, Stored):
        return "float" if value.codes is None else _integer(value)
    if isinstance(value, Quantized) or value.dtype.kind == "f":
        return "float"
    return "string" if value.dtype.kind in "OSU" else value.dtype.name


def _integer(value: Stored) -> str:
    """The type of integers as ONNX sees them."""
    assert value.codes is not None
    f = value.codes.format
    return f"{'' if f.signed else 'u'}int{f.bits}"
