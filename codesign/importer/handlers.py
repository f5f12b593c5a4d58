"""The table of operators: one row each, with what it accepts. Anything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Union

import numpy as np

from codesign.importer import (
    choose,
    conv_transpose,
    elementwise,
    float_quantizers,
    linear,
    pad,
    pick,
    pooling,
    qdq,
    qoperators,
    quantizers,
    reduce,
    resize,
    shapes,
    spatial,
    stored,
    typed,
)
from codesign.importer.call import Call
from codesign.importer.spatial import DOMAIN_LAST
from codesign.importer.values import Quantized, Stored
from codesign.ops.elementwise import Add, Maximum, Minimum, Mul, Sub
from codesign.ops.pool import GlobalAveragePool, GlobalMaxPool

Result = Union[Stored, Quantized, np.ndarray, "tuple[Stored | None, ...]"]
ANY, IMAGE, OWN = "any", "image", "own"
QUANTIZERS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
MICROSOFT = ("com.microsoft",)
OWN_DOMAIN = ("codesign",)
WINDOW = ("kernel_shape", "strides", "dilations", "pads", "auto_pad")

# What an operator does with tensors of integers (ONNX's types, not quantized reals):
REFUSED = "refused"  # it computes with floats
MOVED = "moved"  # it only moves or chooses elements, whatever the integers mean
VALUES = "values"  # it computes with the integers' values, its result fits their type
WRAPPED = "wrapped"  # the same, but results overflow as the type does (16 bits or fewer)
HANDLED = "handled"  # its handler knows them


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
    integers: str = REFUSED


def _unary(function: str, integers: str = REFUSED) -> Row:
    return Row(elementwise.unary(function), integers=integers)


def _function(name: str, **defaults: float) -> Row:
    return Row(elementwise.function(name, **defaults), attributes=tuple(defaults))


def _reduction(function: str, integers: str = REFUSED) -> Row:
    attributes = ("axes", "keepdims", "noop_with_empty_axes")
    return Row(reduce.reduction(function), (1, 2), attributes, IMAGE, integers=integers)


def _quantized(handler: Callable[[Call], Result], inputs: tuple[int, int], *attributes: str, layout: str = ANY) -> Row:
    return Row(handler, inputs, attributes, layout, MICROSOFT, HANDLED)


QUANT = Row(quantizers.quant, (4, 4), ("signed", "narrow", "rounding_mode"), domains=QUANTIZERS)
POOL = (*WINDOW, "ceil_mode", "count_include_pad")
ARG = Row(choose.arg_max, (1, 1), ("axis", "keepdims", "select_last_index"), OWN, integers=VALUES)
SOFTMAX = Row(choose.softmax, attributes=("axis",), layout=OWN)
MANY = 1 << 16

ROWS: dict[str, Row] = {
    "Quant": QUANT,
    "IntQuant": QUANT,
    "BipolarQuant": Row(quantizers.bipolar_quant, (2, 2), domains=QUANTIZERS),
    "FloatQuant": Row(
        float_quantizers.float_quant,
        (6, 6),
        ("has_inf", "has_nan", "has_subnormal", "rounding_mode", "saturation"),
        domains=QUANTIZERS,
    ),
    "Trunc": Row(quantizers.trunc, (5, 6), ("rounding_mode", "signed", "narrow"), domains=QUANTIZERS),
    "MultiThreshold": Row(
        quantizers.multi_threshold,
        (2, 2),
        ("out_dtype", "out_scale", "out_bias", "data_layout"),
        domains=QUANTIZERS,
    ),
    "Weights": Row(
        stored.stored_weights, (1, 8), ("storage", "shape", "arrays", "format", *stored.NUMBERS), domains=OWN_DOMAIN
    ),
    "QuantizeLinear": Row(
        qdq.quantize_linear, (2, 3), ("axis", "saturate", "block_size", "output_dtype"), integers=HANDLED
    ),
    "DequantizeLinear": Row(qdq.dequantize_linear, (2, 3), ("axis", "block_size"), integers=HANDLED),
    "QLinearConv": Row(qoperators.conv, (8, 9), (*WINDOW, "group"), IMAGE, integers=HANDLED),
    "QLinearMatMul": Row(qoperators.matmul, (8, 8), layout=OWN, integers=HANDLED),
    "ConvInteger": Row(qoperators.conv_integer, (2, 4), (*WINDOW, "group"), IMAGE, integers=HANDLED),
    "MatMulInteger": Row(qoperators.matmul_integer, (2, 4), layout=OWN, integers=HANDLED),
    "QGemm": _quantized(qoperators.gemm, (6, 9), "alpha", "transA", "transB", layout=OWN),
    "QLinearAdd": _quantized(qoperators.binary(Add()), (7, 8)),
    "QLinearMul": _quantized(qoperators.binary(Mul()), (7, 8)),
    "QLinearConcat": _quantized(qoperators.concat, (5, MANY), "axis"),
    "QLinearGlobalAveragePool": _quantized(qoperators.global_average_pool, (4, 5), "channels_last", layout=IMAGE),
    "QLinearAveragePool": _quantized(qoperators.average_pool, (4, 5), *POOL, "channels_last", layout=IMAGE),
    "QLinearLeakyRelu": _quantized(qoperators.leaky_relu, (4, 5), "alpha"),
    "QLinearSigmoid": _quantized(qoperators.sigmoid, (4, 5)),
    "MatMul": Row(linear.matmul, (2, 2), layout=OWN),
    "Gemm": Row(linear.gemm, (2, 3), ("alpha", "beta", "transA", "transB"), OWN),
    "Conv": Row(spatial.conv, (2, 3), (*WINDOW, "group"), IMAGE, ("", DOMAIN_LAST)),
    "ConvTranspose": Row(
        conv_transpose.conv_transpose, (2, 3), (*WINDOW, "group", "output_padding", "output_shape"), IMAGE
    ),
    "MaxPool": Row(pooling.max_pool, (1, 1), (*WINDOW, "ceil_mode", "storage_order"), IMAGE, ("", DOMAIN_LAST), MOVED),
    "AveragePool": Row(pooling.average_pool, (1, 1), POOL, IMAGE),
    "GlobalAveragePool": Row(pooling.global_pool(GlobalAveragePool()), layout=IMAGE),
    "GlobalMaxPool": Row(pooling.global_pool(GlobalMaxPool()), layout=IMAGE, integers=MOVED),
    "ReduceMean": _reduction("mean"),
    "ReduceSum": _reduction("sum"),
    "ReduceMax": _reduction("max", VALUES),
    "ReduceMin": _reduction("min", VALUES),
    "Pad": Row(pad.pad, (1, 4), ("mode", "pads", "value"), IMAGE, integers=VALUES),
    "Resize": Row(
        resize.resize,
        (1, 4),
        (
            *("antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside"),
            *("extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"),
        ),
        integers=MOVED,
    ),
    "Upsample": Row(resize.upsample, (1, 2), ("mode", "scales"), integers=MOVED),
    "DepthToSpace": Row(pooling.depth_to_space, (1, 1), ("blocksize", "mode"), IMAGE, integers=MOVED),
    "SpaceToDepth": Row(pooling.space_to_depth, (1, 1), ("blocksize",), IMAGE, integers=MOVED),
    "BatchNormalization": Row(
        elementwise.batch_normalization, (5, 5), ("epsilon", "momentum", "spatial", "training_mode")
    ),
    "Add": Row(elementwise.binary(Add()), (2, 2), integers=WRAPPED),
    "Sub": Row(elementwise.binary(Sub()), (2, 2), integers=WRAPPED),
    "Mul": Row(elementwise.binary(Mul()), (2, 2), integers=WRAPPED),
    "Div": Row(elementwise.div, (2, 2)),
    "Pow": Row(typed.power, (2, 2), integers=HANDLED),
    "Min": Row(elementwise.variadic(Minimum()), (1, MANY), integers=VALUES),
    "Max": Row(elementwise.variadic(Maximum()), (1, MANY), integers=VALUES),
    "Clip": Row(typed.clip, (1, 3), ("min", "max"), integers=HANDLED),
    "PRelu": Row(elementwise.p_relu, (2, 2)),
    "LeakyRelu": _function("leaky_relu", alpha=0.01),
    "HardSigmoid": _function("hard_sigmoid", alpha=0.2, beta=0.5),
    "Elu": _function("elu", alpha=1.0),
    "Celu": _function("celu", alpha=1.0),
    "Selu": _function("selu", alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "ThresholdedRelu": _function("thresholded_relu", alpha=1.0),
    "Gelu": Row(elementwise.gelu, attributes=("approximate",)),
    "HardSwish": _unary("hard_swish"),
    "Softplus": _unary("softplus"),
    "Softsign": _unary("softsign"),
    "Mish": _unary("mish"),
    "Relu": _unary("relu", VALUES),
    "Sigmoid": _unary("sigmoid"),
    "Tanh": _unary("tanh"),
    "Abs": _unary("abs", WRAPPED),
    "Neg": _unary("neg", WRAPPED),
    "Exp": _unary("exp"),
    "Sqrt": _unary("sqrt"),
    "Log": _unary("log"),
    "Floor": _unary("floor"),
    "Ceil": _unary("ceil"),
    "Round": _unary("round"),
    "Sign": _unary("sign", VALUES),
    "Reciprocal": _unary("reciprocal"),
    "Erf": _unary("erf"),
    "Identity": Row(elementwise.identity, integers=MOVED),
    "Dropout": Row(elementwise.dropout, (1, 3), ("ratio", "seed", "is_test")),
    "Cast": Row(typed.cast, attributes=("to", "saturate"), integers=HANDLED),
    "Reshape": Row(shapes.reshape, (2, 2), ("allowzero",), OWN, integers=MOVED),
    "Flatten": Row(shapes.flatten, (1, 1), ("axis",), OWN, integers=MOVED),
    "Squeeze": Row(shapes.squeeze, (1, 2), ("axes",), OWN, integers=MOVED),
    "Unsqueeze": Row(shapes.unsqueeze, (1, 2), ("axes",), OWN, integers=MOVED),
    "Transpose": Row(shapes.transpose, (1, 1), ("perm",), OWN, integers=MOVED),
    "Concat": Row(shapes.concat, (1, MANY), ("axis",), integers=MOVED),
    "Split": Row(pick.split, (1, 2), ("axis", "split", "num_outputs"), integers=MOVED),
    "Slice": Row(pick.slices, (1, 5), ("axes", "starts", "ends"), integers=MOVED),
    "Expand": Row(pick.expand, (2, 2), integers=MOVED),
    "Tile": Row(pick.tile, (2, 2), integers=MOVED),
    "Softmax": SOFTMAX,
    "LogSoftmax": replace(SOFTMAX, handler=choose.log_softmax),
    "Hardmax": replace(SOFTMAX, handler=choose.hardmax),
    "ArgMax": ARG,
    "ArgMin": replace(ARG, handler=choose.arg_min),
    "TopK": Row(choose.top_k, (1, 2), ("axis", "k", "largest", "sorted"), OWN, integers=VALUES),
}


def find(op: str, domain: str) -> Row | None:
    """The row of an operator, or None where it is not supported."""
    row = ROWS.get(op)
    return row if row is not None and domain in row.domains else None
