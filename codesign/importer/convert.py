"""Model -> Graph, node by node; every refusal names the node."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.errors import UserError
from codesign.graph import Graph
from codesign.importer.builder import Builder
from codesign.importer.call import Call
from codesign.importer.fold import fold
from codesign.importer.handlers import ANY, IMAGE, QUANTIZERS, find
from codesign.importer.model import Model, OnnxNode
from codesign.importer.spatial import CHANNELS_LAST
from codesign.importer.values import Constantlike, Refused, Stored, Value

IMAGE_AXES = 3  # (C, H, W)


def convert(model: Model) -> Graph:
    """The real-valued, channels-last graph of a model."""
    _check_supported(model)
    return Conversion(model).run()


def _check_supported(model: Model) -> None:
    """Name all unsupported operators at once, each with its first node."""
    missing: dict[str, str] = {}
    for node in model.nodes:
        if find(node.op, node.domain) is None and (_varies(node, model) or node.domain):
            kind = f"{node.domain}::{node.op}" if node.domain else node.op
            missing.setdefault(kind, node.origin)
    if missing:
        listed = ", ".join(f"{kind} (node '{origin}')" for kind, origin in missing.items())
        raise UserError(f"unsupported operators: {listed}; replace them or leave them to the host")


def _varies(node: OnnxNode, model: Model) -> bool:
    return any(o in model.varying for o in node.outputs)


class Conversion:
    """The values of ONNX's tensors so far, and the graph that computes them."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.readers: dict[str, list[OnnxNode]] = {}
        for node in model.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        self.needed = frozenset(self.readers) | set(model.outputs)
        names = {o for n in model.nodes for o in n.outputs} | {i.name for i in model.inputs}
        self.build = Builder(frozenset(names))
        self.values: dict[str, Value] = dict(model.constants)
        self.batch = self._batch()

    def run(self) -> Graph:
        for i in self.model.inputs:
            self._check_type(i.name, i.is_float)
            self.build.stem = self.build.origin = i.name
            self.values[i.name] = self._arranged(i.name, self.build.input(i.name, i.shape[1:]))
        for node in self.model.nodes:
            self._convert(node)
        outputs = {name: cast(Stored, self.values[name]) for name in self.model.outputs}
        return self.build.finish(outputs)

    def _batch(self) -> int:
        """The length of the sample axis, the same in all inputs."""
        lengths = {i.shape[0] for i in self.model.inputs}
        if len(lengths) != 1:
            raise UserError(f"the inputs' sample axes (axis 0) have different lengths: {sorted(lengths)}")
        return lengths.pop()

    def _check_type(self, name: str, is_float: bool) -> None:
        """Integer inputs must become floats at once: what follows computes with real numbers."""
        for reader in self.readers.get(name, []):
            if not is_float and reader.op not in ("Cast", "Shape"):
                raise UserError(f"input '{name}' is an integer tensor read by {reader}; cast it to float")

    def _convert(self, node: OnnxNode) -> None:
        before = len(self.build.nodes)
        self.build.origin, self.build.stem = node.origin, next(o for o in node.outputs if o)
        try:
            results = self._results(node)
        except Refused as e:
            raise UserError(f"{node}: {e}") from None
        for name, value in zip(node.outputs, results, strict=False):
            if isinstance(value, Stored):
                value = self._arranged(name, self.build.rename_last(name, value, before))
            if value is not None:
                self.values[name] = value

    def _results(self, node: OnnxNode) -> list[Value | None]:
        inputs = [self.values[i] if i else None for i in node.inputs]
        if node.op in ("Shape", "Size") and isinstance(inputs[0], Stored):
            inputs = [np.empty((self.batch, *inputs[0].shape), dtype=np.bool_)]
        if not any(isinstance(i, Stored) for i in inputs) and node.domain not in QUANTIZERS:
            return list(fold(node, cast("list[Constantlike | None]", inputs), self.model.opset))
        return self._handled(node, tuple(inputs))

    def _handled(self, node: OnnxNode, inputs: tuple[Value | None, ...]) -> list[Value | None]:
        row = find(node.op, node.domain)
        assert row is not None, "checked before"
        unknown = sorted(set(node.attributes) - set(row.attributes))
        if unknown:
            raise Refused(f"attribute '{unknown[0]}' is not understood; export the model without it")
        if not row.inputs[0] <= len(inputs) <= row.inputs[1]:
            raise Refused(f"it has {len(inputs)} inputs; {row.inputs[0]} to {row.inputs[1]} are understood")
        result = row.handler(Call(node, inputs, self.batch, self.model.opset, self.build, self.needed))
        return list(result) if isinstance(result, tuple) else [result]

    def _arranged(self, name: str, x: Stored) -> Stored:
        """Images stored channels last from the start, where nothing before the first window forbids it."""
        images = self._reaches_image(name) and len(x.shape) == IMAGE_AXES
        return self.build.arrange(x, CHANNELS_LAST) if images else x

    def _reaches_image(self, name: str) -> bool:
        """Whether a window operator (channels first) reads the tensor, also through order-free operators."""
        seen: set[tuple[str, ...]] = set()
        stack = [name]
        while stack:
            for reader in self.readers.get(stack.pop(), []):
                row = find(reader.op, reader.domain)
                if row is None or reader.outputs in seen:
                    continue
                if row.layout == IMAGE and not reader.domain:
                    return True
                if row.layout == ANY:
                    seen.add(reader.outputs)
                    stack.extend(reader.outputs)
        return False
