"""Small ONNX models for tests, and their execution by packages that this project did not write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from codesign.graph import Graph
from codesign.importer import import_model

Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
Shape = Sequence[int | str]
IMAGE: dict[str, tuple[int, ...]] = {"x": (1, 3, 6, 5)}
ROW: dict[str, tuple[int, ...]] = {"x": (1, 6)}


def node(op: str, inputs: Sequence[str], output: str = "y", domain: str = "", **attributes: Any) -> onnx.NodeProto:
    """A node with one result, named after its operator and result: "Relu_of_y"."""
    return helper.make_node(op, list(inputs), [output], name=f"{op}_of_{output}", domain=domain, **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Shape],
    constants: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 13,
) -> onnx.ModelProto:
    """A model of float inputs and outputs; float constants become float32."""
    values = {k: _single(np.asarray(v)) for k, v in (constants or {}).items()}
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, _result_type(nodes, n), None) for n in outputs],
        [numpy_helper.from_array(v, n) for n, v in values.items()],
    )
    domains = {n.domain for n in nodes} - {""}
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in sorted(domains))]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def simple(op: str, shape: dict[str, tuple[int, ...]] = IMAGE, opset: int = 13, **attributes: Any):
    """One node with one input."""
    return model([node(op, ["x"], **attributes)], shape, opset=opset)


def constants(
    op: str, shape: dict[str, tuple[int, ...]], opset: int = 13, attributes: dict[str, Any] | None = None, **values: Any
):
    """One node whose further inputs are constants."""
    names = ["x", *values]
    return model([node(op, names, **(attributes or {}))], shape, values, opset=opset)


def _result_type(nodes: Sequence[onnx.NodeProto], name: str) -> int:
    """Indices are int64, all else is float."""
    makers = [n.op_type for n in nodes if name in n.output]
    return TensorProto.INT64 if makers and makers[0] in ("ArgMax", "ArgMin", "TopK") else TensorProto.FLOAT


def _single(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype.kind == "f" else value


def saved(proto: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def reference(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """The outputs `names`, sample by sample (the model's own batch of 1), by onnxruntime or qonnx."""
    samples = len(next(iter(feeds.values())))
    run = (_qonnx if any(n.domain for n in proto.graph.node) else _onnxruntime)(proto, names)
    rows = [run({k: v[i : i + 1].astype(np.float32) for k, v in feeds.items()}) for i in range(samples)]
    return {n: np.concatenate([row[n] for row in rows]) for n in names}


def unoptimized(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Every node as it stands: onnxruntime's graph optimizations are off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(proto.SerializeToString(), options)


def _onnxruntime(proto: onnx.ModelProto, names: Sequence[str]) -> Run:
    session = unoptimized(proto)

    def run(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {n: np.asarray(a) for n, a in zip(names, session.run(list(names), feeds), strict=True)}

    return run


def _qonnx(proto: onnx.ModelProto, names: Sequence[str]) -> Run:
    wrapped = ModelWrapper(proto).transform(InferShapes())

    def run(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        result = execute_onnx(wrapped, feeds)
        return {n: np.asarray(result[n]) for n in names}

    return run


def check(proto: onnx.ModelProto, folder: Path, samples: int = 4) -> Graph:
    """Import, run on random samples, and compare with the reference."""
    graph = import_model(saved(proto, folder)).graph
    rng = np.random.default_rng(11)
    feeds = {i.name: rng.standard_normal((samples, *i.type.shape)) for i in graph.inputs}
    feeds = {k: np.round(v * 16) / 16 for k, v in feeds.items()}  # exact in float32; many ties
    results, expected = graph.run(feeds), reference(proto, feeds, graph.outputs)
    for name in graph.outputs:
        assert results[name].shape == expected[name].shape
        np.testing.assert_allclose(results[name], expected[name], rtol=1e-5, atol=1e-5)
    return graph


def weights(*shape: int) -> np.ndarray:
    """Random multiples of 1/8, so that float32 sums are exact; the same for the same shape."""
    return np.random.default_rng(shape).integers(-8, 9, shape) / 8


def tensor(*values: float) -> onnx.TensorProto:
    """A float32 vector as an attribute's value."""
    return numpy_helper.from_array(np.array(values, dtype=np.float32))
