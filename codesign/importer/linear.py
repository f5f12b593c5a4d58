"""Matrix products with constant weights."""

from __future__ import annotations

import numpy as np

from codesign.importer.call import Call
from codesign.importer.elementwise import combine, sample_constant, with_constant
from codesign.importer.values import Constantlike, Refused, Stored
from codesign.ops.elementwise import Add, Mul
from codesign.ops.matmul import MatMul


def matmul(call: Call) -> Stored:
    if not isinstance(call.inputs[0], Stored):
        raise Refused("its left operand is constant; only constant weights on the right are supported")
    w = call.constant(1, "weights")
    if len(w.shape) != 2:
        raise Refused(f"its weights have shape {w.shape}; a matrix (inputs, outputs) is needed")
    return product(call, w, (0, 1))


def gemm(call: Call) -> Stored:
    """alpha * x @ w + beta * c."""
    if call.integer("transA", 0):
        raise Refused("transA moves the sample axis, which is not supported")
    w = call.constant(1, "weights")
    if len(w.shape) != 2 or len(call.tensor().shape) != 1:
        raise Refused(f"its input and weights {w.shape} must be matrices")
    y = product(call, w, (1, 0) if call.integer("transB", 0) else (0, 1))
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    if alpha != 1:
        y = with_constant(call.build, Mul(), y, sample_constant(np.asarray(alpha), y))
    if not call.has(2) or beta == 0:
        return y
    if not isinstance(call.inputs[2], Stored):
        return with_constant(call.build, Add(), y, sample_constant(beta * call.array(2, "bias"), y))
    if beta != 1:
        raise Refused("beta with a computed bias is not supported; use a Mul node")
    return combine(call.build, Add(), y, call.tensor(2))


def product(call: Call, w: Constantlike, perm: tuple[int, ...]) -> Stored:
    x = call.build.full(call.tensor())
    weights = call.build.weights(w, perm)
    rows, columns = (w.shape[p] for p in perm)
    if x.shape[-1:] != (rows,):
        raise Refused(f"it multiplies {x.shape} (one sample) with weights ({rows}, {columns})")
    shape = (*x.shape[:-1], columns)
    return Stored.plain(call.build.emit(MatMul(), x.name, weights), shape)
