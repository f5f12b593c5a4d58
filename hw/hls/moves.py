"""Operators that only move elements: by a list of places, or not at all where the elements' order stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.errors import UserError
from codesign.formats import Int
from codesign.graph import Node
from codesign.ops.layout import Concat
from codesign.ops.matmul import MatMul
from hw.hls.builder import Builder, Shape, result_of, size_of
from hw.hls.spec import HlsLayer, integers_of


def spread(b: Builder, node: Node, name: str, shape: Shape) -> str:
    """An operand repeated along the axes in which it has length 1."""
    source, own = b.made[name], b.graph.types[name].shape
    if own == shape:
        return source
    places = np.broadcast_to(np.arange(size_of(own)).reshape(own), shape)
    return reorder(b, replace(node, name=f"{node.name}_spread"), source, own, places, integers_of(b.graph.types[name]))


def reorder(b: Builder, node: Node, source: str, shape: Shape, places: np.ndarray, result: Int) -> str:
    config = {"in_size": size_of(shape), "out_size": places.size}
    return b.operator(node, "reorder", [source], places.shape, result, config, {"places": places.reshape(-1)})


def move(b: Builder, node: Node) -> str:
    """Any operator that only moves elements: run once, on the places themselves."""
    x = b.graph.types[node.inputs[0]]
    out = b.graph.types[node.name]
    places = node.op.run(out, np.arange(x.size).reshape(1, *x.shape))[0]
    return reorder(b, node, b.made[node.inputs[0]], x.shape, places, integers_of(out))


def reshape(b: Builder, node: Node) -> str:
    """hls4ml's own for whole arrays, and where one dense layer reads a flattened stream; a stream whose beats stay
    as they are is left alone, others are sent again."""
    source, shape = b.made[node.inputs[0]], b.graph.types[node.name].shape
    readers = b.graph.readers[node.name]
    dense = len(shape) == 1 and any(isinstance(r.op, MatMul) for r in readers)
    if node.name not in b.graph.outputs and (not b.is_stream or (dense and len(readers) == 1)):
        return _own_reshape(b, node, source, shape)
    if b.is_stream and b.of(source).shape[-1:] == shape[-1:] and not dense:
        return source
    return move(b, node)


def _own_reshape(b: Builder, node: Node, source: str, shape: Shape) -> str:
    name = b.names.of(node)
    span = {"result": integers_of(b.graph.types[node.name])}
    attributes = {"target_shape": list(shape)}
    origin = node.label
    return b.add(HlsLayer(name, "Reshape", (source,), shape, span, attributes, 1, "", "", origin))


def concat(b: Builder, node: Node) -> str:
    """Two at a time."""
    op, (shape, result) = node.op, result_of(b, node)
    assert isinstance(op, Concat)
    if any(i in b.graph.constants for i in node.inputs):
        raise UserError(f"node '{node.label}' (Concat): the HLS back end joins no constants")
    axis = op.axis % len(shape)
    left, length = b.made[node.inputs[0]], b.graph.types[node.inputs[0]].shape[axis]
    for k, name in enumerate(node.inputs[1:], 1):
        more = b.graph.types[name].shape[axis]
        inner = size_of(shape[axis + 1 :])
        config = {
            "outer": size_of(shape[:axis]), "first": length * inner, "second": more * inner,
            "along_beats": axis == len(shape) - 1,
        }  # fmt: skip
        length += more
        joined = (*shape[:axis], length, *shape[axis + 1 :])
        last = node if k == len(node.inputs) - 1 else replace(node, name=f"{node.name}_{k}")
        left = b.operator(last, "join", [left, b.made[name]], joined, result, config)
    return left
