"""The table of operators: one row each, with what it accepts. Anything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from codesign.importer import choose, elementwise, linear, quantizers, shapes, spatial
from codesign.importer.call import Call
from codesign.importer.spatial import DOMAIN_LAST
from codesign.importer.values import Quantized, Stored
from codesign.ops.pool import GlobalAveragePool

Result = Union[Stored, Quantized, "tuple[None, Stored]"]
ANY, IMAGE, OWN = "any", "image", "own"
QUANTIZERS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
WINDOW = ("kernel_shape", "strides", "dilations", "pads", "auto_pad")


@dataclass(frozen=True)
class Row:
    """How an operator is converted, how many inputs and which attributes it takes, and its domains.

    `layout`: ANY follows its input's order of axes, IMAGE stores channels last, OWN has its own demands.
    """

    handler: Callable[[Call], Result]
    inputs: tuple[int, int] = (1, 1)
    attributes: tuple[str, ...] = ()
    layout: str = ANY
    domains: tuple[str, ...] = ("",)


def _unary(function: str) -> Row:
    return Row(elementwise.unary(function))


ROWS: dict[str, Row] = {
    "Quant": Row(quantizers.quant, (4, 4), ("signed", "narrow", "rounding_mode"), domains=QUANTIZERS),
    "IntQuant": Row(quantizers.quant, (4, 4), ("signed", "narrow", "rounding_mode"), domains=QUANTIZERS),
    "BipolarQuant": Row(quantizers.bipolar_quant, (2, 2), domains=QUANTIZERS),
    "Trunc": Row(quantizers.trunc, (5, 6), ("rounding_mode", "signed", "narrow"), domains=QUANTIZERS),
    "MultiThreshold": Row(
        quantizers.multi_threshold,
        (2, 2),
        ("out_dtype", "out_scale", "out_bias", "data_layout"),
        domains=QUANTIZERS,
    ),
    "MatMul": Row(linear.matmul, (2, 2), layout=OWN),
    "Gemm": Row(linear.gemm, (2, 3), ("alpha", "beta", "transA", "transB"), OWN),
    "Conv": Row(spatial.conv, (2, 3), (*WINDOW, "group"), IMAGE, ("", DOMAIN_LAST)),
    "MaxPool": Row(spatial.max_pool, (1, 1), (*WINDOW, "ceil_mode", "storage_order"), IMAGE, ("", DOMAIN_LAST)),
    "AveragePool": Row(spatial.average_pool, (1, 1), (*WINDOW, "ceil_mode", "count_include_pad"), IMAGE),
    "GlobalAveragePool": Row(spatial.global_pool(GlobalAveragePool()), layout=IMAGE),
    "GlobalMaxPool": Row(spatial.global_max_pool, layout=IMAGE),
    "ReduceMean": Row(spatial.reduce_mean, (1, 2), ("axes", "keepdims", "noop_with_empty_axes"), IMAGE),
    "Pad": Row(spatial.pad, (1, 4), ("mode", "pads", "value"), IMAGE),
    "BatchNormalization": Row(
        elementwise.batch_normalization, (5, 5), ("epsilon", "momentum", "spatial", "training_mode")
    ),
    "Add": Row(elementwise.add, (2, 2)),
    "Sub": Row(elementwise.sub, (2, 2)),
    "Mul": Row(elementwise.mul, (2, 2)),
    "Div": Row(elementwise.div, (2, 2)),
    "Pow": Row(elementwise.power, (2, 2)),
    "Clip": Row(elementwise.clip, (1, 3), ("min", "max")),
    "LeakyRelu": Row(elementwise.leaky_relu, attributes=("alpha",)),
    "HardSigmoid": Row(elementwise.hard_sigmoid, attributes=("alpha", "beta")),
    "Relu": _unary("relu"),
    "Sigmoid": _unary("sigmoid"),
    "Tanh": _unary("tanh"),
    "Abs": _unary("abs"),
    "Neg": _unary("neg"),
    "Exp": _unary("exp"),
    "Sqrt": _unary("sqrt"),
    "Log": _unary("log"),
    "Floor": _unary("floor"),
    "Ceil": _unary("ceil"),
    "Round": _unary("round"),
    "Sign": _unary("sign"),
    "Reciprocal": _unary("reciprocal"),
    "Erf": _unary("erf"),
    "Identity": Row(elementwise.identity),
    "Dropout": Row(elementwise.dropout, (1, 3), ("ratio", "seed", "is_test")),
    "Cast": Row(elementwise.cast, attributes=("to", "saturate")),
    "Reshape": Row(shapes.reshape, (2, 2), ("allowzero",), OWN),
    "Flatten": Row(shapes.flatten, (1, 1), ("axis",), OWN),
    "Squeeze": Row(shapes.squeeze, (1, 2), ("axes",), OWN),
    "Unsqueeze": Row(shapes.unsqueeze, (1, 2), ("axes",), OWN),
    "Transpose": Row(shapes.transpose, (1, 1), ("perm",), OWN),
    "Concat": Row(shapes.concat, (1, 1 << 16), ("axis",)),
    "Softmax": Row(choose.softmax, attributes=("axis",), layout=OWN),
    "LogSoftmax": Row(choose.log_softmax, attributes=("axis",), layout=OWN),
    "ArgMax": Row(choose.arg_max, (1, 1), ("axis", "keepdims", "select_last_index"), OWN),
    "ArgMin": Row(choose.arg_min, (1, 1), ("axis", "keepdims", "select_last_index"), OWN),
    "TopK": Row(choose.top_k, (1, 2), ("axis", "k", "largest", "sorted"), OWN),
}


def find(op: str, domain: str) -> Row | None:
    """The row of an operator, or None where it is not supported."""
    row = ROWS.get(op)
    return row if row is not None and domain in row.domains else None
