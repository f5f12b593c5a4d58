"""Collects ONNX nodes; keeps each tensor of a graph in the layouts that its readers asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from codesign.graph import Graph

OPSET = 13
QONNX, DOMAIN = "qonnx.custom_op.general", "codesign"
LAST, FIRST = "last", "first"  # axes of an image: as the graph has them, and channels first as ONNX's windows do
TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # with the sample axis


class Writer:
    """A model in the making. A tensor's ONNX name is its own in the layout in which it was computed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.done: set[str] = set()  # nodes that were written with an earlier one
        self._places: dict[str, dict[str, str]] = {i.name: {LAST: i.name} for i in graph.inputs}
        self._taken = {*graph.types, ""}
        self._node_names: set[str] = set()

    def get(self, tensor: str, layout: str) -> str:
        """The ONNX name of a computed tensor in a layout."""
        places = self._places[tensor]
        if layout not in places:
            (there,) = places.values()
            perm = TO_FIRST if layout == FIRST else TO_LAST
            name = self.result(tensor, layout)
            self.emit("Transpose", [there], name, perm=list(perm))
            places[layout] = name
        return places[layout]

    def has(self, tensor: str, layout: str) -> bool:
        """Whether a tensor was computed in a layout already."""
        return layout in self._places.get(tensor, {})

    def result(self, tensor: str, layout: str) -> str:
        """The ONNX name that a tensor is to have in a layout; outputs keep theirs for their own axes."""
        taken = tensor in self._places and tensor in self._places[tensor].values()
        if layout == LAST and not taken:
            return tensor
        return self.fresh(f"{tensor}.{layout}") if taken or tensor in self.graph.outputs else tensor

    def put(self, tensor: str, layout: str, name: str) -> None:
        """Say under which name a tensor was computed in a layout."""
        self._places.setdefault(tensor, {})[layout] = name

    def write(self, tensor: str, layout: str, op: str, inputs: list[str], place: int = 0, **attributes: Any) -> None:
        """Compute a tensor of the graph in a layout by one operator, as its result number `place`."""
        name = self.result(tensor, layout)
        before = [self.fresh(f"{tensor}.other") for _ in range(place)]
        self._append(op, inputs, [*before, name], self._origin(tensor), attributes)
        self.put(tensor, layout, name)

    def emit(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node with one result that no layer of the user is named after; its result's name."""
        self._append(op, inputs, [output], "", attributes)
        return output

    def _append(self, op: str, inputs: list[str], outputs: list[str], name: str, attributes: dict[str, Any]) -> None:
        domain = attributes.pop("domain", "")
        self.nodes.append(helper.make_node(op, inputs, outputs, self._named(name), domain=domain, **attributes))

    def constant(self, value: Any, stem: str, dtype: type = np.float32) -> str:
        """An initializer; its name."""
        name = self.fresh(stem)
        self.initializers.append(numpy_helper.from_array(np.array(value, dtype=dtype, order="C"), name))
        return name

    def fresh(self, stem: str) -> str:
        """A tensor name that is not taken yet."""
        name, k = stem, 1
        while name in self._taken:
            name, k = f"{stem}_{k}", k + 1
        self._taken.add(name)
        return name

    def _origin(self, tensor: str) -> str:
        return self.graph.by_name[tensor].label

    def _named(self, origin: str) -> str:
        """The user's name of a layer for its first node; none for what was added or comes after it."""
        name = "" if origin in self._node_names else origin
        self._node_names.add(origin)
        return name
