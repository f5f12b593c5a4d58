"""Number formats for weights as sets of whole numbers: every weight becomes scale * (a member of the set)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.formats import MiniFloat

MOST_BITS = 24  # of the largest member: wider ones leave float32, and any product worth building
MOST_CODE_BITS = 12  # of a format whose members are listed one by one


@dataclass(frozen=True, eq=False)
class Levels:
    """The members of a weight format, ascending int64; real = scale * member, with a scale for each output channel.

    `dense`: the members are all integers between the ends.
    """

    name: str
    members: np.ndarray

    @property
    def largest(self) -> int:
        return int(np.abs(self.members).max())

    @property
    def dense(self) -> bool:
        return len(self.members) == int(self.members[-1] - self.members[0]) + 1

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """The member nearest to each value (float64 in, float64 out)."""
        if self.dense:
            return np.clip(np.rint(values), self.members[0], self.members[-1])
        middles = (self.members[1:] + self.members[:-1]) / 2
        return self.members[np.searchsorted(middles, values)].astype(np.float64)


def weight_levels(text: str) -> Levels:
    """The levels that a format's name means, as in `int4`, `ternary`, `pow2(4)`, `posit(8, 0)`; UserError otherwise."""
    name, arguments = _parsed(text)
    for pattern, count, make in FORMATS:
        match = re.fullmatch(pattern, name)
        if match and len(arguments) == count:
            numbers = (*(int(g) for g in match.groups()), *arguments)
            return _checked(text, make(*numbers))
    raise UserError(f"weight format '{text}' is unknown; known are {KNOWN}")


def _parsed(text: str) -> tuple[str, tuple[int, ...]]:
    """'csd(8, digits=2)' -> ('csd', (8, 2))."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", text)
    if match is None:
        raise UserError(f"weight format '{text}' is not a name or name(numbers); known are {KNOWN}")
    inside = match.group(2)
    parts = [p.split("=")[-1].strip() for p in inside.split(",")] if inside else []
    if not all(re.fullmatch(r"\d{1,3}", p) for p in parts):
        raise UserError(f"weight format '{text}' takes whole numbers in its brackets; known are {KNOWN}")
    return match.group(1), tuple(map(int, parts))


def _checked(text: str, members: np.ndarray | None) -> Levels:
    if members is None or len(members) < 2:
        raise UserError(f"weight format '{text}' has too few or too many bits; known are {KNOWN}")
    levels = Levels(text, np.unique(members))
    if levels.largest >= 1 << MOST_BITS:
        needed = levels.largest.bit_length()
        raise UserError(f"weight format '{text}' spans {needed} bits as integers; at most {MOST_BITS} can be computed")
    return levels


def _integers(bits: int) -> np.ndarray | None:
    """Symmetric: the lowest code stays unused."""
    most = (1 << (bits - 1)) - 1 if bits else 0
    return np.arange(-most, most + 1) if 2 <= bits <= 16 else None


def _powers(bits: int) -> np.ndarray | None:
    """A sign, and an exponent or zero."""
    if not 2 <= bits <= 5:
        return None
    powers = 1 << np.arange((1 << (bits - 1)) - 1)
    return np.concatenate([-powers, [0], powers])


def _signed_digits(bits: int, digits: int) -> np.ndarray | None:
    """Integers of at most `digits` nonzero canonical signed digits."""
    every = _integers(bits) if digits else None
    return None if every is None else every[[_nonzero_digits(int(v)) <= digits for v in every]]


def _nonzero_digits(value: int) -> int:
    """Of the non-adjacent form: the ones of 3 v XOR v."""
    return bin(abs(3 * value) ^ abs(value)).count("1")


def _minifloat(bits: int, exponent: int, mantissa: int) -> np.ndarray | None:
    """With subnormals; e4m3 keeps one code for NaN, wider exponents in the IEEE way keep the highest."""
    if bits != 1 + exponent + mantissa or bits > MOST_CODE_BITS or exponent < 1:
        return None
    bias = max((1 << (exponent - 1)) - 1, 1)
    top = (1 << exponent) - 1
    most = {(4, 3): 448.0, (5, 2): 57344.0}.get((exponent, mantissa), (2 - 2.0**-mantissa) * 2.0 ** (top - bias))
    members = np.array(MiniFloat(exponent, mantissa, bias, most).to_int(np.arange(1 << bits, dtype=np.uint64)))
    frac = bias - 1 + mantissa
    return members[np.abs(members) <= most * 2.0**frac]


def _posit(bits: int, exponent_bits: int) -> np.ndarray | None:
    """Every finite posit, times the power of two that makes the smallest whole."""
    if not 2 <= bits <= MOST_CODE_BITS or exponent_bits > 3:
        return None
    values = np.array([_posit_value(code, bits, exponent_bits) for code in range(1, 1 << (bits - 1))])
    whole = values
    while (whole != np.rint(whole)).any():
        whole = whole * 2
    if whole.max() >= 2.0**62:
        return np.array([0, 1 << 62])
    positive = whole.astype(np.int64)
    return np.concatenate([-positive, [0], positive])


def _posit_value(code: int, bits: int, exponent_bits: int) -> float:
    """A positive posit: regime (a run of equal bits), exponent, fraction."""
    body = format(code, f"0{bits - 1}b")
    run = len(body) - len(body.lstrip(body[0]))
    regime = run - 1 if body[0] == "1" else -run
    rest = body[run + 1 :]
    exponent = int(rest[:exponent_bits].ljust(exponent_bits, "0") or "0", 2)
    fraction = rest[exponent_bits:]
    return 2.0 ** (regime * (1 << exponent_bits) + exponent) * (1 + int("0" + fraction, 2) / (1 << len(fraction)))


Maker = Callable[..., "np.ndarray | None"]
# pattern of the name, how many numbers in brackets, members
FORMATS: tuple[tuple[str, int, Maker], ...] = (
    (r"int(\d{1,2})", 0, _integers),
    (r"ternary", 0, lambda: np.array([-1, 0, 1])),
    (r"binary", 0, lambda: np.array([-1, 1])),
    (r"pow2", 1, _powers),
    (r"csd", 2, _signed_digits),
    (r"fp(\d{1,2})_e(\d)m(\d)", 0, _minifloat),
    (r"posit", 2, _posit),
)
KNOWN = "int2..int16, ternary, binary, pow2(4), csd(8, digits=2), fp8_e4m3, posit(8, 0)"
