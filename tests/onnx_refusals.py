"""Small models that the importer takes or refuses, and the one line in which it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from codesign.errors import UserError
from codesign.importer import import_model
from tests.onnx_models import IMAGE, ROW, model, node, saved

QONNX = "qonnx.custom_op.general"
ROWS = {"x": ("N", 6)}  # with a sample axis that must stay one
W = np.ones((4, 3, 3, 3))


def refusal(proto: onnx.ModelProto, folder: Path) -> str:
    return refused(saved(proto, folder))


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        import_model(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def one(op: str, shape: Any = IMAGE, values: dict[str, Any] | None = None, opset: int = 13, **attributes: Any):
    """A single node that reads x and then the constants."""
    return model([node(op, ["x", *(values or {})], **attributes)], shape, values, opset=opset)


def quant(s: Any = 0.5, z: Any = 0.0, b: Any = 4.0, shape: Any = IMAGE, **attributes: Any):
    full = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    return model([node("Quant", ["x", "s", "z", "b"], domain=QONNX, **full)], shape, {"s": s, "z": z, "b": b})


def external(location: str) -> onnx.ModelProto:
    proto = one("MatMul", ROW, {"w": np.ones((6, 2))})
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return proto
