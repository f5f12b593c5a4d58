"""Weights that are quantized already, as compression leaves them: their integers stay, activations are quantized."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from codesign.formats import of_values
from codesign.graph import Constant, Dequantize, Graph
from codesign.quantize.canonical import PRODUCTS, Layer
from codesign.quantize.levels import Members
from codesign.quantize.weight_formats import WeightFormat
from codesign.quantize.weights import Weights

Codes = Mapping[str, np.ndarray]  # integers around zero by a product's name


def released(graph: Graph) -> tuple[Graph, Codes]:
    """The graph with the real values of integer weights in their place, and those integers."""
    codes: dict[str, np.ndarray] = {}
    real = {n.name: n for n in graph.nodes}
    for node in graph.nodes:
        weights = graph.by_name.get(node.inputs[1]) if isinstance(node.op, PRODUCTS) else None
        if weights is None or not isinstance(weights.op, Dequantize):
            continue
        constant = graph.by_name.get(weights.inputs[0])
        if constant is not None and isinstance(constant.op, Constant):
            kind, value = constant.op.type, constant.op.value
            codes[node.name] = value.astype(np.int64) - np.asarray(kind.zero_point)
            real[weights.name] = replace(weights, op=Constant.real(kind.to_real(value)), inputs=())
    return graph.replace(real.values()), codes


def kept_products(layers: Collection[Layer], codes: Codes) -> Codes:
    """The same by the products' names after norms were folded into them, which put a sum in a product's place."""
    found = {k.product: k.product.removesuffix(".product") for k in layers}
    return {now: codes[name if name in codes else now] for now, name in found.items() if {name, now} & codes.keys()}


def kept_weights(values: np.ndarray, codes: np.ndarray) -> Weights:
    """Real weights that are integers times a factor of either sign for each output channel."""
    columns, whole = values.reshape(-1, values.shape[-1]), codes.reshape(-1, codes.shape[-1])
    largest = np.abs(whole).argmax(axis=0), np.arange(whole.shape[1])
    used = whole[largest] != 0
    factor = np.where(used, columns[largest], 1.0) / np.where(used, whole[largest], 1)
    signed, scale = whole * np.where(factor < 0, -1, 1), np.where(factor == 0, 1.0, np.abs(factor))
    signed = np.where(factor == 0, 0, signed)
    assert np.allclose(signed * scale, columns, rtol=1e-9, atol=1e-12), "integers times a factor for each channel"
    fmt = WeightFormat(str(of_values(signed)), Members(np.unique(signed)), fixed=True)
    shaped = signed.reshape(values.shape).astype(np.float64)
    return Weights(fmt, shaped, np.zeros(values.shape, dtype=np.int64), scale)
