"""onnx's reference evaluator in float64, with QONNX's operators written down from their specification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
DOMAIN = "qonnx.custom_op.general"
ROUNDINGS = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda v: np.sign(v) * np.ceil(np.abs(v)),
    "DOWN": np.trunc,
    "HALF_UP": lambda v: np.sign(v) * np.floor(np.abs(v) + 0.5),
    "HALF_DOWN": lambda v: np.sign(v) * np.ceil(np.abs(v) - 0.5),
}


class Quant(OpRun):
    op_domain = DOMAIN

    def _run(self, x, scale, zero_point, bits, signed=None, narrow=None, rounding_mode="ROUND"):
        if bits == 1 and signed:
            return (np.where(x / scale + zero_point >= 0, scale, -scale),)
        low = -(2.0 ** (bits - 1)) + bool(narrow) if signed else 0.0
        high = 2.0 ** (bits - 1) - 1 if signed else 2.0**bits - 1 - bool(narrow)
        levels = ROUNDINGS[(rounding_mode or "ROUND").upper()](np.clip(x / scale + zero_point, low, high))
        return ((levels - zero_point) * scale,)


class BipolarQuant(OpRun):
    op_domain = DOMAIN

    def _run(self, x, scale):
        return (np.where(x >= 0, scale, -scale),)


class MultiThreshold(OpRun):
    op_domain = DOMAIN

    def _run(self, x, thresholds, out_scale=None, out_bias=None, out_dtype=None, data_layout=None):
        layout = data_layout or {2: "NC", 3: "NWC", 4: "NCHW"}.get(x.ndim, "")
        last = np.moveaxis(x, layout.index("C") if "C" in layout else 1, -1)
        counts = (last[..., None] >= thresholds).sum(axis=-1).astype(np.float64)
        counts = counts * (1.0 if out_scale is None else out_scale) + (out_bias or 0.0)
        return (np.moveaxis(counts, -1, layout.index("C") if "C" in layout else 1),)


class QLinearMatMul(OpRun):
    """onnx's own wraps around where the specification says to saturate."""

    def _run(self, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero):
        sums = (a.astype(np.int64) - a_zero) @ (b.astype(np.int64) - b_zero)
        bounds = np.iinfo(y_zero.dtype)
        codes = np.rint(sums * (a_scale * b_scale / y_scale)) + y_zero.astype(np.float64)
        return (np.clip(codes, bounds.min, bounds.max).astype(y_zero.dtype),)


class QuantizeLinear(OpRun):
    """onnx's own converts to 32 bits before it saturates."""

    def _run(self, x, scale, zero=None, axis=1, saturate=None, block_size=None, output_dtype=None, precision=None):
        zero = np.zeros((), np.uint8) if zero is None else zero
        bounds = np.iinfo(zero.dtype)
        laid = [1] * x.ndim
        if max(scale.size, zero.size) > 1:
            laid[axis] = scale.size
        scale, offset = (v.astype(np.float64).reshape(laid if v.size > 1 else ()) for v in (scale, zero))
        return (np.clip(np.rint(x / scale) + offset, bounds.min, bounds.max).astype(zero.dtype),)


class DequantizeLinear(OpRun):
    """onnx's own is for opset 19 and later only."""

    def _run(self, x, scale, zero=None, axis=1, block_size=None, output_dtype=None):
        laid = [1] * x.ndim
        if scale.size > 1:
            laid[axis] = scale.size
        parts = (scale, np.zeros(()) if zero is None else zero)
        scale, offset = (v.astype(np.float64).reshape(laid if v.size > 1 else ()) for v in parts)
        return ((x - offset) * scale,)


class BatchNormalization(OpRun):
    """onnx's own trains, in opsets before 14."""

    def _run(self, x, g, b, mean, var, epsilon=1e-5, momentum=None, training_mode=None, is_test=None, spatial=None):
        g, b, mean, var = (v.reshape(-1, *[1] * (x.ndim - 2)) for v in (g, b, mean, var))
        return ((x - mean) / np.sqrt(var + epsilon) * g + b,)


NEW: list[type[OpRun]] = [Quant, BipolarQuant, MultiThreshold, QLinearMatMul, QuantizeLinear, DequantizeLinear]
NEW += [BatchNormalization]


def reference(path: Path, outputs: Sequence[str]) -> ReferenceEvaluator:
    """The evaluator of some outputs of a file, its floats in float64."""
    proto = onnx.load(path)
    _keep_needed(proto.graph, outputs)
    for tensor in _tensors(proto.graph):
        if tensor.data_type in FLOATS:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for node in proto.graph.node:
        for a in node.attribute:
            if node.op_type == "Cast" and a.name == "to" and a.i in FLOATS:
                a.i = TensorProto.DOUBLE
    named = {o.domain for o in proto.opset_import}
    for domain in {n.domain for n in proto.graph.node} - named:
        proto.opset_import.add(domain=domain, version=1)
    return ReferenceEvaluator(proto, new_ops=NEW)


def _keep_needed(graph: onnx.GraphProto, outputs: Sequence[str]) -> None:
    """Leave out the nodes that these outputs don't need."""
    makers = {o: n for n in graph.node for o in n.output}
    needed, stack = set(), list(outputs)
    while stack:
        name = stack.pop()
        if name not in needed and name in makers:
            stack.extend(makers[name].input)
        needed.add(name)
    kept = [n for n in graph.node if needed & (set(n.output) - {""})]
    infos = [o for o in graph.output if o.name in outputs]
    del graph.node[:], graph.output[:]
    graph.node.extend(kept)
    graph.output.extend(infos)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        yield from (a.t for a in node.attribute if a.type == onnx.AttributeProto.TENSOR)
