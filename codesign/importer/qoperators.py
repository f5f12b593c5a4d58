"""Operators on integers with scales (QLinearConv, ..) as what they mean: dequantize, compute, quantize."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codesign.importer import codes, elementwise, linear, pooling, shapes, spatial
from codesign.importer.call import Call
from codesign.importer.qdq import dequantized, quantized
from codesign.importer.values import INTEGERS, Codes, Quantized, Refused, Stored, Value
from codesign.ops.elementwise import Add, Mul
from codesign.ops.pool import GlobalAveragePool
from codesign.ops.unary import Unary

Handler = Callable[[Call], Stored]
ZERO = np.zeros((), dtype=np.int64)
SUMS = Codes(INTEGERS["int32"])  # of ConvInteger and MatMulInteger


def _real(call: Call, index: int, axis: int = 0) -> Stored | Quantized:
    """The operand at `index`, whose scale and zero point follow it."""
    zero_point = call.array(index + 2, "zero point") if call.has(index + 2) else ZERO
    return dequantized(call, call.inputs[index], codes.positive(call.array(index + 1, "scale")), zero_point, axis)


def _codes(call: Call, y: Stored, index: int) -> Stored:
    """y, quantized by the scale at `index` and the zero point that follows it."""
    zero_point = call.array(index + 1, "zero point") if call.has(index + 1) else np.zeros((), dtype=np.uint8)
    result = quantized(call, y, codes.positive(call.array(index, "scale")), zero_point)
    assert isinstance(result, Stored)
    return result


def _on(call: Call, *inputs: Value | None) -> Call:
    """The call of the real operator on these inputs."""
    return replace(call, inputs=inputs)


def conv(call: Call) -> Stored:
    """Inputs: x, w and y with scale and zero point each (y's alone), and a bias in units of both scales."""
    x, w = _real(call, 0), _real(call, 3)
    bias = None
    if call.has(8):
        bias = call.array(8, "bias") * (call.array(1, "scale") * call.array(4, "scale"))
    return _codes(call, spatial.conv(_on(call, x, w, bias)), 6)


def matmul(call: Call) -> Stored:
    """A scale for each row of the left operand is refused by dequantization; columns have their own."""
    return _codes(call, linear.matmul(_on(call, _real(call, 0), _real(call, 3, axis=-1))), 6)


def gemm(call: Call) -> Stored:
    """Inputs: a, b with scale and zero point each, c in units of both scales, and y's, without which it is real."""
    columns = 0 if call.integer("transB", 0) else 1
    c = None
    if call.has(6):
        c = call.array(6, "bias") * (call.array(1, "scale") * call.array(4, "scale"))
    y = linear.gemm(_on(call, _real(call, 0), _real(call, 3, axis=columns), c))
    return _codes(call, y, 7) if call.has(7) else y


def conv_integer(call: Call) -> Stored:
    """Inputs: x, w, their zero points. The sums themselves."""
    return _sums(spatial.conv(_on(call, *_integers(call, 0))))


def matmul_integer(call: Call) -> Stored:
    return _sums(linear.matmul(_on(call, *_integers(call, -1))))


def _integers(call: Call, axis: int) -> list[Value]:
    """Both operands less their zero points."""
    one = np.ones(())
    zeros = [call.array(2 + k, "zero point") if call.has(2 + k) else ZERO for k in (0, 1)]
    return [dequantized(call, call.inputs[k], one, zeros[k], axis if k else 0) for k in (0, 1)]


def _sums(y: Stored) -> Stored:
    return replace(y, codes=SUMS)


def binary(op: Add | Mul) -> Handler:
    """Inputs: a, b, each with scale and zero point, and y's."""
    return lambda call: _codes(call, elementwise.combined(call, op, _real(call, 0), _real(call, 3)), 6)


def _one_operand(real: Handler) -> Handler:
    """Inputs: x with scale and zero point, and y's."""
    return lambda call: _codes(call, real(_on(call, _real(call, 0))), 3)


global_average_pool = _one_operand(pooling.global_pool(GlobalAveragePool()))
average_pool = _one_operand(pooling.average_pool)
leaky_relu = _one_operand(elementwise.function("leaky_relu", alpha=0.01))
sigmoid = _one_operand(lambda call: call.build.apply(Unary("sigmoid"), call.tensor()))


def concat(call: Call) -> Stored:
    """Inputs: y's scale and zero point, then each part with its own."""
    if len(call.inputs) < 5 or len(call.inputs) % 3 != 2:
        raise Refused(f"{len(call.inputs)} inputs are not 2 and 3 for each part")
    parts = [_real(call, k) for k in range(2, len(call.inputs), 3)]
    return _codes(call, shapes.concat(_on(call, *parts)), 0)
