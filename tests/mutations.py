"""Damaged ONNX files: a seed -> the bytes of a file, always the same, with 1 to 3 defects each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

import onnx
from google.protobuf.message import DecodeError

from tests.mutation_bases import BASES
from tests.mutation_bytes import damaged, deep
from tests.mutation_fields import field
from tests.mutation_graphs import CHANGES


@dataclass(frozen=True)
class Mutant:
    """The file's bytes, and what was done to which base model."""

    data: bytes
    story: str


@cache
def base(index: int) -> bytes:
    return BASES[index]().SerializeToString()


def mutant(seed: int) -> Mutant:
    """The damaged model of a seed."""
    rng = Random(seed)
    index = rng.randrange(len(BASES))
    if rng.random() < 0.12:
        return Mutant(damaged(base(index), rng), f"{BASES[index].__name__}: bytes")
    proto = onnx.load_model_from_string(base(index))
    story = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = field if rng.random() < 0.35 else rng.choice(CHANGES)
        story.append(f"{change.__name__}({_attempt(change, proto, rng)})")
    return Mutant(proto.SerializeToString() + deep(rng), f"{BASES[index].__name__}: {', '.join(story)}")


def _attempt(change: Callable[[onnx.ModelProto, Random], object], proto: onnx.ModelProto, rng: Random) -> object:
    """A change may not fit what earlier ones left, and protobuf or numpy may refuse to write it."""
    try:
        return change(proto, rng)
    except (IndexError, ValueError, TypeError, KeyError, AttributeError, OverflowError, DecodeError):
        return "does not fit"
