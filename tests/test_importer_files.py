"""Files: no models, damaged ones, their data in other files, and small ones that would fill the memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.importer import import_model
from tests.onnx_models import IMAGE, ROW, model, node, saved, tensor
from tests.onnx_refusals import W, external, one, quant, refusal, refused

RNG = np.random.default_rng(3)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "missing.onnx")
    assert "folder" in refused(tmp_path)
    path = tmp_path / "bad.onnx"
    for content in (b"", b"hello world", b"\x89PNG\r\n\x1a\n", b"{}", bytes(1000)):
        path.write_bytes(content)
        assert "bad.onnx" in refused(path)


def test_truncated_at_any_byte(tmp_path: Path) -> None:
    data = quant().SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in range(0, len(data), 3):
        path.write_bytes(data[:length])
        refused(path)


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "noise.onnx"
    for length in (1, 10, 100, 1000, 10000):
        path.write_bytes(RNG.bytes(length))
        refused(path)


def test_flipped_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    """A damaged model imports or is refused; it never ends in a traceback."""
    data = bytearray(one("Conv", IMAGE, {"w": W}, pads=[1, 1, 1, 1], strides=[1, 1]).SerializeToString())
    path = tmp_path / "damaged.onnx"
    for _ in range(300):
        damaged = data.copy()
        damaged[RNG.integers(len(data))] = RNG.integers(256)
        path.write_bytes(damaged)
        try:
            import_model(path)
        except UserError as e:
            assert "\n" not in str(e)


def test_malformed_tensor(tmp_path: Path) -> None:
    proto = one("MatMul", ROW, {"w": np.ones((6, 2))})
    proto.graph.initializer[0].raw_data = b"123"
    assert "'w'" in refusal(proto, tmp_path)


def test_external_data(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.full((6, 2), 2.0, np.float32).tobytes())
    graph = import_model(saved(external("w.bin"), tmp_path)).graph
    assert graph.run({"x": np.ones((1, 6))})["y"].tolist() == [[12.0, 12.0]]


def test_external_data_that_is_missing_or_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    assert "missing" in refusal(external("w.bin"), folder)
    assert "outside" in refusal(external("../secret.bin"), folder)
    assert "outside" in refusal(external(str(tmp_path / "secret.bin")), folder)
    (folder / "short.bin").write_bytes(bytes(5))
    assert "'w'" in refusal(external("short.bin"), folder)


def test_huge_constants_are_refused(tmp_path: Path) -> None:
    nodes = [
        node("ConstantOfShape", ["n"], "c", value=tensor(1.0)),
        node("Add", ["x", "c"]),
    ]
    assert "elements" in refusal(model(nodes, ROW, {"n": np.array([1 << 20, 1 << 20])}), tmp_path)


HUGE = {"n": np.array([1 << 20, 1 << 20]), "a": np.ones((1 << 16, 1)), "b": np.ones((1, 1 << 16)), "c": np.ones((1, 1))}


@pytest.mark.parametrize(("op", "operands"), [("Expand", "cn"), ("Tile", "cn"), ("Add", "ab"), ("MatMul", "ab")])
def test_small_files_that_would_fill_the_memory(op: str, operands: str, tmp_path: Path) -> None:
    nodes = [node(op, list(operands), "m"), node("ReduceMax", ["m"], "r", keepdims=0), node("Add", ["x", "r"])]
    values = {k: HUGE[k] for k in operands}
    assert "elements" in refusal(model(nodes, ROW, values), tmp_path)
