"""Tensors of integers: the graph holds real numbers, ONNX sees the codes behind them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.formats import Int
from codesign.graph import Dequantize
from codesign.importer.builder import Builder
from codesign.importer.elementwise import along_axis, with_constant
from codesign.importer.values import INTEGERS, Codes, Quantized, Refused, Stored
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.integer import Reinterpret

INDEX = Codes(INTEGERS["int64"])  # what ArgMax and TopK give


def format_of(value: np.ndarray, what: str) -> Int:
    """The format of a constant's integer type."""
    if value.dtype.name not in INTEGERS:
        raise Refused(f"its {what} is of type {value.dtype.name}; int4 to int32 and their unsigned forms are supported")
    return INTEGERS[value.dtype.name]


def recoded(build: Builder, x: Stored, codes: Codes) -> Stored:
    """A tensor of integers as the real numbers that the same integers mean by other `codes`."""
    old = x.codes
    assert old is not None
    if (old.scale, old.zero_point) == (codes.scale, codes.zero_point) and (
        len(old.scale) == 1 or old.axis == codes.axis
    ):
        return replace(x, codes=codes)
    integers = _integers(build, x, codes)
    if integers is not None:
        return replace(x, name=build.emit(Reinterpret(codes.scale, codes.zero_point), integers), codes=codes)
    plain = _shifted(build, _scaled(build, x, Div(), old), Add(), old)
    return replace(_scaled(build, _shifted(build, plain, Sub(), codes), Mul(), codes), codes=codes)


def _integers(build: Builder, x: Stored, codes: Codes) -> str | None:
    """The integer tensor behind x, where it is one and its channels can have the scales of `codes`."""
    node = build.maker(x.name)
    if node is None or not isinstance(node.op, Dequantize) or x.codes is None:
        return None
    kind = build.types[node.inputs[0]]
    same = (kind.scale, kind.zero_point) == (x.codes.scale, x.codes.zero_point)
    single = len(codes.scale) == len(codes.zero_point) == 1
    return node.inputs[0] if same and (single or x.order[-1:] == (codes.axis,)) else None


def _scaled(build: Builder, x: Stored, op: Div | Mul, codes: Codes) -> Stored:
    if codes.scale == (1.0,):
        return x
    return with_constant(build, op, x, _laid(codes.scale, codes, x))


def _shifted(build: Builder, x: Stored, op: Add | Sub, codes: Codes) -> Stored:
    if not any(codes.zero_point):
        return x
    return with_constant(build, op, x, _laid(codes.zero_point, codes, x))


def _laid(values: tuple[float, ...], codes: Codes, x: Stored) -> np.ndarray:
    return along_axis(np.array(values, dtype=np.float64), codes.axis or 0, len(x.shape))


def plain(build: Builder, x: Stored) -> Stored:
    """The integers themselves."""
    return x if x.codes is None else recoded(build, x, x.codes.plain)


def along(
    scale: np.ndarray, zero_point: np.ndarray, axis: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point (one number, or a vector along an axis of `shape`) laid along that axis."""
    laid = []
    if zero_point.size not in (1, scale.size):
        raise Refused(f"its zero point of shape {zero_point.shape} does not fit its scale of shape {scale.shape}")
    for name, value in (("scale", scale), ("zero point", zero_point)):
        if value.size == 1:
            laid.append(value.reshape(()))
        elif value.ndim != 1 or not -len(shape) <= axis < len(shape) or value.size != shape[axis]:
            raise Refused(f"its {name} of shape {value.shape} does not fit axis {axis} of {shape}")
        else:
            laid.append(along_axis(value, axis % len(shape), len(shape)))
    return laid[0], laid[1]


def constant(integers: np.ndarray, fmt: Int, scale: np.ndarray, zero_point: np.ndarray) -> Quantized:
    """A constant of integers; scale and zero point broadcast to its shape. The format: as few bits as they need."""
    values = integers.astype(np.int64)
    narrow = Int(int(values.min(initial=0)), int(values.max(initial=0)))
    kept = Int.of(narrow.bits, fmt.signed) if narrow.signed or not fmt.signed else Int.of(narrow.bits + 1, True)
    zero = np.broadcast_to(zero_point.astype(np.int64), values.shape)
    return Quantized(values, kept, np.broadcast_to(scale.astype(np.float64), values.shape), zero)


def positive(scale: np.ndarray) -> np.ndarray:
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise Refused("its scale is not positive and finite")
    return scale
