"""Models of integers: quantizers, inputs and constants of any type, compared with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from codesign.graph import Graph
from codesign.importer import import_model
from tests.onnx_models import node, saved, unoptimized

RNG = np.random.default_rng(5)
MICROSOFT = "com.microsoft"
OPSET = 21  # the first with types of four bits
F = np.float32
IMAGE = {"x": (F, (1, 3, 6, 5))}


def typed(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[type, tuple[int, ...]]],
    constants: Mapping[str, np.ndarray],
    output: type,
) -> onnx.ModelProto:
    """A model whose inputs and constants have the types given."""
    infos = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(np.dtype(t)), s)
        for k, (t, s) in inputs.items()
    ]
    result = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(output)), None)
    values = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(
        helper.make_graph(nodes, "t", infos, [result], values), opset_imports=opsets, ir_version=10
    )


def check(proto: onnx.ModelProto, folder: Path, steps: float = 0.0) -> Graph:
    """Equal to onnxruntime on random inputs of the right types; `steps`: how far a few (ties) may be off."""
    graph = import_model(saved(proto, folder)).graph
    feeds = {info.name: _drawn(info) for info in proto.graph.input}
    expected = np.asarray(unoptimized(proto).run(["y"], feeds)[0])
    found = graph.run({k: v.astype(np.float32) for k, v in feeds.items()})["y"]
    assert found.shape == expected.shape
    off = np.abs(found - expected.astype(np.float64))
    assert off.max() <= max(steps, 1e-5) and (off > 1e-5).mean() <= 0.02
    return graph


def _drawn(info: onnx.ValueInfoProto) -> np.ndarray:
    """For an input: any integers of its type, or small multiples of 1/8 with many ties."""
    kind = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
    if kind.kind == "f":
        return (np.round(RNG.standard_normal(shape) * 24) / 8).astype(kind)
    limits = np.iinfo(kind)
    return RNG.integers(int(limits.min), int(limits.max), shape, endpoint=True).astype(kind)


def qdq(kind: type, zero: Any, scale: Any = 0.25, attributes: dict[str, Any] | None = None) -> onnx.ModelProto:
    """QuantizeLinear and DequantizeLinear."""
    pair = [node(op, [i, "s", "z"], o, **(attributes or {})) for op, i, o in
            (("QuantizeLinear", "x", "q"), ("DequantizeLinear", "q", "y"))]  # fmt: skip
    return typed(pair, IMAGE, {"s": np.asarray(scale, dtype=F), "z": np.asarray(zero, dtype=kind)}, F)
