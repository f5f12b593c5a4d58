"""Model -> Graph, node by node; every refusal names the node."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from codesign.errors import UserError
from codesign.graph import Graph
from codesign.importer.builder import Builder
from codesign.importer.call import Call
from codesign.importer.codes import plain, recoded
from codesign.importer.fold import fold
from codesign.importer.handlers import (
    ANY,
    HANDLED,
    IMAGE,
    MANY,
    MOVED,
    OWN_DOMAIN,
    QUANTIZERS,
    REFUSED,
    ROWS,
    WRAPPED,
    Row,
    find,
)
from codesign.importer.model import Model, ModelInput, OnnxNode
from codesign.importer.qdq import dequantize_linear, quantize_linear
from codesign.importer.shapes import unsqueezed
from codesign.importer.signature import check_types
from codesign.importer.spatial import CHANNELS_LAST
from codesign.importer.values import INTEGERS, Codes, Constantlike, MixesSamples, Refused, Stored, Value
from codesign.ops.quantize import Quantize
from codesign.ops.unary import Unary

IMAGE_AXES = 4  # (N, C, H, W)
FOLDED_HERE = [
    r
    for r in ROWS.values()
    if set(r.domains) & {*QUANTIZERS, *OWN_DOMAIN} or r.handler in (quantize_linear, dequantize_linear)
]


def convert(model: Model) -> Graph:
    """The real-valued, channels-last graph of a model.

    Axis 0 is the sample axis where all nodes leave it alone; else a whole tensor is one sample, which takes a
    file that fixes the length of axis 0.
    """
    _check_supported(model)
    if not _may_have_samples(model):
        return Conversion(model, lead=0).run()
    try:
        return Conversion(model, lead=1).run()
    except _MixedSamples as e:
        refusal = e
    if not all(i.is_fixed for i in model.inputs):
        raise refusal
    try:
        return Conversion(model, lead=0).run()
    except UserError as e:
        raise UserError(f"{refusal}; taken as one sample with axis 0: {e}") from None


class _MixedSamples(UserError):
    """Axis 0 cannot be the sample axis, because of the node that the message names."""


def _may_have_samples(model: Model) -> bool:
    return all(len(i.shape) > 1 for i in model.inputs) and len({i.shape[0] for i in model.inputs}) == 1


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

    def __init__(self, model: Model, lead: int) -> None:
        self.model, self.lead = model, lead
        self.readers: dict[str, list[OnnxNode]] = {}
        for node in model.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        self.image_bound = self._image_bound()
        self.needed = frozenset(self.readers) | set(model.outputs)
        names = {o for n in model.nodes for o in n.outputs} | {i.name for i in model.inputs}
        self.build = Builder(frozenset(names))
        self.values: dict[str, Value] = dict(model.constants)
        self.batch = model.inputs[0].shape[0] if lead else 1
        # A first axis of length 1 is left out of what is stored: the network's user sees a sample axis there.
        self.drops_first = not lead and all(i.shape[:1] == (1,) and len(i.shape) > 1 for i in model.inputs)

    def run(self) -> Graph:
        try:
            return self._run()
        except Refused as e:  # at the network's border, where no node is to be named
            raise UserError(f"tensor '{self.build.stem}': {e}") from None

    def _run(self) -> Graph:
        for i in self.model.inputs:
            self.values[i.name] = self._arranged(i.name, self._input(i))
        for node in self.model.nodes:
            self._convert(node)
        return self.build.finish({name: self._output(name) for name in self.model.outputs})

    def _input(self, i: ModelInput) -> Stored:
        """A network input. Integers of up to 16 bits are marked as such by a quantizer that changes nothing."""
        self.build.stem = self.build.origin = i.name
        x = self.build.input(i.name, i.shape[1:] if self.lead or self.drops_first else i.shape)
        if self.drops_first:
            x = unsqueezed(x, [0])
        if i.type == "float":
            return x
        fmt = INTEGERS[i.type]
        if fmt.bits <= 16 and self.readers.get(i.name):
            x = self.build.apply(Quantize(fmt), x)
        return replace(x, codes=Codes(fmt))

    def _output(self, name: str) -> Stored:
        """A result with the values and axes that ONNX gives it."""
        self.build.stem = name
        x = plain(self.build, cast(Stored, self.values[name]))
        if not (self.drops_first and x.shape[:1] == (1,)):
            return x
        x = self.build.arrange(x, tuple(a for a in x.order if a))
        return Stored(x.name, x.shape[1:], tuple(a - 1 for a in x.order))

    def _convert(self, node: OnnxNode) -> None:
        before = len(self.build.nodes)
        self.build.origin, self.build.stem = node.origin, next(o for o in node.outputs if o)
        try:
            results = self._results(node)
        except MixesSamples as e:
            raise _MixedSamples(f"{node}: {e}") from None
        except Refused as e:
            raise UserError(f"{node}: {e}") from None
        for name, value in zip(node.outputs, results, strict=False):
            if isinstance(value, Stored):
                value = self._arranged(name, self.build.rename_last(name, value, before))
            if value is not None:
                self.values[name] = value

    def _results(self, node: OnnxNode) -> list[Value | None]:
        inputs = [self.values[i] if i else None for i in node.inputs]
        if node.op in ("Shape", "Size") and inputs and isinstance(inputs[0], Stored):
            if len(inputs) != 1:
                raise Refused(f"it has {len(inputs)} inputs; it takes one")
            inputs = [np.empty((self.batch,) * self.lead + inputs[0].shape, dtype=np.bool_)]
        if not any(isinstance(i, Stored) for i in inputs) and find(node.op, node.domain) not in FOLDED_HERE:
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
        check_types(node, inputs, self.model.opset)
        inputs, kept = self._decoded(row, inputs)
        call = Call(node, inputs, self.batch, self.lead, self.model.opset, self.build, self.needed)
        result = row.handler(call)
        return [self._coded(row, r, kept) for r in (result if isinstance(result, tuple) else (result,))]

    def _decoded(self, row: Row, inputs: tuple[Value | None, ...]) -> tuple[tuple[Value | None, ...], Codes | None]:
        """The inputs as reals, and what the result's integers mean: where an operator takes integers as floats."""
        computed = [i for i in inputs if isinstance(i, Stored)]
        coded = [i.codes for i in computed if i.codes is not None]
        if not coded or row.integers == HANDLED:
            return inputs, None
        if row.integers == REFUSED or (row.integers == WRAPPED and coded[0].format.bits > 16):
            raise Refused(f"it computes on integers of type {coded[0]}; only floats are supported")
        if len({None if i.codes is None else i.codes.format for i in computed}) > 1:
            raise Refused("its operands are of different types; cast them to float")
        kept = coded[0]
        constants = row.inputs[1] == MANY and len(computed) < len(inputs)  # which are the integers themselves
        if constants or row.integers != MOVED or kept.axis is not None or any(c != kept for c in coded):
            kept = kept.plain
        return tuple(self._as_real(i, kept) for i in inputs), kept

    def _as_real(self, value: Value | None, kept: Codes) -> Value | None:
        if not isinstance(value, Stored):
            return value
        return replace(recoded(self.build, value, kept), codes=None)

    def _coded(self, row: Row, value: Value | None, kept: Codes | None) -> Value | None:
        """The result, seen as integers again."""
        if kept is None or not isinstance(value, Stored) or value.codes is not None:
            return value
        if row.integers == WRAPPED:
            value = self.build.apply(Unary("wrap", (kept.format.lo, kept.format.hi)), value)
        return replace(value, codes=kept)

    def _arranged(self, name: str, x: Stored) -> Stored:
        """Images stored channels last from the start, where nothing before the first window forbids it."""
        if len(x.shape) + self.lead != IMAGE_AXES or name not in self.image_bound:
            return x
        if self.lead:
            return self.build.arrange(x, CHANNELS_LAST)
        return self.build.arrange(x, (2, 3, 1)) if x.shape[0] == 1 else x

    def _image_bound(self) -> frozenset[str]:
        """The tensors that a window operator (channels first) reads, also through order-free operators."""
        found: set[str] = set()
        for node in reversed(self.model.nodes):
            row = find(node.op, node.domain)
            if row is None:
                continue
            window = row.layout == IMAGE and not node.domain
            if window or (row.layout == ANY and found & set(node.outputs)):
                found |= set(node.inputs) - {""}
        return frozenset(found)
