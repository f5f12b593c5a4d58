"""Weights in a file: float32, or integers times a scale behind a QONNX quantizer, or as their `storage` says."""

from __future__ import annotations

import numpy as np

from codesign.exporter.writer import QONNX, Writer
from codesign.formats import Binary, Int
from codesign.graph import Constant, Dequantize, Node

MOST_BITS = 32  # of a Quant


def weights(w: Writer, product: Node, perm: tuple[int, ...]) -> str:
    """The ONNX name of a product's weights, their axes moved."""
    node = w.graph.by_name[product.inputs[1]]
    while isinstance(node.op, Dequantize):
        node = w.graph.by_name[node.inputs[0]]
    assert isinstance(node.op, Constant)
    if node.op.type.is_integer:
        return _quantized(w, node.name, node.op, perm)
    return w.constant(node.op.value.transpose(perm), node.name)


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
