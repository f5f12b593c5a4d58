"""Padding, pooling and reductions."""

from __future__ import annotations

from dataclasses import replace

from codesign.graph import Node
from codesign.ops.argmax import ArgMax
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalSumPool, MaxPool, SumPool
from codesign.ops.reduce import Reduce, neighbours
from hw.hls.builder import Builder, Shape, inputs_of, result_of, size_of
from hw.hls.spec import integers_of

COMBINE = {"sum": 0, "max": 1, "min": 2}


def pad(b: Builder, node: Node) -> str:
    op, (shape, result) = node.op, result_of(b, node)
    assert isinstance(op, Pad)
    config = {**_image(b, node, shape), "value": int(op.value)}
    for k, (before, gap) in enumerate(zip(op.before, op.gaps)):
        side = ("height", "width")[k]
        config |= {f"before_{side}": before, f"gap_{side}": gap}
    return b.operator(node, "pad", inputs_of(b, node), shape, result, config)


def pool(b: Builder, node: Node) -> str:
    op, (shape, result) = node.op, result_of(b, node)
    assert isinstance(op, (MaxPool, SumPool))
    kind = "sum" if isinstance(op, SumPool) else "min" if op.least else "max"
    config = {**_image(b, node, shape), "combine": COMBINE[kind]}
    for k, side in enumerate(("height", "width")):
        config |= {f"kernel_{side}": op.kernel[k], f"stride_{side}": op.stride[k], f"dilation_{side}": op.dilation[k]}
    return b.operator(node, "pool", inputs_of(b, node), shape, result, config)


def _image(b: Builder, node: Node, out: Shape) -> dict[str, int]:
    rows, columns, channels = b.graph.types[node.inputs[0]].shape
    return {
        "in_height": rows, "in_width": columns, "channels": channels, "out_height": out[0], "out_width": out[1],
    }  # fmt: skip


def global_pool(b: Builder, node: Node) -> str:
    kind = "sum" if isinstance(node.op, GlobalSumPool) else "min" if node.op.least else "max"  # type: ignore[attr-defined]
    return _reduced(b, node, kind, (0, 1))


def reduce(b: Builder, node: Node) -> str:
    assert isinstance(node.op, Reduce)
    return _reduced(b, node, node.op.function, node.op.axes)


def _reduced(b: Builder, node: Node, kind: str, axes: Shape) -> str:
    """One run of neighbouring axes after the other."""
    shape, result = b.graph.types[node.inputs[0]].shape, integers_of(b.graph.types[node.name])
    source, runs = b.made[node.inputs[0]], neighbours(axes, shape)
    for k, run in enumerate(runs):
        first, last = min(run), max(run)
        config = {
            "combine": COMBINE[kind], "outer": size_of(shape[:first]), "reduced": size_of(shape[first : last + 1]),
            "inner": size_of(shape[last + 1 :]),
        }  # fmt: skip
        shape = tuple(1 if a in run else n for a, n in enumerate(shape))
        own = node if k == len(runs) - 1 else replace(node, name=f"{node.name}_{k}")
        source = b.operator(own, "reduce", [source], shape, result, config)
    return source


def argmax(b: Builder, node: Node) -> str:
    assert isinstance(node.op, ArgMax)
    x, (shape, result) = b.graph.types[node.inputs[0]].shape, result_of(b, node)
    config = {"outer": size_of(x[:-1]), "classes": x[-1], "least": node.op.least}
    return b.operator(node, "argmax", inputs_of(b, node), shape, result, config)
