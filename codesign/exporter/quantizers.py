"""Quantizers of activations as QONNX has them."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from codesign.errors import UserError
from codesign.exporter.writer import FIRST, LAST, QONNX, Writer
from codesign.formats import Binary, Int
from codesign.graph import Node
from codesign.ops.quantize import Quantize
from codesign.ops.round_to_float import RoundToFloat


def activation(w: Writer, node: Node) -> None:
    """Quant, whose result is real: that of the Dequantize behind it, too."""
    op = node.op
    assert isinstance(op, Quantize)
    if op.offset_last and any(z % 2 for z in op.zero_point):
        _refuse(node, "rounds before it adds an odd zero point, which QONNX does not")
    layout = FIRST if w.has(node.inputs[0], FIRST) else LAST
    inputs = [w.get(node.inputs[0], layout), laid(w, node, "scale", op.scale, layout)]
    if isinstance(op.format, Binary):
        w.write(node.name, layout, "BipolarQuant", inputs, domain=QONNX)
        return
    bits, signed, narrow = width(node, op.format)
    inputs += [laid(w, node, "zero", op.zero_point, layout), w.constant(bits, f"{node.name}.bits")]
    attributes = {"signed": signed, "narrow": narrow, "rounding_mode": op.rounding}
    w.write(node.name, layout, "Quant", inputs, domain=QONNX, **attributes)


def width(node: Node, fmt: Int) -> tuple[int, int, int]:
    """(bits, signed, narrow) of a format that QONNX's Quant has."""
    for narrow in (False, True):
        if fmt == Int.of(fmt.bits, fmt.signed, narrow):
            return fmt.bits, int(fmt.signed), int(narrow)
    _refuse(node, f"quantizes to {fmt}, which is no range that QONNX has")
    raise AssertionError


def small_float(w: Writer, node: Node) -> None:
    """FloatQuant."""
    op = node.op
    assert isinstance(op, RoundToFloat)
    layout = FIRST if w.has(node.inputs[0], FIRST) else LAST
    numbers = (op.format.exponent_bits, op.format.mantissa_bits, op.format.bias, op.format.largest)
    inputs = [w.get(node.inputs[0], layout), laid(w, node, "scale", op.scale, layout)]
    inputs += [w.constant(float(n), f"{node.name}.format") for n in numbers]
    attributes = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1, "rounding_mode": op.rounding}
    w.write(node.name, layout, "FloatQuant", inputs, domain=QONNX, **attributes)


def dequantize(w: Writer, node: Node) -> None:
    """Nothing behind a quantizer, whose result is real in ONNX; a Cast behind what gives places."""
    source = w.graph.by_name.get(node.inputs[0])
    if source is None or node.inputs[0] in w.graph.constants:
        return  # weights: written by the product that reads them
    layout = FIRST if w.has(source.name, FIRST) else LAST
    if isinstance(source.op, (Quantize, RoundToFloat)):
        w.write(node.name, layout, "Identity", [w.get(source.name, layout)])
    else:
        w.write(node.name, layout, "Cast", [w.get(source.name, layout)], to=TensorProto.FLOAT)


def laid(w: Writer, node: Node, what: str, values: tuple[float, ...], layout: str) -> str:
    """One number, or one for each channel along the axis where they are."""
    array = np.asarray(values, dtype=np.float64)
    array = array.reshape(()) if array.size == 1 else array.reshape(-1, 1, 1) if layout == FIRST else array
    return w.constant(array, f"{node.name}.{what}")


def _refuse(node: Node, reason: str) -> None:
    raise UserError(f"node '{node.label}' {reason}; compress the model before it is quantized")
