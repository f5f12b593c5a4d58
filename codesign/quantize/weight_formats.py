"""Number formats for weights by name, as in `int4`, `uint4`, `pow2(4)`, `bfp(8, block=16) per-tensor`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.formats import BlockFloat, Int, MiniFloat
from codesign.quantize.levels import Affine, Blocks, Levels, Members

MOST_BITS = 49  # of the largest level as an integer: times an activation it stays exact in float64
MOST_CODE_BITS = 12  # of a format whose levels are listed one by one
KNOWN = (
    "int2..int16 (symmetric), uint2..uint16 (affine), ternary, binary, pow2(4), csd(8, digits=2), fp8_e4m3, fp8_e5m2, "
    "fp6_e3m2, fp4_e2m1, bfp(8, block=16), posit(8, 0), each also with 'per-tensor' behind it"
)


@dataclass(frozen=True)
class WeightFormat:
    """The levels of the weights, and whether one scale serves all output channels (`per_tensor`).

    `fixed`: the weights were quantized before, and stay as they are.
    """

    name: str
    levels: Levels
    per_tensor: bool = False
    fixed: bool = False


def weight_format(text: str) -> WeightFormat:
    """The format that a name means; UserError otherwise."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?(\s+per-tensor)?\s*", text)
    if match is None:
        raise UserError(f"weight format '{text}' is unknown; known are {KNOWN}")
    name, inside, shared = match.groups()
    for pattern, parameters, make in FORMATS:
        found = re.fullmatch(pattern, name)
        if found and bool(parameters) == (inside is not None):
            arguments = _bound(text, inside, parameters) if parameters else tuple(map(int, found.groups()))
            return WeightFormat(text.strip(), _checked(text, make(*arguments)), shared is not None)
    raise UserError(f"weight format '{text}' is unknown; known are {KNOWN}")


def _bound(text: str, inside: str, parameters: tuple[str, ...]) -> tuple[int, ...]:
    """'8, digits=2' -> (8, 2): in order, or by name."""
    given: dict[str, int] = {}
    for k, part in enumerate(inside.split(",")):
        match = re.fullmatch(r"\s*(?:(\w+)\s*=)?\s*(\d{1,4})\s*", part)
        key = (match.group(1) or parameters[min(k, len(parameters) - 1)]) if match else ""
        if match is None or key not in parameters or key in given:
            break
        given[key] = int(match.group(2))
    else:
        if len(given) == len(parameters):
            return tuple(given[p] for p in parameters)
    raise UserError(f"weight format '{text}' takes ({', '.join(parameters)}), whole numbers; known are {KNOWN}")


def _checked(text: str, levels: Levels | str) -> Levels:
    """The levels that a maker gives; UserError with its reason where it gives none."""
    if isinstance(levels, str):
        raise UserError(f"weight format '{text}': {levels}")
    return levels


def _integers(bits: int) -> Levels | str:
    """Symmetric: the lowest code stays unused."""
    return Members(_symmetric(bits)) if 2 <= bits <= 16 else "symmetric integers have 2 to 16 bits"


def _symmetric(bits: int) -> np.ndarray:
    fmt = Int.of(bits, signed=True, narrow=True)
    return np.arange(fmt.lo, fmt.hi + 1)


def _affine(bits: int) -> Levels | str:
    return Affine(1 << bits) if 2 <= bits <= 16 else "affine integers have 2 to 16 bits"


def _powers(bits: int) -> Levels | str:
    """A sign, and an exponent or zero."""
    if not 2 <= bits <= 5:
        return "powers of two have 2 to 5 bits, their sign included"
    powers = 1 << np.arange((1 << (bits - 1)) - 1)
    return Members(np.concatenate([-powers[::-1], [0], powers]))


def _signed_digits(bits: int, digits: int) -> Levels | str:
    """Integers of at most `digits` nonzero canonical signed digits."""
    if not (2 <= bits <= 16 and 1 <= digits <= bits):
        return "bits are 2 to 16, nonzero digits 1 to as many as there are bits"
    every = _symmetric(bits)
    return Members(every[[_nonzero_digits(int(v)) <= digits for v in every]])


def _nonzero_digits(value: int) -> int:
    """Of the non-adjacent form: the ones of 3 v XOR v."""
    return bin(abs(3 * value) ^ abs(value)).count("1")


def _minifloat(bits: int, exponent: int, mantissa: int) -> Levels | str:
    """With subnormals; e4m3 keeps one code for NaN, e5m2 in the IEEE way the highest exponent (OCP 8-bit formats)."""
    if bits != 1 + exponent + mantissa or not 1 <= exponent <= 5 or bits > MOST_CODE_BITS:
        return f"a small float has 1 + exponent + mantissa bits, {MOST_CODE_BITS} at most, 1 to 5 of them exponent"
    bias = max((1 << (exponent - 1)) - 1, 1)
    top = (1 << exponent) - 1
    most = {(4, 3): 448.0, (5, 2): 57344.0}.get((exponent, mantissa), (2 - 2.0**-mantissa) * 2.0 ** (top - bias))
    fmt = MiniFloat(exponent, mantissa, bias, most)
    levels = np.unique(fmt.to_int(np.arange(1 << bits, dtype=np.uint64)))
    return Members(levels[np.abs(levels) <= fmt.hi])


def _blocks(bits: int, block: int) -> Levels | str:
    if not (2 <= bits <= 16 and 1 <= block <= 1024):
        return "mantissas have 2 to 16 bits, a block 1 to 1024 weights"
    return Blocks(BlockFloat(bits, block))


def _posit(bits: int, exponent_bits: int) -> Levels | str:
    """Every finite posit, times the power of two that makes the smallest whole."""
    if not (2 <= bits <= MOST_CODE_BITS and exponent_bits <= 3):
        return f"posits have 2 to {MOST_CODE_BITS} bits, es is 0 to 3"
    span = 2 * (bits - 2) << exponent_bits  # log2 of largest / smallest
    if span >= MOST_BITS:
        return f"spans {span + 1} bits as integers; at most {MOST_BITS} can be computed"
    values = [_posit_value(code, bits, exponent_bits) for code in range(1, 1 << (bits - 1))]
    positive = np.ldexp(values, span // 2).astype(np.int64)
    return Members(np.concatenate([-positive[::-1], [0], positive]))


def _posit_value(code: int, bits: int, exponent_bits: int) -> float:
    """A positive posit: regime (a run of equal bits), exponent, fraction."""
    body = format(code, f"0{bits - 1}b")
    run = len(body) - len(body.lstrip(body[0]))
    regime = run - 1 if body[0] == "1" else -run
    rest = body[run + 1 :]
    exponent = int(rest[:exponent_bits].ljust(exponent_bits, "0") or "0", 2)
    fraction = rest[exponent_bits:]
    return 2.0 ** (regime * (1 << exponent_bits) + exponent) * (1 + int("0" + fraction, 2) / (1 << len(fraction)))


Maker = Callable[..., "Levels | str"]
# pattern of the name, names of the numbers in brackets (else those of the pattern count), levels or what is wrong
FORMATS: tuple[tuple[str, tuple[str, ...], Maker], ...] = (
    (r"int(\d{1,2})", (), _integers),
    (r"uint(\d{1,2})", (), _affine),
    (r"ternary", (), lambda: Members(np.array([-1, 0, 1]))),
    (r"binary", (), lambda: Members(np.array([-1, 1]))),
    (r"pow2", ("bits",), _powers),
    (r"csd", ("bits", "digits"), _signed_digits),
    (r"fp(\d{1,2})_e(\d)m(\d)", (), _minifloat),
    (r"bfp", ("bits", "block"), _blocks),
    (r"posit", ("bits", "es"), _posit),
)
