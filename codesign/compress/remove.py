"""Channels taken out of a graph, with everything that belongs to them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from codesign.compress.channels import ELEMENTWISE, Channels, without
from codesign.errors import UserError
from codesign.graph import Constant, Graph, Node, Op
from codesign.ops.conv import Conv
from codesign.ops.layout import Reshape
from codesign.ops.moves import Expand, Slice
from codesign.ops.take import Take
from codesign.quantize.canonical import is_product


@dataclass(frozen=True, eq=False)
class Removed:
    """The smaller graph, and which channels (indices of the last axis) are left of each tensor that lost some."""

    graph: Graph
    kept: dict[str, np.ndarray]


def remove(channels: Channels, gone: Collection[int]) -> Removed:
    """The graph without the channels of some labels; UserError names the node that cannot do without them."""
    graph = channels.graph
    axes = {name: _left(graph, name, without(labels, gone)) for name, labels in channels.labels.items()}
    nodes: dict[str, Node] = {n.name: n for n in graph.nodes}
    taken: dict[str, str] = {}
    for node in graph.nodes:
        if node.name not in graph.constants:
            _shrink(channels, node, axes, gone, nodes, taken)
    result = graph.replace(nodes.values())
    kept = {n: a[-1] for n, a in axes.items() if a and len(a[-1]) < graph.types[n].shape[-1]}
    return Removed(result, kept)


Axes = list[np.ndarray]  # the indices that are left along each axis


def _left(graph: Graph, name: str, stays: np.ndarray) -> Axes:
    """What is left of a tensor along each axis; UserError where that is no box."""
    every = range(stays.ndim)
    found = [np.flatnonzero(stays.any(axis=tuple(k for k in every if k != axis))) for axis in every]
    if stays.sum() != np.prod([len(a) for a in found], dtype=np.int64) or not stays.any():
        node = graph.by_name.get(name)
        raise UserError(
            f"channels cannot be removed: what is left of '{(node and node.origin) or name}', of shape "
            f"{list(stays.shape)}, would be no tensor"
        )
    return found


def _shrink(
    channels: Channels, node: Node, axes: dict[str, Axes], gone: Collection[int], nodes: dict[str, Node],
    taken: dict[str, str],
) -> None:  # fmt: skip
    """Put the smaller node, and the smaller constants that it reads, into `nodes`."""
    graph, shape = channels.graph, tuple(len(a) for a in axes[node.name])
    if shape == graph.types[node.name].shape and all(
        len(a) == n for i in node.inputs if i in axes for a, n in zip(axes[i], graph.types[i].shape)
    ):
        return
    op, inputs = _op(graph, node, axes, shape), list(node.inputs)
    for k, name in enumerate(node.inputs):
        if name in graph.constants:
            value = _constant(channels, node, graph.constants[name], axes[node.name], gone)
            inputs[k] = name if len(graph.readers[name]) == 1 else graph.fresh(f"{node.name}.{k}.left")
            nodes[inputs[k]] = Node(inputs[k], Constant.real(value))
    if is_product(graph, node) and isinstance(op, Conv) and op.is_depthwise(graph.types[node.inputs[1]].shape):
        op = replace(op, groups=len(axes[node.inputs[0]][-1]))
    nodes[node.name] = replace(node, op=op, inputs=tuple(inputs))


def _op(graph: Graph, node: Node, axes: dict[str, Axes], shape: tuple[int, ...]) -> Op:
    if isinstance(node.op, (Reshape, Expand)):
        return replace(node.op, shape=shape)
    if isinstance(node.op, (Slice, Take)):
        return _picking(graph, node, node.op, axes, shape)
    return node.op


def _picking(graph: Graph, node: Node, op: Slice | Take, axes: dict[str, Axes], shape: tuple[int, ...]) -> Op:
    """What picks elements along an axis that lost some picks those that are left."""
    before, after = axes[node.inputs[0]], axes[node.name]
    lost = [k for k, a in enumerate(before) if len(a) < graph.types[node.inputs[0]].shape[k]]
    if isinstance(op, Take):
        if op.axis not in lost and len(after[op.axis]) == graph.types[node.name].shape[op.axis]:
            return op
        places = {int(old): new for new, old in enumerate(before[op.axis])}
        return replace(op, indices=tuple(places[op.indices[i]] for i in after[op.axis]))
    starts, steps = list(op.starts), list(op.steps)
    for k in lost:
        wanted = np.searchsorted(before[k], op.starts[k] + after[k] * op.steps[k])
        strides = set(np.diff(wanted).tolist()) or {1}
        if len(strides) > 1:
            raise UserError(f"channels cannot be removed: '{node.label}' would pick them in uneven steps")
        starts[k], steps[k] = int(wanted[0]), strides.pop()
    return Slice(tuple(starts), shape, tuple(steps))


def _constant(channels: Channels, node: Node, value: np.ndarray, left: Axes, gone: Collection[int]) -> np.ndarray:
    """A constant operand without what belonged to the channels."""
    if is_product(channels.graph, node):
        reads, groups = channels.reads[node.name], node.op.groups if isinstance(node.op, Conv) else 1
        value = value[..., left[-1]]
        if isinstance(node.op, Conv) and node.op.is_depthwise(value.shape):
            return value
        return value[..., np.flatnonzero(without(reads[: len(reads) // groups], gone)), :]
    assert isinstance(node.op, ELEMENTWISE)
    for axis in range(1, value.ndim + 1):
        if value.shape[-axis] > 1:
            value = value.take(left[-axis], axis=-axis)
    return value
