"""Operators that move, choose or reduce elements; axes are those of one sample, a sample axis comes before them."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.exporter.writer import FIRST, LAST, Writer
from codesign.graph import Node
from codesign.ops.argmax import ArgMax
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.reduce import Reduce
from codesign.ops.take import Take
from codesign.ops.top_k import TopIndices, TopValues

LOWEST = -(1 << 31)  # before the first element: where slices that go backwards end


def reshape(w: Writer, node: Node) -> None:
    """In the layout in which no elements move."""
    assert isinstance(node.op, Reshape)
    before, after = w.graph.types[node.inputs[0]].shape, node.op.shape
    source = FIRST if w.has(node.inputs[0], FIRST) and _flat(before) else LAST
    layout = FIRST if len(after) == 3 and _flat(after) else LAST
    shape = (after[2], *after[:2]) if layout == FIRST else after
    w.write(node.name, layout, "Reshape", [w.get(node.inputs[0], source), _integers(w, node, "shape", [0, *shape])])


def _flat(shape: tuple[int, ...]) -> bool:
    """Whether an image holds its elements in one order in both layouts."""
    return len(shape) == 3 and (shape[2] == 1 or shape[:2] == (1, 1))


def transpose(w: Writer, node: Node) -> None:
    """Nothing where it turns one layout into the other."""
    assert isinstance(node.op, Transpose)
    perm, x, is_output = node.op.perm, node.inputs[0], node.name in w.graph.outputs
    if perm == (1, 2, 0) and not is_output:
        w.put(node.name, FIRST, w.get(x, LAST))
    elif perm == (2, 0, 1) and w.has(x, FIRST):
        if is_output:
            w.write(node.name, LAST, "Identity", [w.get(x, FIRST)])
        else:
            w.put(node.name, LAST, w.get(x, FIRST))
    else:
        w.write(node.name, LAST, "Transpose", [w.get(x, LAST)], perm=[0, *(p + 1 for p in perm)])


def concat(w: Writer, node: Node) -> None:
    assert isinstance(node.op, Concat)
    rank = len(w.graph.types[node.name].shape)
    first = rank == 3 and any(w.has(i, FIRST) for i in node.inputs) and not set(node.inputs) & set(w.graph.constants)
    layout, axis = (FIRST, (node.op.axis % 3 + 1) % 3) if first else (LAST, node.op.axis % rank)
    w.write(node.name, layout, "Concat", [w.get(i, layout) for i in node.inputs], axis=axis + 1)


def slices(w: Writer, node: Node) -> None:
    assert isinstance(node.op, Slice)
    op, axes = node.op, range(1, len(node.op.sizes) + 1)
    ends = [s + n * step if s + n * step >= 0 else LOWEST for s, n, step in zip(op.starts, op.sizes, op.steps)]
    lists = {"starts": op.starts, "ends": ends, "axes": axes, "steps": op.steps}
    inputs = [_integers(w, node, k, v) for k, v in lists.items()]
    w.write(node.name, LAST, "Slice", [w.get(node.inputs[0], LAST), *inputs])


def expand(w: Writer, node: Node) -> None:
    assert isinstance(node.op, Expand)
    x = w.get(node.inputs[0], LAST)
    w.write(node.name, LAST, "Expand", [x, _integers(w, node, "shape", [1, *node.op.shape])])


def upsample(w: Writer, node: Node) -> None:
    """Nearest neighbours, each as often as the factors say."""
    assert isinstance(node.op, Upsample)
    scales = w.constant([1, *node.op.factors], f"{node.name}.scales")
    attributes: dict[str, Any] = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    w.write(node.name, LAST, "Resize", [w.get(node.inputs[0], LAST), "", scales], **attributes)


def take(w: Writer, node: Node) -> None:
    """Elements at some places of one axis: slices of equal steps, joined."""
    assert isinstance(node.op, Take)
    x, axis, parts = w.get(node.inputs[0], LAST), node.op.axis + 1, []
    for start, count, step in _runs(node.op.indices):
        end = start + count * step
        lists = ([start], [end if end >= 0 else LOWEST], [axis], [step])
        cut = [_integers(w, node, "cut", values) for values in lists]
        parts.append(w.emit("Slice", [x, *cut], w.fresh(f"{node.name}.part")))
    w.write(node.name, LAST, "Concat", parts, axis=axis)


def _runs(indices: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(start, count, step) of the pieces in which places follow in equal steps that are not 0."""
    runs: list[tuple[int, int, int]] = []
    for k in indices:
        start, count, step = runs[-1] if runs else (k, 0, 0)
        if count == 1 and k != start:
            runs[-1] = (start, 2, k - start)
        elif count > 1 and k == start + count * step:
            runs[-1] = (start, count + 1, step)
        else:
            runs.append((k, 1, 1))
    return runs


def reduce(w: Writer, node: Node) -> None:
    assert isinstance(node.op, Reduce)
    x, axes = w.get(node.inputs[0], LAST), [a + 1 for a in node.op.axes]
    if node.op.function == "sum":
        w.write(node.name, LAST, "ReduceSum", [x, _integers(w, node, "axes", axes)], keepdims=1)
    else:
        w.write(node.name, LAST, f"Reduce{node.op.function.capitalize()}", [x], axes=axes, keepdims=1)


def arg_max(w: Writer, node: Node) -> None:
    assert isinstance(node.op, ArgMax)
    op = "ArgMin" if node.op.least else "ArgMax"
    w.write(node.name, LAST, op, [w.get(node.inputs[0], LAST)], axis=-1, keepdims=1)


def top_k(w: Writer, node: Node) -> None:
    """One of TopK's two results."""
    assert isinstance(node.op, (TopValues, TopIndices))
    inputs = [w.get(node.inputs[0], LAST), _integers(w, node, "k", [node.op.k])]
    place = 1 if isinstance(node.op, TopIndices) else 0
    w.write(node.name, LAST, "TopK", inputs, place, axis=-1, largest=int(not node.op.least))


def _integers(w: Writer, node: Node, what: str, values: object) -> str:
    return w.constant(np.array(list(values)), f"{node.name}.{what}", np.int64)  # type: ignore[call-overload]
