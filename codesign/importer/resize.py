"""Resize and Upsample, with exact coordinates."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np

from codesign.importer.call import Call
from codesign.importer.interpolate import Kernel, interpolated
from codesign.importer.pick import taken
from codesign.importer.values import MixesSamples, Refused, Stored
from codesign.ops.moves import Upsample

HALF = Fraction(1, 2)
ROUNDINGS = {
    "round_prefer_floor": lambda x: ceil(x - HALF),
    "round_prefer_ceil": lambda x: floor(x + HALF),
    "floor": floor,
    "ceil": ceil,
}
COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
)


def upsample(call: Call) -> Stored:
    """Scales are an input from opset 9 on, an attribute before."""
    _only(call, "mode", "nearest", ("nearest",))
    scales = call.array(1, "scales").tolist() if call.has(1) else call.numbers("scales")
    lengths = [floor(n * Fraction(s)) for n, s in zip(_fit(call, scales), scales, strict=True)]
    return _resized(call, lengths, list(map(Fraction, scales)), "asymmetric", "floor")


def resize(call: Call) -> Stored:
    """Inputs from opset 11 on: x, roi, scales, sizes; in opset 10: x, scales."""
    old = call.opset < 11
    mode = _only(call, "mode", "nearest", ("nearest",) if old else ("nearest", "linear", "cubic"))
    kind = "asymmetric" if old else _only(call, "coordinate_transformation_mode", "half_pixel", COORDINATES)
    rounding = "floor" if old else _only(call, "nearest_mode", "round_prefer_floor", tuple(ROUNDINGS))
    lengths, scales = _target(call, 1 if old else 2)
    if kind == "align_corners" and any(s * n != m for n, m, s in zip(call.shape(call.tensor()), lengths, scales)):
        # the specification's evaluator takes the fractional length here, onnxruntime the whole one
        raise Refused("align_corners is ambiguous with scales that make no whole length; give sizes instead")
    if mode == "nearest":
        return _resized(call, lengths, scales, kind, rounding)
    if call.integer("antialias", 0):
        raise Refused("attribute 'antialias' is 1, which is not supported")
    kernel = Kernel(mode == "cubic", call.number("cubic_coeff_a", -0.75), bool(call.integer("exclude_outside", 0)))
    return interpolated(call, lengths, scales, lambda i, n, m, s: _coordinate(i, n, m, s, kind), kernel)


def _only(call: Call, attribute: str, default: str, known: tuple[str, ...]) -> str:
    value = call.text(attribute, default)
    if value not in known:
        raise Refused(f"attribute '{attribute}' is {value!r}; supported: {', '.join(known)}")
    return value


def _fit(call: Call, values: list) -> tuple[int, ...]:
    """The input's shape, where there is one value for each axis."""
    shape = call.shape(call.tensor())
    if len(values) != len(shape) or min(values, default=0) <= 0:
        raise Refused(f"its scales or sizes {values} do not fit its input {shape}")
    return shape


def _target(call: Call, index: int) -> tuple[list[int], list[Fraction]]:
    """Length and scale of every axis."""
    shape = call.shape(call.tensor())
    axes = [a % len(shape) for a in call.integers("axes", range(len(shape)))]
    if call.has(index) and call.array(index, "scales").size:
        scales = [Fraction(float(v)) for v in _spread(call.array(index, "scales"), axes, [1] * len(shape))]
        lengths = [floor(n * s) for n, s in zip(_fit(call, scales), scales, strict=True)]
        return lengths, scales
    sizes = [int(v) for v in _spread(call.array(index + 1, "sizes"), axes, list(shape))]
    scales = [Fraction(m, n) for m, n in zip(sizes, _fit(call, sizes), strict=True)]
    policy = _only(call, "keep_aspect_ratio_policy", "stretch", ("stretch", "not_larger", "not_smaller"))
    if policy == "stretch":
        return sizes, scales
    one = (min if policy == "not_larger" else max)(scales[a] for a in axes)
    scales = [one if a in axes else Fraction(1) for a in range(len(shape))]
    return [floor(n * s + HALF) for n, s in zip(shape, scales, strict=True)], scales


def _spread(values: np.ndarray, axes: list[int], default: list[int]) -> list:
    """Values of a few axes among the defaults of all."""
    given = values.reshape(-1).tolist()
    if len(given) != len(axes):
        raise Refused(f"{len(given)} scales or sizes do not fit {len(axes)} axes")
    spread: list = list(default)
    for axis, value in zip(axes, given, strict=True):
        spread[axis] = value
    return spread


def _resized(call: Call, lengths: list[int], scales: list[Fraction], kind: str, rounding: str) -> Stored:
    x = call.tensor()
    if call.lead and (lengths[0] != call.batch or scales[0] != 1):
        raise MixesSamples("it resizes axis 0, which is the sample axis")
    if min(lengths) < 1:
        raise Refused("it leaves no element, and empty tensors are not supported")
    places = [
        _places(n, m, s, kind, rounding)
        for n, m, s in zip(x.shape, lengths[call.lead :], scales[call.lead :], strict=True)
    ]
    factors = [_factor(n, p) for n, p in zip(x.shape, places, strict=True)]
    stretched = [a for a, f in enumerate(factors) if f != 1]
    if 0 not in factors and x.order and all(a in x.order[:-1] for a in stretched):
        return _repeated(call, x, factors)
    for axis, indices in enumerate(places):
        x = taken(call, x, axis, indices)
    return x


def _places(n: int, m: int, scale: Fraction, kind: str, rounding: str) -> tuple[int, ...]:
    """For each of m results the nearest of n elements."""
    if m > 1 << 20:
        raise Refused(f"it makes an axis of {m} elements")
    coordinates = (_coordinate(Fraction(i), n, m, scale, kind) for i in range(m))
    return tuple(min(max(ROUNDINGS[rounding](x), 0), n - 1) for x in coordinates)


def _coordinate(i: Fraction, n: int, m: int, scale: Fraction, kind: str) -> Fraction:
    """The place in the input of result i, as ONNX defines it."""
    if kind == "align_corners":
        return i * (n - 1) / (m - 1) if m > 1 else Fraction(0)
    if kind == "asymmetric":
        return i / scale
    if kind == "tf_half_pixel_for_nn":
        return (i + HALF) / scale
    if kind == "pytorch_half_pixel" and m == 1:
        return Fraction(0)
    x = (i + HALF) / scale - HALF
    if kind == "half_pixel_symmetric":  # the image's centre stays where it is when m is rounded
        return x + Fraction(n, 2) * (1 - m / (scale * n))
    return x


def _factor(n: int, places: tuple[int, ...]) -> int:
    """How often every element is repeated in place; 0 where they are not."""
    factor = len(places) // n
    return factor if places == tuple(i // factor for i in range(n * factor)) and factor else 0


def _repeated(call: Call, x: Stored, factors: list[int]) -> Stored:
    if all(f == 1 for f in factors):
        return x
    shape = tuple(n * f for n, f in zip(x.shape, factors, strict=True))
    return Stored(call.build.emit(Upsample(tuple(factors[a] for a in x.order)), x.name), shape, x.order)
