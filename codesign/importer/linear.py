"""Matrix products, with constant weights or of two computed tensors."""

from __future__ import annotations

from math import prod

import numpy as np

from codesign.importer.call import Call
from codesign.importer.elementwise import combined, with_constant
from codesign.importer.shapes import transposed
from codesign.importer.values import Constantlike, MixesSamples, Quantized, Refused, Stored, Value
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Mul
from codesign.ops.layout import Reshape
from codesign.ops.matmul import BatchMatMul, MatMul
from codesign.ops.moves import Expand


def matmul(call: Call) -> Stored:
    """Constant weights (inputs, outputs) on one side, or any product of matrices along the last two axes."""
    a, b = call.inputs
    if isinstance(a, Stored) and not isinstance(b, Stored):
        w = call.constant(1, "weights")
        if len(w.shape) == 2:
            return product(call, a, w, (0, 1))
        if _pairs(call, a, w):
            return _in_groups(call, a, w)
    if isinstance(b, Stored) and not isinstance(a, Stored) and len(b.shape) > 1:
        w = call.constant(0, "weights")  # a @ b is the transpose of b's times a's
        if len(w.shape) == 2:
            return _swapped(product(call, _swapped(b), w, (1, 0)))
        if _pairs(call, b, w):
            return _swapped(_in_groups(call, _swapped(b), w.transpose((*range(len(w.shape) - 2), -1, -2))))
    return _batched(call, a, b)


def _swapped(x: Stored) -> Stored:
    """With the last two axes exchanged."""
    rank = len(x.shape)
    return transposed(x, (*range(rank - 2), rank - 1, rank - 2))


def _pairs(call: Call, x: Stored, w: Constantlike) -> bool:
    """Whether every matrix of a sample meets one of the constants, (1, matrices, ...) in ONNX's view, or each of them
    the only one."""
    own = w.shape[call.lead :] if len(w.shape) == call.rank(x) else w.shape
    meets = len(own) == len(x.shape) and all(n in (1, m) for n, m in zip(x.shape[:-2], own[:-2], strict=True))
    return len(x.shape) > 2 and meets and w.shape[: -len(own)] in ((), (1,))


def _in_groups(call: Call, x: Stored, w: Constantlike) -> Stored:
    """x (..., M, K) @ constants (..., K, N) of as many matrices: a convolution of M pixels, a group for each matrix."""
    *_, rows, inner = x.shape
    front, outputs = w.shape[len(w.shape) - len(x.shape) : -2], w.shape[-1]
    groups, each = prod(front), (*front, rows, inner)
    if w.shape[-2] != inner:
        raise Refused(f"it multiplies {x.shape} (one sample) with constants {w.shape}")
    if each != x.shape:
        x = Stored.plain(call.build.emit(Expand(each), call.build.full(x).name), each)
    x = call.build.arrange(call.build.reshape(x, (groups, rows, inner)), (1, 0, 2))
    pixels = call.build.emit(Reshape((rows, 1, groups * inner)), x.name)
    filters = w.reshape((groups, inner, outputs)).transpose((0, 2, 1)).reshape((groups * outputs, inner, 1, 1))
    y = call.build.emit(Conv(groups=groups), pixels, call.build.weights(filters, (2, 3, 1, 0)))
    y = call.build.emit(Reshape((rows, groups, outputs)), y)
    return call.build.reshape(Stored(y, (groups, rows, outputs), (1, 0, 2)), (*front, rows, outputs))


def _batched(call: Call, a: Value | None, b: Value | None) -> Stored:
    """a (..., M, K) @ b (..., K, N)."""
    computed = [v for v in (a, b) if isinstance(v, Stored)]
    rank = max(call.rank(v) if isinstance(v, Stored) else len(v.shape) for v in (a, b) if v is not None)
    if any(call.rank(v) < 2 for v in computed):
        raise Refused("it multiplies a vector; make it a matrix of one row or column")
    if call.lead and (rank < 3 or any(call.rank(v) != rank for v in computed)):
        raise MixesSamples("it multiplies along axis 0, which is the sample axis")
    y = call.build.emit(BatchMatMul(), *(_operand(call, v, rank - call.lead) for v in (a, b)))
    return Stored.plain(y, call.build.types[y].shape)


def _operand(call: Call, value: Value | None, rank: int) -> str:
    """The name of an operand with `rank` axes (of one sample)."""
    if isinstance(value, Stored):
        new = rank - len(value.shape)
        x = Stored(value.name, (1,) * new + value.shape, tuple(a + new for a in value.order))
        return call.build.full(x).name
    if value is None:
        raise Refused("an operand is missing")
    array = value.real() if isinstance(value, Quantized) else value
    if call.lead and array.ndim > rank:
        if len(array) != 1:
            raise MixesSamples(f"its constant of shape {array.shape} differs between samples (axis 0)")
        array = array[0]
    return call.build.constant(array)


def gemm(call: Call) -> Stored:
    """alpha * a @ b + beta * c."""
    a, b = call.inputs[0], call.inputs[1]
    if not isinstance(a, Stored) or isinstance(b, Stored):
        return _affine(call, _batched(call, *_transposed_operands(call)))
    if call.rank(a) != 2:
        raise Refused(f"its input has {call.rank(a)} axes; a matrix is needed")
    if call.integer("transA", 0):
        if call.lead:
            raise MixesSamples("transA moves the sample axis, which is not supported")
        a = transposed(a, (1, 0))
    w = call.constant(1, "weights")
    if len(w.shape) != 2:
        raise Refused(f"its input and weights {w.shape} must be matrices")
    return _affine(call, product(call, a, w, (1, 0) if call.integer("transB", 0) else (0, 1)))


def _transposed_operands(call: Call) -> tuple[Value | None, Value | None]:
    """Both operands of a product without constant weights, which needs a tensor without sample axis."""
    if call.lead:
        raise MixesSamples("its weights are computed; only constants are supported")
    found = []
    for value, name in zip(call.inputs[:2], ("transA", "transB"), strict=True):
        if value is None or len(value.shape) != 2:
            raise Refused("its operands must be matrices")
        if call.integer(name, 0):
            value = transposed(value, (1, 0)) if isinstance(value, Stored) else value.transpose((1, 0))
        found.append(value)
    return found[0], found[1]


def _affine(call: Call, y: Stored) -> Stored:
    """alpha * y + beta * c."""
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    if alpha != 1:
        y = with_constant(call.build, Mul(), y, np.asarray(alpha))
    if not call.has(2) or beta == 0:
        return y
    _check_bias(call, y)
    if not isinstance(call.inputs[2], Stored):
        return combined(call, Add(), y, beta * call.array(2, "bias"))
    c = call.tensor(2)
    return combined(call, Add(), y, with_constant(call.build, Mul(), c, np.asarray(beta)) if beta != 1 else c)


def _check_bias(call: Call, y: Stored) -> None:
    """Gemm's c spreads over the product, never the other way."""
    c = call.inputs[2]
    assert c is not None
    given, wanted = call.shape(c) if isinstance(c, Stored) else c.shape, call.shape(y)
    if len(given) > len(wanted) or any(n not in (1, m) for n, m in zip(given[::-1], wanted[::-1], strict=False)):
        raise Refused(f"its bias {given} does not fit its product {wanted}")


def product(call: Call, x: Stored, w: Constantlike, perm: tuple[int, ...]) -> Stored:
    """x (..., K) times constant weights (K, N) after `perm`."""
    x = call.build.full(x)
    weights = call.build.weights(w, perm)
    rows, columns = (w.shape[p] for p in perm)
    if x.shape[-1:] != (rows,):
        raise Refused(f"it multiplies {x.shape} (one sample) with weights ({rows}, {columns})")
    shape = (*x.shape[:-1], columns)
    return Stored.plain(call.build.emit(MatMul(), x.name, weights), shape)
