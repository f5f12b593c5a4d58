"""Movements of elements, each as a model of one node or few."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from tests.onnx_models import IMAGE, ROW, constants, model, node, simple
from tests.onnx_models import weights as w

MOVEMENTS: dict[str, Any] = {
    "Pad": constants("Pad", IMAGE, p=np.array([0, 0, 1, 2, 0, 0, 0, 1])),
    "Pad value": constants("Pad", IMAGE, p=np.array([0, 0, 1, 2, 0, 0, 0, 1]), v=np.array(1.5)),
    "Pad 10": simple("Pad", opset=10, pads=[0, 0, 1, 2, 0, 0, 0, 1], value=-1.0),
    "Pad channels": constants("Pad", IMAGE, p=np.array([0, 2, 0, 0, 0, 1, 0, 0])),
    "Pad reflected": constants("Pad", IMAGE, attributes={"mode": "reflect"}, p=np.array([0, 0, 1, 2, 0, 0, 3, 1])),
    "Pad edge": constants("Pad", ROW, attributes={"mode": "edge"}, p=np.array([0, 2, 0, 1])),
    "Pad wrapped": constants("Pad", {"x": (1, 2, 4, 5)}, 19, {"mode": "wrap"}, p=np.array([0, 0, 1, 5, 0, 0, 2, 0])),
    "Pad everywhere": constants("Pad", {"x": (1, 4, 2, 3, 2)}, p=np.array([0, 2, 0, 1, 1, 0, 0, 1, 0, 2])),
    "Pad channels of a sequence": constants("Pad", {"x": (1, 4, 7)}, p=np.array([0, 2, 0, 0, 4, 1])),
    "Pad edge of channels": constants("Pad", IMAGE, attributes={"mode": "edge"}, p=np.array([0, 2, 0, 0, 0, 1, 0, 1])),
    "Pad negative reflected": constants(
        "Pad", IMAGE, attributes={"mode": "reflect"}, p=np.array([0, 0, -1, 3, 0, 0, 2, -1])
    ),
    "Pad negative": constants("Pad", IMAGE, p=np.array([0, 0, -1, 1, 0, -1, 0, 0])),
    "Pad sequence": constants("Pad", {"x": (1, 3, 7)}, p=np.array([0, 0, 2, 0, 0, 0])),
    "Reshape": constants("Reshape", IMAGE, s=np.array([0, -1, 5])),
    "Flatten": simple("Flatten"),
    "Squeeze": constants("Squeeze", {"x": (1, 3, 1, 1)}, a=np.array([2, 3])),
    "Squeeze 12": simple("Squeeze", {"x": (1, 3, 1)}, opset=12, axes=[-1]),
    "Squeeze samples": model(
        [node("Squeeze", ["x", "a"], "s"), node("Mul", ["s", "s"], "m"), node("Unsqueeze", ["m", "a"])],
        ROW,
        {"a": np.array([0])},
    ),
    "Unsqueeze": constants("Unsqueeze", ROW, a=np.array([1, -1])),
    "Unsqueeze 12": simple("Unsqueeze", ROW, opset=12, axes=[2]),
    "Transpose": simple("Transpose", perm=[0, 3, 1, 2]),
    "Transpose of samples": model(
        [node("Transpose", ["x"], "t"), node("Softmax", ["t"], "s", axis=0), node("Transpose", ["s"])], ROW
    ),
    "Concat": model([node("Relu", ["x"], "r"), node("Concat", ["x", "r"], axis=1)], IMAGE),
    "Concat rows": model(
        [node("Transpose", ["x"], "r", perm=[0, 1, 3, 2]), node("Concat", ["r", "r"], axis=-1)], IMAGE
    ),
    "Concat constant": constants("Concat", ROW, attributes={"axis": 1}, c=w(1, 4)),
    "Resize": model(
        [
            node(
                "Resize",
                ["x", "", "s"],
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        ],
        IMAGE,
        {"s": np.array([1.0, 1.0, 2.0, 3.0])},
    ),
    "Resize down": model(
        [node("Resize", ["x", "", "", "s"], mode="nearest", nearest_mode="round_prefer_ceil")],
        IMAGE,
        {"s": np.array([1, 3, 4, 3])},
    ),
    "Upsample": constants("Upsample", IMAGE, opset=9, s=np.array([1.0, 1.0, 2.0, 1.0])),
    "DepthToSpace": simple("DepthToSpace", {"x": (1, 12, 2, 3)}, blocksize=2),
    "DepthToSpace CRD": simple("DepthToSpace", {"x": (1, 12, 2, 3)}, blocksize=2, mode="CRD"),
    "SpaceToDepth": simple("SpaceToDepth", {"x": (1, 3, 4, 6)}, blocksize=2),
    "Split": model(
        [helper.make_node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2), node("Sub", ["b", "a"])],
        {"x": (1, 4, 3)},
        opset=18,
    ),
    "Slice": constants(
        "Slice", IMAGE, s=np.array([-1, 1]), e=np.array([-100, 3]), a=np.array([2, 3]), t=np.array([-2, 1])
    ),
    "Slice 9": simple("Slice", opset=9, starts=[1], ends=[100], axes=[1]),
    "Expand": constants("Expand", {"x": (1, 3, 1)}, s=np.array([3, 4])),
    "Tile": constants("Tile", {"x": (1, 3, 2)}, s=np.array([1, 2, 1])),
}
