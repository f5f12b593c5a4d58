"""Functions of one number, by the names in codesign/ops/unary.py."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from codesign.exporter.writer import Writer
from codesign.graph import Node

Write = Callable[[Writer, Node, str, tuple[float, ...]], None]


def _plain(op: str, *names: str) -> Write:
    """An operator with the parameters as attributes."""

    def write(w: Writer, node: Node, layout: str, parameters: tuple[float, ...]) -> None:
        attributes: dict[str, Any] = dict(zip(names, parameters))
        w.write(node.name, layout, op, [w.get(node.inputs[0], layout)], **attributes)

    return write


def _clip(w: Writer, node: Node, layout: str, parameters: tuple[float, ...]) -> None:
    ends = [w.constant(p, f"{node.name}.end") if isfinite(p) else "" for p in parameters]
    w.write(node.name, layout, "Clip", [w.get(node.inputs[0], layout), *ends])


def _pow(w: Writer, node: Node, layout: str, parameters: tuple[float, ...]) -> None:
    w.write(node.name, layout, "Pow", [w.get(node.inputs[0], layout), w.constant(parameters[0], f"{node.name}.power")])


def _factor(w: Writer, node: Node, x: str, factor: float, op: str = "Mul") -> str:
    return w.emit(op, [x, w.constant(factor, f"{node.name}.factor")], w.fresh(f"{node.name}.part"))


def _gelu(w: Writer, node: Node, layout: str, parameters: tuple[float, ...]) -> None:
    """0.5 x (1 + erf(x / sqrt 2)), in operators of opset 13."""
    x = w.get(node.inputs[0], layout)
    bent = w.emit("Erf", [_factor(w, node, x, 0.7071067811865476)], w.fresh(f"{node.name}.part"))
    half = _factor(w, node, x, 0.5)
    w.write(node.name, layout, "Mul", [half, _factor(w, node, bent, 1.0, "Add")])


def _hard_swish(w: Writer, node: Node, layout: str, parameters: tuple[float, ...]) -> None:
    """x times clip(x / 6 + 1/2, 0, 1), in operators of opset 13."""
    x = w.get(node.inputs[0], layout)
    gate = w.emit("HardSigmoid", [x], w.fresh(f"{node.name}.part"), alpha=1 / 6, beta=0.5)
    w.write(node.name, layout, "Mul", [x, gate])


def _mish(w: Writer, node: Node, layout: str, parameters: tuple[float, ...]) -> None:
    x = w.get(node.inputs[0], layout)
    soft = w.emit("Softplus", [x], w.fresh(f"{node.name}.part"))
    w.write(node.name, layout, "Mul", [x, w.emit("Tanh", [soft], w.fresh(f"{node.name}.part"))])


NAMES = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "abs": "Abs", "neg": "Neg", "exp": "Exp", "log": "Log",
    "sqrt": "Sqrt", "reciprocal": "Reciprocal", "floor": "Floor", "ceil": "Ceil", "round": "Round", "sign": "Sign",
    "erf": "Erf", "softplus": "Softplus", "softsign": "Softsign",
}  # fmt: skip
FUNCTIONS: dict[str, Write] = {
    **{name: _plain(op) for name, op in NAMES.items()},
    "leaky_relu": _plain("LeakyRelu", "alpha"),
    "elu": _plain("Elu", "alpha"),
    "celu": _plain("Celu", "alpha"),
    "selu": _plain("Selu", "alpha", "gamma"),
    "thresholded_relu": _plain("ThresholdedRelu", "alpha"),
    "hard_sigmoid": _plain("HardSigmoid", "alpha", "beta"),
    "clip": _clip,
    "pow": _pow,
    "gelu": _gelu,
    "hard_swish": _hard_swish,
    "mish": _mish,
}
