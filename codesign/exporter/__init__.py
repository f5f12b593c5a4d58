"""Graph -> ONNX: plain float operators that any runtime runs, QONNX quantizers where there are some.

Beside the importer, nothing else in the project knows ONNX. Images become channels first, with a sample axis of any
length in front. Constants are kept in float32; of a graph that is `rounded`, import(export(g)) computes what g does.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from codesign import __version__
from codesign.build import replace_file
from codesign.errors import UserError
from codesign.exporter.operators import write_node
from codesign.exporter.writer import DOMAIN, LAST, OPSET, QONNX, Writer
from codesign.graph import Graph

IR_VERSION = 8
BATCH = "batch"


def export_model(graph: Graph, path: Path) -> int:
    """Write a graph as an ONNX file; its size in bytes. UserError names an operator that ONNX has no form for."""
    data = model_of(graph).SerializeToString()
    replace_file(path, data)
    return len(data)


def model_of(graph: Graph) -> onnx.ModelProto:
    """The graph as a model."""
    for i in graph.inputs:
        if not i.type.shape:
            raise UserError(f"input '{i.name}' is one number a sample, which has no form in ONNX here")
    writer = Writer(graph)
    for node in graph.nodes:
        write_node(writer, node)
    for name in graph.outputs:
        writer.get(name, LAST)
    inputs, outputs = [_value(graph, i.name) for i in graph.inputs], [_value(graph, o) for o in graph.outputs]
    body = helper.make_graph(writer.nodes, "compressed", inputs, outputs, writer.initializers)
    versions = {"": OPSET, **{d: 1 for d in (QONNX, DOMAIN) if any(n.domain == d for n in writer.nodes)}}
    opsets = [helper.make_opsetid(d, v) for d, v in versions.items()]
    return helper.make_model(
        body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="codesign", producer_version=__version__
    )


def _value(graph: Graph, name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *graph.types[name].shape])
