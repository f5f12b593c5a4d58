"""Windows over images, channels first."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.exporter.writer import FIRST, Writer
from codesign.graph import Node
from codesign.ops.conv import Conv
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, GlobalAveragePool, MaxPool


def padded(w: Writer, tensor: str) -> tuple[str, list[int]]:
    """A window operator's input: what its own padding is put around, and that as its attribute `pads` has it."""
    node = w.graph.by_name.get(tensor)
    if node is None or not _in_windows(w, node):
        return w.get(tensor, FIRST), [0, 0, 0, 0]
    assert isinstance(node.op, Pad)
    return w.get(node.inputs[0], FIRST), [*node.op.before, *node.op.after]


def _in_windows(w: Writer, node: Node) -> bool:
    """Whether all that reads a Pad puts such values around by itself."""
    if not isinstance(node.op, Pad) or any(node.op.gaps) or node.name in w.graph.outputs:
        return False
    return all(r.inputs[0] == node.name and _own_padding(r) == node.op.value for r in w.graph.readers[node.name])


def _own_padding(node: Node) -> float | None:
    """What a window operator puts around its input."""
    if isinstance(node.op, MaxPool):
        return np.inf if node.op.least else -np.inf
    return 0.0 if isinstance(node.op, Conv) else None


def pad(w: Writer, node: Node) -> None:
    """A Pad of its own where the windows behind it don't take it."""
    assert isinstance(node.op, Pad)
    if _in_windows(w, node):
        return
    x = w.get(node.inputs[0], FIRST)
    if any(node.op.gaps):
        x = _spread(w, node, x)
    pads = [0, 0, *node.op.before, 0, 0, *node.op.after]
    value = w.constant(node.op.value, f"{node.name}.value")
    name = w.result(node.name, FIRST)
    w.emit("Pad", [x, w.constant(pads, f"{node.name}.pads", np.int64), value], name)
    w.put(node.name, FIRST, name)


def _spread(w: Writer, node: Node, x: str) -> str:
    """With rows and columns of zeros between: each gets an axis behind it, is padded there, and all are joined."""
    assert isinstance(node.op, Pad)
    rows, columns, channels = w.graph.types[node.inputs[0]].shape
    down, across = node.op.gaps

    def step(op: str, what: str, *lists: list[int]) -> str:
        return w.emit(
            op, [x, *(w.constant(v, f"{node.name}.{what}", np.int64) for v in lists)], w.fresh(f"{node.name}.{what}")
        )

    x = step("Reshape", "apart", [0, channels, rows, 1, columns, 1])
    x = step("Pad", "spread", [0] * 6 + [0, 0, 0, down, 0, across])
    x = step("Reshape", "joined", [0, channels, rows * (1 + down), columns * (1 + across)])
    return step("Slice", "inner", [0, 0], [rows + (rows - 1) * down, columns + (columns - 1) * across], [2, 3])


def pool(w: Writer, node: Node) -> None:
    """MaxPool or AveragePool; the smallest of a window is minus the largest of the negative."""
    op = node.op
    assert isinstance(op, (MaxPool, AveragePool))
    x, pads = padded(w, node.inputs[0])
    attributes: dict[str, Any] = {"kernel_shape": list(op.kernel), "strides": list(op.stride), "pads": pads}
    if isinstance(op, AveragePool) and op.dilation != (1, 1):
        raise UserError(f"node '{node.label}': a dilated average has no form in ONNX here")
    if isinstance(op, MaxPool):
        attributes["dilations"] = list(op.dilation)
        if op.least:
            x = w.emit("Neg", [x], w.fresh(f"{node.name}.negative"))
            x = w.emit("MaxPool", [x], w.fresh(f"{node.name}.most"), **attributes)
            w.write(node.name, FIRST, "Neg", [x])
            return
    w.write(node.name, FIRST, type(op).__name__, [x], **attributes)


def global_pool(w: Writer, node: Node) -> None:
    x = w.get(node.inputs[0], FIRST)
    if isinstance(node.op, GlobalAveragePool):
        w.write(node.name, FIRST, "GlobalAveragePool", [x])
    else:
        op = "ReduceMin" if getattr(node.op, "least", False) else "GlobalMaxPool"
        w.write(node.name, FIRST, op, [x], **({"axes": [2, 3], "keepdims": 1} if op == "ReduceMin" else {}))


def depth_to_space(w: Writer, node: Node) -> None:
    assert isinstance(node.op, DepthToSpace)
    mode = "CRD" if node.op.columns_first else "DCR"
    w.write(node.name, FIRST, "DepthToSpace", [w.get(node.inputs[0], FIRST)], blocksize=node.op.block, mode=mode)


def space_to_depth(w: Writer, node: Node) -> None:
    assert isinstance(node.op, SpaceToDepth)
    w.write(node.name, FIRST, "SpaceToDepth", [w.get(node.inputs[0], FIRST)], blocksize=node.op.block)
