"""Nodes whose inputs are all constant, evaluated at import by ONNX's reference evaluator in float64."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from codesign.importer.elementwise import same_quantized
from codesign.importer.model import OnnxNode
from codesign.importer.values import Constantlike, Quantized, Refused

MOVES = ("Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze")  # keep every element
MOST_ELEMENTS = 1 << 24  # of a result, or GROWTH times the largest operand
GROWTH = 4
# No network folds these, and onnx's shape inference crashes (natively) on some of their damaged operands.
NEVER = (
    "Conv",
    "ConvTranspose",
    "ConvInteger",
    "QLinearConv",
    "DeformConv",
    "Col2Im",
    "MaxPool",
    "AveragePool",
    "LpPool",
)
NEVER += ("MaxUnpool", "MaxRoiPool", "RoiAlign", "LSTM", "GRU", "RNN", "Scan", "Loop", "If", "Attention", "Einsum")
MOST_DIMENSIONS = 64  # longer operands are no shapes


def fold(node: OnnxNode, inputs: list[Constantlike | None], opset: int) -> list[Constantlike]:
    """The node's results. A quantized constant stays one where elements only move or are scaled."""
    first = inputs[0] if inputs else None
    if isinstance(first, Quantized):
        kept = _moved(node, first, inputs, opset) if node.op in MOVES else _scaled(node, first, inputs)
        if kept is not None:
            return [kept]
    return list(evaluate(node, [i.real() if isinstance(i, Quantized) else i for i in inputs], opset))


def _moved(node: OnnxNode, x: Quantized, inputs: list[Constantlike | None], opset: int) -> Quantized:
    rest = [i.real() if isinstance(i, Quantized) else i for i in inputs[1:]]
    arrays = (evaluate(node, [a, *rest], opset)[0] for a in (x.integers, x.scale, x.zero_point))
    integers, scale, zero_point = arrays
    return Quantized(integers, x.format, scale, zero_point)


def _scaled(node: OnnxNode, x: Quantized, inputs: list[Constantlike | None]) -> Quantized | None:
    factor = inputs[1] if len(inputs) == 2 else None
    if not isinstance(factor, np.ndarray) or node.op not in ("Mul", "Div") or (factor == 0).any():
        return None
    return same_quantized(x, factor if node.op == "Mul" else 1 / factor)


def evaluate(node: OnnxNode, inputs: list[np.ndarray | None], opset: int) -> list[np.ndarray]:
    """Results of a standard operator on arrays; floats in float64."""
    if node.op in NEVER:
        raise Refused("all that it reads is constant; fold it before the export")
    _check_size(node, inputs, opset)
    feeds = {n: a for n, a in zip(node.inputs, inputs, strict=True) if a is not None}
    try:
        results = _evaluator(node, opset).run(None, feeds)
    except Exception as e:  # whatever onnx's evaluator raises on operands that don't fit
        raise Refused(f"its constant result cannot be computed: {_line(e)}") from None
    arrays = [np.asarray(r) for r in results]
    return [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]


def _evaluator(node: OnnxNode, opset: int) -> ReferenceEvaluator:
    untyped = [onnx.ValueInfoProto(name=n) for n in dict.fromkeys(node.inputs) if n]
    results = [onnx.ValueInfoProto(name=n) for n in node.outputs if n]
    graph = onnx.helper.make_graph([node.proto], "constant", untyped, results)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    return ReferenceEvaluator(model)


def _check_size(node: OnnxNode, inputs: list[np.ndarray | None], opset: int) -> None:
    """Refuse results that would fill the memory from a small file, before they are computed."""
    given = max((i.size for i in inputs if i is not None), default=0)
    for shape in _result_shapes(node, inputs, opset):
        if prod(shape) > max(MOST_ELEMENTS, GROWTH * given):
            raise Refused(f"it makes a constant of {prod(shape)} elements")


def _result_shapes(node: OnnxNode, inputs: list[np.ndarray | None], opset: int) -> list[tuple[int, ...]]:
    """What onnx infers; nothing where it cannot tell."""
    arrays = {n: a for n, a in zip(node.inputs, inputs, strict=True) if a is not None and a.dtype.kind in "fiub"}
    infos = [onnx.helper.make_tensor_value_info(n, _type_of(a), a.shape) for n, a in arrays.items()]
    small = [onnx.numpy_helper.from_array(_single(a), n) for n, a in arrays.items() if a.size <= MOST_DIMENSIONS]
    results = [onnx.ValueInfoProto(name=n) for n in node.outputs if n]
    graph = onnx.helper.make_graph([node.proto], "constant", infos, results, small)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output
    except Exception:  # operands that don't fit: the evaluator says why
        return []
    shapes = [o.type.tensor_type.shape.dim for o in inferred if o.type.tensor_type.HasField("shape")]
    return [tuple(d.dim_value for d in s) for s in shapes if all(d.HasField("dim_value") for d in s)]


def _single(value: np.ndarray) -> np.ndarray:
    """Floats as float32, as which operators take scales."""
    return value.astype(np.float32) if value.dtype.kind == "f" else value


def _type_of(value: np.ndarray) -> int:
    return onnx.helper.np_dtype_to_tensor_dtype(_single(np.empty(0, value.dtype)).dtype)


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
