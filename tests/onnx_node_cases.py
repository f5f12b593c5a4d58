"""The node tests of the onnx package, and how one of them is put through the importer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from codesign.errors import UserError
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.importer.handlers import ROWS

NOT_LISTED = ("Cast", "Dropout", "Identity")  # supported where inference needs them; not promised as a whole
# Their expected values wrap around where the specification says that they saturate; onnxruntime leaves them out.
DEFECTIVE = tuple(f"test_qlinearmatmul_{d}D_int8_float{bits}" for d in (2, 3) for bits in (16, 32))
PASSED, REFUSED, WRONG = "passed", "refused", "wrong"


@dataclass(frozen=True)
class Outcome:
    """What became of one test: PASSED, REFUSED or WRONG, with the reason."""

    name: str
    operator: str
    result: str
    reason: str = ""


def cases() -> Iterator[Any]:
    """The tests of a single node whose operator has a row."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generator's own overflows
        found = list(collect_testcases(None))  # type: ignore[arg-type]
    for case in found:
        assert case.model is not None
        nodes = case.model.graph.node
        if (
            len(nodes) == 1
            and nodes[0].op_type in ROWS
            and nodes[0].op_type not in NOT_LISTED
            and nodes[0].domain in ("", "ai.onnx")
        ):
            yield case


def outcome(case: Any, folder: Path) -> Outcome:
    """Import with all inputs computed; where that is refused, with only the first k, the rest being constants."""
    operator, first = case.model.graph.node[0].op_type, ""
    for inputs, outputs in case.data_sets:
        if any(i is None or isinstance(i, list) for i in inputs):
            return Outcome(case.name, operator, REFUSED, "a sequence or an absent value is no tensor")
        inputs, outputs = [_array(i) for i in inputs], [_array(o) for o in outputs]
        for kept in dict.fromkeys((len(inputs), 1, *range(len(inputs) - 1, 1, -1))):
            try:
                found = _run(_with_constants(case.model, inputs, kept), inputs[:kept], folder)
            except UserError as e:
                first = str(e) if kept == 1 or not first else first
                continue
            wrong = _difference(found, dict(zip(_outputs(case.model), outputs, strict=True)), case.rtol)
            return Outcome(case.name, operator, WRONG if wrong else PASSED, wrong)
    return Outcome(case.name, operator, REFUSED, first)


def _array(value: Any) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _outputs(model: onnx.ModelProto) -> list[str]:
    return [o.name for o in model.graph.output]


def _with_constants(model: onnx.ModelProto, values: list[np.ndarray], kept: int) -> onnx.ModelProto:
    """The model with all inputs but the first `kept` as initializers; node inputs that are "" are not among them."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    names = [i.name for i in changed.graph.input]
    for name, value in list(zip(names, values, strict=True))[kept:]:
        t = next(i for i in changed.graph.input if i.name == name).type.tensor_type.elem_type
        array = np.asarray(value)
        tensor = numpy_helper.from_array(array.astype(onnx.helper.tensor_dtype_to_np_dtype(t)), name)
        changed.graph.initializer.append(tensor)
    del changed.graph.input[kept:]
    return changed


def _run(model: onnx.ModelProto, feeds: list[np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    path = folder / "case.onnx"
    path.write_bytes(model.SerializeToString())
    graph = import_model(path).graph
    names = [i.name for i in model.graph.input]
    given = {n: _fed(graph, n, f) for n, f in zip(names, feeds, strict=True) if n in {i.name for i in graph.inputs}}
    return {k: np.asarray(v) for k, v in graph.run(given).items()}


def _fed(graph: Graph, name: str, value: np.ndarray) -> np.ndarray:
    """The array with a sample axis in front where the whole tensor is one sample."""
    value = value.astype(np.float64)
    return value if graph.types[name].shape == value.shape[1:] and value.ndim else value[None]


def _difference(found: dict[str, np.ndarray], expected: dict[str, Any], rtol: float) -> str:
    """The first result that is not as expected; floats up to the test's own tolerance."""
    for name, array in found.items():
        want = np.asarray(expected[name])
        if array.shape != want.shape and array.shape != (1, *want.shape):
            return f"{name} has shape {array.shape}, not {want.shape}"
        want, exact = want.astype(np.float64), want.dtype.kind not in "f"
        if not np.allclose(array.reshape(want.shape), want, rtol=0 if exact else rtol, atol=0 if exact else 1e-6):
            return f"{name} differs by up to {np.abs(array.reshape(want.shape) - want).max():g}"
    return ""


def graph_of(case: Any, folder: Path) -> tuple[Graph, dict[str, np.ndarray]] | None:
    """The graph of a test with all inputs computed, or only the first one, and samples; None where both are refused."""
    inputs, _ = case.data_sets[0]
    if any(i is None or isinstance(i, list) for i in inputs):
        return None
    arrays = [_array(i) for i in inputs]
    for kept in dict.fromkeys((len(arrays), 1)):
        model = _with_constants(case.model, arrays, kept)
        path = folder / "case.onnx"
        path.write_bytes(model.SerializeToString())
        try:
            graph = import_model(path).graph
        except UserError:
            continue
        names = [i.name for i in model.graph.input]
        fed = {n: _fed(graph, n, a) for n, a in zip(names, arrays) if n in {i.name for i in graph.inputs}}
        return graph, {n: a.astype(np.float32) for n, a in fed.items()}
    return None
