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

Run = Callable[[dict[str, np.ndarray]], list[np.ndarray]]
Shape = Sequence[int | str]


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


def reference(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Every output for single samples (the model's own batch of 1), by onnxruntime or qonnx."""
    samples = len(next(iter(feeds.values())))
    run = _qonnx(proto) if any(n.domain for n in proto.graph.node) else _onnxruntime(proto)
    rows = [run({k: v[i : i + 1].astype(np.float32) for k, v in feeds.items()}) for i in range(samples)]
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def _onnxruntime(proto: onnx.ModelProto) -> Run:
    """Graph optimizations off: every node as it stands."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return lambda feeds: [np.asarray(a) for a in session.run(None, feeds)]


def _qonnx(proto: onnx.ModelProto) -> Run:
    wrapped = ModelWrapper(proto).transform(InferShapes())
    names = [o.name for o in proto.graph.output]

    def run(feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        result = execute_onnx(wrapped, feeds)
        return [np.asarray(result[n]) for n in names]

    return run
