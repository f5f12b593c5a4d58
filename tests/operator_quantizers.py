"""Quantizers of QONNX, Brevitas and FINN, each as a model of one node or few."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.onnx_models import IMAGE, ROW, model, node

QONNX, BREVITAS, FINN = "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"


def quant(inputs: tuple[str, ...] = ("x", "s", "z", "b"), domain: str = QONNX, output: str = "y", **attributes: Any):
    full = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    return node("Quant", inputs, output, domain, **full)


def quantizer(
    scale: Any = 0.25, zero: Any = 0.0, bits: Any = 4.0, shape: Any = IMAGE, domain: str = QONNX, **attributes: Any
):
    return model([quant(domain=domain, **attributes)], shape, {"s": scale, "z": zero, "b": bits})


def trunc(version: int, **attributes: Any):
    values = {"s": 0.125, "z": 0.0, "b": 8.0, "so": 0.5, "bo": 5.0}
    if version == 1:
        del values["so"]
    front = node("Quant", ["x", "s", "z", "b"], "q", QONNX, signed=1, narrow=0, rounding_mode="ROUND")
    proto = model([front, node("Trunc", ["q", *values], "y", QONNX, **attributes)], IMAGE, values)
    proto.opset_import[1].version = version
    return proto


def threshold(shape: Any, values: np.ndarray, domain: str = FINN, **attributes: Any):
    return model([node("MultiThreshold", ["x", "t"], domain=domain, **attributes)], shape, {"t": values})


RNG = np.random.default_rng(7)
STEPS = np.sort(RNG.standard_normal((3, 7)), axis=1)

QUANTIZERS: dict[str, Any] = {
    "Quant": quantizer(),
    "Quant unsigned": quantizer(signed=0),
    "Quant unsigned narrow": quantizer(signed=0, narrow=1, bits=2.0),
    "Quant narrow": quantizer(narrow=1, bits=2.0, domain=BREVITAS),
    "Quant one bit": quantizer(bits=1.0, narrow=1, domain=FINN),
    "Quant one unsigned bit": quantizer(bits=1.0, signed=0),
    "Quant zero point": quantizer(zero=3.0, signed=0),
    "Quant per channel": quantizer(scale=np.array([0.125, 0.25, 0.5]).reshape(1, 3, 1, 1)),
    "Quant per channel zero": quantizer(zero=np.array([1.0, -2.0, 0.0]).reshape(3, 1, 1)),
    "Quant per row": quantizer(scale=2.0 ** np.arange(-4, 2).reshape(6, 1)),
    **{f"Quant {m}": quantizer(rounding_mode=m) for m in ("CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")},
    "Quant lower case": quantizer(rounding_mode="floor"),
    "IntQuant": model(
        [node("IntQuant", ["x", "s", "z", "b"], domain=QONNX, signed=1, narrow=0, rounding_mode="ROUND")],
        IMAGE,
        {"s": 0.25, "z": 0.0, "b": 3.0},
    ),
    "BipolarQuant": model([node("BipolarQuant", ["x", "s"], domain=BREVITAS)], IMAGE, {"s": 0.5}),
    "Trunc": trunc(1, rounding_mode="FLOOR"),
    "Trunc ceil": trunc(1, rounding_mode="CEIL"),
    "Trunc 2": trunc(2, rounding_mode="FLOOR", signed=1, narrow=0),
    "Trunc 2 round": trunc(2, rounding_mode="ROUND", signed=0, narrow=0),
    "MultiThreshold": threshold(IMAGE, STEPS, out_dtype="UINT3"),
    "MultiThreshold one": threshold(IMAGE, STEPS[:1], out_dtype="UINT3"),
    "MultiThreshold bipolar": threshold(ROW, np.zeros((1, 1)), out_dtype="BIPOLAR", out_scale=2.0, out_bias=-1.0),
    "MultiThreshold signed": threshold(IMAGE, STEPS, out_dtype="INT3", out_bias=-4.0),
    "MultiThreshold scaled": threshold(IMAGE, STEPS, QONNX, out_dtype="INT3", out_scale=0.5, out_bias=-1.5),
    "MultiThreshold odd bias": threshold(IMAGE, STEPS, out_dtype="INT3", out_scale=1.0, out_bias=0.3),
    "MultiThreshold falling": threshold(IMAGE, STEPS, out_dtype="INT3", out_scale=-1.0, out_bias=3.0),
    "MultiThreshold NHWC": threshold({"x": (1, 6, 5, 3)}, STEPS, out_dtype="UINT3", data_layout="NHWC"),
    "MultiThreshold rank 3": threshold({"x": (1, 5, 3)}, STEPS, out_dtype="UINT3"),
    "FloatQuant": model(
        [
            node(
                "FloatQuant",
                ["x", "s", "e", "m", "b", "l"],
                domain=QONNX,
                has_inf=0,
                has_nan=1,
                has_subnormal=1,
                saturation=1,
                rounding_mode="round",
            )
        ],
        IMAGE,
        {"s": np.array(0.25), "e": np.array(3.0), "m": np.array(2.0), "b": np.array(3.0), "l": np.array(14.0)},
    ),
}
