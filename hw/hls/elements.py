"""Functions of single elements: staircases, multiply-shifts, tables, factors and terms, and hls4ml's own merges."""

from __future__ import annotations

import numpy as np

from codesign.errors import UserError
from codesign.formats import Int
from codesign.graph import Node
from codesign.ops.elementwise import Add, Maximum, Minimum, Mul
from codesign.ops.integer import Center
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.ops.weigh import Weigh
from hw.hls.builder import Builder, Shape, input_span, inputs_of, result_of, size_of
from hw.hls.moves import spread
from hw.hls.spec import HlsLayer

FEW_STEPS = 15  # of a staircase whose comparisons are all made at once


def threshold(b: Builder, node: Node) -> str:
    op, (shape, result) = node.op, result_of(b, node)
    assert isinstance(op, Threshold)
    rows = max(len(op.thresholds), len(op.base), len(op.step))
    marks = np.broadcast_to(op.thresholds, (rows, op.thresholds.shape[1]))
    steps = marks.shape[1]
    parameters = {
        "thresholds": marks.reshape(-1),
        "base": np.broadcast_to(op.base, rows),
        "step": np.broadcast_to(op.step, rows),
    }
    config = {"size": size_of(shape), "rows": rows, "steps": steps, "few": FEW_STEPS}
    config["highest"] = 1 << (steps.bit_length() - 1)
    sums = [input_span(b, node), Int(-2 * steps - 1, 2 * steps + 1)]  # what it compares, and steps times counts
    return b.operator(node, "threshold", inputs_of(b, node), shape, result, config, parameters, sums)


def requant(b: Builder, node: Node) -> str:
    op, (shape, result) = node.op, result_of(b, node)
    assert isinstance(op, Requant)
    rows = max(len(op.multiplier), len(op.offset))
    parameters = {k: np.broadcast_to(getattr(op, k), rows) for k in ("multiplier", "offset")}
    x = input_span(b, node)
    most = 2 * op.largest_sum(max(abs(x.lo), abs(x.hi))) + 1
    config = {
        "size": size_of(shape), "rows": rows, "shift": op.shift, "half": (1 << op.shift) >> 1,
        "half_even": op.rounding == "half_even", "low": op.format.lo, "high": op.format.hi,
    }  # fmt: skip
    return b.operator(node, "requant", inputs_of(b, node), shape, result, config, parameters, [Int(-most, most)])


def table(b: Builder, node: Node) -> str:
    op, (shape, result) = node.op, result_of(b, node)
    assert isinstance(op, Table)
    config = {"size": size_of(shape), "rows": len(op.values), "entries": op.values.shape[1], "low": op.lo}
    sums = [input_span(b, node), Int(min(op.lo, 0), op.values.shape[1]), Int(-abs(op.lo), abs(op.lo))]
    wide = [Int(2 * min(s.lo for s in sums), 2 * max(s.hi for s in sums))]
    return b.operator(node, "table", inputs_of(b, node), shape, result, config, {"values": op.values.reshape(-1)}, wide)


def affine(
    b: Builder, node: Node, source: str, shape: Shape, result: Int, factor: np.ndarray | int, term: np.ndarray | int
) -> str:
    """x * factor + term; both scalar, or one for each element."""
    full = np.broadcast_arrays(np.asarray(factor, np.int64), np.asarray(term, np.int64), np.zeros(shape, np.int64))
    flat = [a.reshape(-1) for a in full[:2]]
    channels = shape[-1] if shape else 1
    rows = next(r for r in (1, channels, flat[0].size) if all(_repeats(a, r) for a in flat))
    config = {"size": size_of(shape), "rows": rows}
    parameters = {"factor": flat[0][:rows], "term": flat[1][:rows]}
    return b.operator(node, "affine", [source], shape, result, config, parameters, [b.of(source).precision["result"]])


def _repeats(values: np.ndarray, period: int) -> bool:
    return values.size % period == 0 and bool((values.reshape(-1, period) == values[:period]).all())


def center(b: Builder, node: Node) -> str:
    assert isinstance(node.op, Center)
    return affine(b, node, b.made[node.inputs[0]], *result_of(b, node), 1, -node.op.zero_point)


def weigh(b: Builder, node: Node) -> str:
    assert isinstance(node.op, Weigh)
    return affine(b, node, b.made[node.inputs[0]], *result_of(b, node), node.op.weights[..., None], 0)


def reinterpret(b: Builder, node: Node) -> str:
    return b.made[node.inputs[0]]


# --- two operands ---------------------------------------------------------------------------------------------

MERGES: dict[type, str] = {Add: "Add", Mul: "Multiply", Minimum: "Minimum", Maximum: "Maximum"}


def merge(b: Builder, node: Node) -> str:
    """hls4ml's own Merge; with a constant operand, a factor or term for each element."""
    shape, result = result_of(b, node)
    constant = next((i for i in node.inputs if i in b.graph.constants), None)
    if constant is not None:
        return _with_constant(b, node, constant, shape, result)
    sources = [spread(b, node, i, shape) for i in node.inputs]
    name = b.names.of(node)
    attributes = {"op": MERGES[type(node.op)].lower()}
    origin = node.label
    layer = HlsLayer(name, "Merge", tuple(sources), shape, {"result": result}, attributes, 1, "", node.name, origin)
    return b.add(layer)


def _with_constant(b: Builder, node: Node, constant: str, shape: Shape, result: Int) -> str:
    values = b.graph.constants[constant].astype(np.int64)
    if not isinstance(node.op, (Add, Mul)):
        raise UserError(
            f"node '{node.label}' ({type(node.op).__name__}): the HLS back end takes its operands from "
            "the network only, and one of them is constant"
        )
    x = next(i for i in node.inputs if i != constant)
    source = spread(b, node, x, shape)
    return affine(b, node, source, shape, result, *((1, values) if isinstance(node.op, Add) else (values, 0)))
