"""Weights in a file: float32, or integers times a scale behind a QONNX quantizer, or as their `storage` says."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from onnx import TensorProto

from codesign.compress.step import constant_behind
from codesign.compress.storage import Stored, encode
from codesign.exporter.writer import DOMAIN, QONNX, Writer
from codesign.formats import Binary, Int
from codesign.graph import Constant, Node

MOST_BITS = 32  # of a Quant


def weights(w: Writer, product: Node, perm: tuple[int, ...]) -> str:
    """The ONNX name of a product's weights, their axes moved."""
    node = constant_behind(w.graph, product)
    assert node is not None and isinstance(node.op, Constant)
    if node.op.storage:
        return _stored(w, node.name, node.op, perm)
    if node.op.type.is_integer:
        return _quantized(w, node.name, node.op, perm)
    return w.constant(node.op.value.transpose(perm), node.name)


def _stored(w: Writer, name: str, constant: Constant, perm: tuple[int, ...]) -> str:
    """As the storage keeps it: by plain operators where those can read it, else by one of this tool's own domain."""
    value, kind = constant.value.transpose(perm), constant.type
    stored = encode(constant.storage, constant.value, kind.format)
    if constant.storage == "bfloat16":
        return _bfloat16(w, name, stored.arrays["codes"].transpose(perm))
    if constant.storage == "codebook" and kind.format is None:
        return _looked_up(w, name, encode(constant.storage, value, None), value.shape)
    inputs = [w.constant(a, f"{name}.{key}", a.dtype.type) for key, a in stored.arrays.items()]
    attributes: dict[str, Any] = {"storage": constant.storage, "shape": list(value.shape)}
    if kind.format is not None:
        inputs.append(w.constant(_laid(np.asarray(kind.scale), perm, value.ndim), f"{name}.scale"))
        attributes["format"] = [] if isinstance(kind.format, Binary) else [kind.format.lo, kind.format.hi]
    attributes |= {"arrays": list(stored.arrays), **{key: int(n) for key, n in stored.numbers.items()}}
    return w.emit("Weights", inputs, w.fresh(f"{name}.read"), domain=DOMAIN, **attributes)


def _bfloat16(w: Writer, name: str, codes: np.ndarray) -> str:
    half = w.fresh(f"{name}.bfloat16")
    kind = TensorProto.BFLOAT16
    w.initializers.append(
        TensorProto(name=half, dims=codes.shape, data_type=kind, raw_data=codes.astype("<u2").tobytes())
    )
    return w.emit("Cast", [half], w.fresh(f"{name}.float"), to=TensorProto.FLOAT)


def _looked_up(w: Writer, name: str, stored: Stored, shape: tuple[int, ...]) -> str:
    """A table's entries at indices of 1, 2, 4, 8 or 16 bits, which are shifted out of bytes."""
    width, size = stored.numbers["width"], prod(shape)
    dtype = np.uint16 if width == 16 else np.uint8
    x = w.constant(stored.arrays["indices"].view(dtype).reshape(-1, 1), f"{name}.indices", dtype)

    def step(op: str, *constants: str, **attributes: Any) -> str:
        return w.emit(op, [x, *constants], w.fresh(f"{name}.{op.lower()}"), **attributes)

    if width < 8:
        x = step("BitShift", w.constant(np.arange(0, 8, width), f"{name}.shifts", np.uint8), direction="RIGHT")
        x = step("Mod", w.constant(1 << width, f"{name}.modulus", np.uint8))
    x = step("Cast", to=TensorProto.INT64)
    x = step("Reshape", w.constant([-1], f"{name}.row", np.int64))
    x = step("Slice", w.constant([0], f"{name}.start", np.int64), w.constant([size], f"{name}.end", np.int64))
    table = w.constant(stored.arrays["table"], f"{name}.table")
    x = w.emit("Gather", [table, x], w.fresh(f"{name}.entries"))
    return step("Reshape", w.constant(list(shape), f"{name}.shape", np.int64))


def _quantized(w: Writer, name: str, constant: Constant, perm: tuple[int, ...]) -> str:
    """The real values in float32 behind a quantizer that makes exactly the integers of them."""
    kind, rank = constant.type, len(constant.type.shape)
    real = w.constant(kind.to_real(constant.value).transpose(perm), f"{name}.real")
    scale, zero = (_laid(np.asarray(v, dtype=np.float64), perm, rank) for v in (kind.scale, kind.zero_point))
    inputs = [real, w.constant(scale, f"{name}.scale")]
    result = w.fresh(f"{name}.quantized")
    if isinstance(kind.format, Binary):
        return w.emit("BipolarQuant", inputs, result, domain=QONNX)
    assert kind.format is not None
    bits, signed, narrow = spanned(kind.format)
    inputs += [w.constant(zero, f"{name}.zero"), w.constant(bits, f"{name}.bits")]
    attributes = {"signed": signed, "narrow": narrow, "rounding_mode": "ROUND"}
    return w.emit("Quant", inputs, result, domain=QONNX, **attributes)


def spanned(fmt: Int) -> tuple[int, int, int]:
    """(bits, signed, narrow) of the least range of QONNX's Quant that holds a format."""
    for bits in range(1 if fmt.lo >= 0 else 2, MOST_BITS + 1):
        for narrow in (True, False):
            whole = Int.of(bits, fmt.lo < 0, narrow)
            if whole.lo <= fmt.lo and fmt.hi <= whole.hi:
                return bits, int(fmt.lo < 0), int(narrow)
    raise ValueError(f"{fmt} needs more than {MOST_BITS} bits")


def _laid(values: np.ndarray, perm: tuple[int, ...], rank: int) -> np.ndarray:
    """One number, or one for each index of the last axis, along where `perm` puts that."""
    if values.size == 1:
        return values.reshape(())
    return values.reshape((1,) * (rank - 1) + (-1,)).transpose(perm)
