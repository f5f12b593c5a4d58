"""The processor's work before and after the accelerator, as steps of whole arrays that NumPy alone can run.

The program is plain data for the manifest; `boards/driver.py` binds its arrays once and runs it on a board without
codesign, with the emulator's own operations in the emulator's order. A step is `do` (a NumPy ufunc, or one of the
driver's few other functions), `of` (names of arrays, or constants), `to`, and the `type` and `shape` of that array,
sample axis left out. A step may write into an array that is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.formats import Binary, Format
from codesign.graph import Constant, Dequantize, Graph, Node
from codesign.ops.argmax import ArgMax
from codesign.ops.elementwise import Add, Div, Maximum, Minimum, Mul, Sub
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.moves import Expand, Slice
from codesign.ops.quantize import NOISE, Quantize
from codesign.ops.softmax import Softmax
from codesign.ops.threshold import Threshold, round_up
from codesign.ops.unary import Unary
from codesign.passes.inputs import assumed_inputs
from codesign.passes.split import Model

MOST_CONSTANTS = 1 << 16  # numbers in a manifest
_LARGEST = float(np.finfo(np.float64).max)  # in the place of infinity, which JSON has not
_UFUNCS = {
    "sigmoid": ("negative", "exp", 1.0), "tanh": ("tanh",), "abs": ("absolute",), "neg": ("negative",),
    "exp": ("exp",), "log": ("log",), "sqrt": ("sqrt",), "floor": ("floor",), "ceil": ("ceil",), "round": ("rint",),
    "sign": ("sign",),
}  # fmt: skip
_ROUNDINGS = {"ROUND": "rint", "HALF_EVEN": "rint", "CEIL": "ceil", "FLOOR": "floor", "DOWN": "trunc"}
Ref = Any  # the name of an array, or a constant as (nested) lists


def describe_host(network: Model) -> dict[str, Any]:
    """`before` and `after`, each a list of steps; or under `missing` which node has no such form."""
    try:
        before, after = _Writer(network.before), _Writer(network.after)
        given = [{"name": i.name, "shape": list(i.type.shape)} for i in network.before.inputs]
        names = {i.name: before.take(i.name) for i in network.before.inputs}
        before.write(names, assumed_inputs(network.before))
        into = [before.code(i.name, i.type.format) for i in network.core.inputs]
        kept = {i.name: before.kept(i.name) for i in network.after.inputs if i.name not in network.core.outputs}
        after.write({**{o: o for o in network.core.outputs}, **kept}, ())
        results = [after.result(o) for o in network.after.outputs]
    except Unwritable as e:
        return {"missing": str(e)}
    constants = sum(_count(of) for s in (*before.steps, *after.steps) for of in s["of"])
    if constants > MOST_CONSTANTS:
        return {"missing": f"the host's part has {constants} constants, and {MOST_CONSTANTS} go into a manifest"}
    return {"inputs": given, "before": before.steps, "into": into, "after": after.steps, "results": results}


def _count(ref: Ref) -> int:
    return sum(map(_count, ref)) if isinstance(ref, list) else int(not isinstance(ref, str))


class Unwritable(Exception):
    """A node that the driver cannot run; says which."""


def _no_form(node: Node, what: str) -> Unwritable:
    return Unwritable(
        f"node '{node.label}' ({what}): the driver has no vectorised form of it for the board's "
        "processor; end the network before it"
    )


@dataclass
class _Writer:
    """Steps of a graph; `names`: where the values of its tensors stand. Binary tensors stand as codes 0 and 1."""

    graph: Graph
    steps: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, Ref] = field(default_factory=dict)

    def do(
        self, what: str, to: str, of: Sequence[Ref], shape: Sequence[int], kind: str = "float64", **more: Any
    ) -> str:
        self.steps.append({"do": what, "of": list(of), "to": to, "type": kind, "shape": list(shape), **more})
        return to

    def take(self, name: str) -> str:
        """A given tensor in float64, or as it is where only comparisons read it."""
        shape = self.graph.types[name].shape
        if self.graph.types[name].is_integer or self._only_compared(name):
            return name
        return self.do("copy", f"{name}:real", [name], shape)

    def _only_compared(self, name: str) -> bool:
        return all(getattr(n.op, "only_compares", False) for n in self.graph.readers[name])

    def kind(self, name: str) -> str:
        """The NumPy type in which a tensor's values stand."""
        return "float32" if any(i.name == name for i in self.graph.inputs) and self._only_compared(name) else "float64"

    def write(self, names: Mapping[str, Ref], assumed: Sequence[str]) -> None:
        self.names.update(names)
        for node in self.graph.nodes:
            writer = _WRITERS.get(type(node.op))
            if writer is None:
                raise _no_form(node, type(node.op).__name__)
            self.names[node.name] = writer(self, node, [self.names[i] for i in node.inputs])
            if node.name in assumed:
                self._limit(node)

    def _limit(self, node: Node) -> None:
        """The emulator refuses values outside of a format that was assumed, and so does the driver."""
        assert isinstance(node.op, Quantize)
        step = next(s for s in self.steps if s["to"].startswith(f"{node.name}:"))
        at = self.steps.index(step) + 1
        limits = [float(node.op.format.lo), float(node.op.format.hi)]
        self.steps.insert(at, {**step, "do": "within", "of": [step["to"], *limits], "input": node.inputs[0]})

    def code(self, name: str, fmt: Format | None) -> str:
        """The tensor as codes in the smallest NumPy integers, behind the steps."""
        assert fmt is not None
        shape, bits = self.graph.types[name].shape, next(b for b in (8, 16, 32, 64) if b >= fmt.bits)
        kind = f"{'int' if fmt.signed and not isinstance(fmt, Binary) else 'uint'}{bits}"
        return self.do("copy", f"{name}:code", [self.names[name]], shape, kind)

    def kept(self, name: str) -> str:
        if isinstance(self.graph.types[name].format, Binary):
            raise Unwritable(f"'{name}' goes around the accelerator in binary; the driver keeps real tensors only")
        return self.names[name]

    def result(self, name: str) -> dict[str, Any]:
        t = self.graph.types[name]
        return {"name": name, "of": self.names[name], "shape": list(t.shape),
                "type": "int64" if t.is_integer else "float32"}  # fmt: skip


def _constant(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    assert isinstance(node.op, Constant)
    return np.clip(node.op.value.astype(np.float64), -_LARGEST, _LARGEST).tolist()


def _dequantize(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    t = w.graph.types[node.inputs[0]]
    value, shape = of[0], t.shape
    if isinstance(t.format, Binary) and node.inputs[0] not in {i.name for i in w.graph.inputs}:
        value = w.do("multiply", f"{node.name}:two", [value, 2.0], shape)
        value = w.do("subtract", f"{node.name}:sign", [value, 1.0], shape)
    if any(t.zero_point):
        value = w.do("subtract", f"{node.name}:centered", [value, list(map(float, t.zero_point))], shape)
    return w.do("multiply", node.name, [value, list(t.scale)], shape)


def _quantize(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    assert isinstance(node.op, Quantize)
    op, shape, name = node.op, w.graph.types[node.name].shape, node.name
    x = w.do("divide", f"{name}:levels", [of[0], list(op.scale)], shape)
    if any(op.zero_point):
        x = w.do("add", f"{name}:levels", [x, list(map(float, op.zero_point))], shape)
    if isinstance(op.format, Binary):
        return w.do("greater_equal", name, [x, 0.0], shape, "uint8")
    if op.rounding not in _ROUNDINGS:
        raise Unwritable(f"node '{node.label}' (Quantize): the driver cannot round {op.rounding}")
    # Clipped in a copy of its own, so that a check of the range still finds the levels.
    x = w.do("maximum", f"{name}:clipped", [x, float(op.format.lo)], shape)
    x = w.do("minimum", x, [x, float(op.format.hi)], shape)
    _settle(w, name, x, shape)
    shift = [float(z % 2) for z in op.zero_point] if op.offset_last else [0.0]
    if any(shift):
        x = w.do("subtract", x, [x, shift], shape)
    x = w.do(_ROUNDINGS[op.rounding], x, [x], shape)
    return w.do("add", x, [x, shift], shape) if any(shift) else x


def _settle(w: _Writer, name: str, x: str, shape: Sequence[int]) -> None:
    """As codesign.ops.quantize._settled: what lies within float64's own noise of half a step is half a step."""
    halves = w.do("multiply", f"{name}:halves", [x, 2.0], shape)
    halves = w.do("rint", halves, [halves], shape)
    halves = w.do("multiply", halves, [halves, 0.5], shape)
    off = w.do("subtract", f"{name}:off", [x, halves], shape)
    off = w.do("absolute", off, [off], shape)
    noise = w.do("absolute", f"{name}:noise", [x], shape)
    noise = w.do("maximum", noise, [noise, 1.0], shape)
    noise = w.do("multiply", noise, [noise, NOISE], shape)
    near = w.do("less_equal", f"{name}:near", [off, noise], shape, "bool")
    w.do("copy_where", x, [halves, near], shape)


def _threshold(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    assert isinstance(node.op, Threshold)
    op, shape = node.op, w.graph.types[node.name].shape
    if isinstance(w.graph.types[node.inputs[0]].format, Binary):
        raise Unwritable(f"node '{node.label}' (Threshold) reads binary values on the host")
    kind = w.kind(node.inputs[0])
    with np.errstate(over="ignore"):
        levels = round_up(op.thresholds.astype(np.float64), np.dtype(kind)).astype(np.float64)
    count = _reached(w, node.name, of[0], np.clip(levels, -_LARGEST, _LARGEST), shape)
    if isinstance(op.format, Binary):  # as codes: half of what the values are
        base, step = (op.base + 1) // 2, op.step // 2
    else:
        base, step = op.base, op.step
    if (step == 1).all() and not base.any():
        return count
    value = w.do("multiply", f"{node.name}:steps", [count, step.astype(float).tolist()], shape)
    return w.do("add", node.name, [value, base.astype(float).tolist()], shape)


def _reached(w: _Writer, name: str, x: Ref, levels: np.ndarray, shape: Sequence[int]) -> str:
    """How many levels (C or 1, L) each element of x has reached."""
    if len(levels) == 1 and levels.shape[1] > 1:
        return w.do("count", f"{name}:count", [levels[0].tolist(), x], shape, "intp")
    count = w.do("greater_equal", f"{name}:count", [x, levels[:, 0].tolist()], shape, "uint16")
    for level in levels[:, 1:].T:
        more = w.do("greater_equal", f"{name}:more", [x, level.tolist()], shape, "uint16")
        count = w.do("add", count, [count, more], shape, "uint16")
    return count


def _ufunc(name: str) -> Callable[[_Writer, Node, list[Ref]], Ref]:
    return lambda w, node, of: w.do(name, node.name, of, w.graph.types[node.name].shape)


def _unary(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    assert isinstance(node.op, Unary)
    function, shape, name = node.op.function, w.graph.types[node.name].shape, node.name
    if function in ("relu", "clip"):
        low, *high = node.op.parameters or (0.0,)
        value = w.do("maximum", name, [of[0], max(low, -_LARGEST)], shape)
        return w.do("minimum", name, [value, min(high[0], _LARGEST)], shape) if high else value
    if function not in _UFUNCS:
        raise _no_form(node, function)
    value = of[0]
    for step in _UFUNCS[function]:
        if isinstance(step, float):  # 1 / (1 + value)
            value = w.do("divide", name, [1.0, w.do("add", name, [1.0, value], shape)], shape)
        else:
            value = w.do(step, name, [value], shape)
    return value


def _softmax(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    assert isinstance(node.op, Softmax)
    shape, name = w.graph.types[node.name].shape, node.name
    one = [*shape[:-1], 1]
    below = w.do("subtract", f"{name}:below", [of[0], w.do("max", f"{name}:max", [of[0]], one)], shape)
    powers = w.do("exp", name, [below], shape)
    total = w.do("sum", f"{name}:sum", [powers], one)
    if not node.op.log:
        return w.do("divide", name, [powers, total], shape)
    return w.do("subtract", name, [below, w.do("log", total, [total], one)], shape)


def _argmax(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    assert isinstance(node.op, ArgMax)
    return w.do("argmin" if node.op.least else "argmax", node.name, of, w.graph.types[node.name].shape, "intp")


def _moved(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    """Another view of the same array: costs nothing when it runs."""
    if not isinstance(of[0], str):
        raise UserError(f"node '{node.name}' moves a constant")  # folded by the importer
    more = {k: list(v) for k, v in vars(node.op).items() if k != "shape"}
    kind = type(node.op).__name__.lower()
    return w.do(kind, node.name, of, w.graph.types[node.name].shape, "view", **more)


def _concat(w: _Writer, node: Node, of: list[Ref]) -> Ref:
    assert isinstance(node.op, Concat)
    shape = w.graph.types[node.name].shape
    if not all(isinstance(x, str) for x in of):
        raise Unwritable(f"node '{node.label}' (Concat) joins a constant, which the driver cannot")
    return w.do("concatenate", node.name, of, shape, axis=node.op.axis % len(shape) + 1)


_WRITERS: dict[type, Callable[[_Writer, Node, list[Ref]], Ref]] = {
    Constant: _constant, Dequantize: _dequantize, Quantize: _quantize, Threshold: _threshold, Unary: _unary,
    Softmax: _softmax, ArgMax: _argmax, Reshape: _moved, Transpose: _moved, Slice: _moved, Expand: _moved,
    Concat: _concat, Add: _ufunc("add"), Sub: _ufunc("subtract"), Mul: _ufunc("multiply"), Div: _ufunc("divide"),
    Minimum: _ufunc("minimum"), Maximum: _ufunc("maximum"),
}  # fmt: skip
