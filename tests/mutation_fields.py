"""Damage to fields of a model's messages, whatever they mean."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import onnx
from google.protobuf.message import Message

from tests.mutation_bytes import damaged

NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    8,
    255,
    256,
    1 << 20,
    1 << 31,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 40,
    (1 << 63) - 1,
    -(1 << 63),
)
REALS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, -3.4e38, 3.4e38, float("nan"), float("inf"), 1e-45)
TEXTS = (
    "",
    "x",
    "y",
    "Relu",
    "é",
    "a/../b",
    "\x00",
    "\n",
    "ghost",
    "A" * 3000,
    "qonnx.custom_op.general",
    "com.microsoft",
)


def _messages(message: Message) -> Iterator[Message]:
    """The message and all within it."""
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _messages(inner)


def field(proto: onnx.ModelProto, rng: Random) -> str:
    """Change one field of one message."""
    messages = [m for m in _messages(proto) if m.ListFields()]
    message = rng.choice(messages)
    descriptor, value = rng.choice(message.ListFields())
    where = f"{type(message).__name__}.{descriptor.name}"
    if rng.random() < 0.15:
        message.ClearField(descriptor.name)
        return f"no {where}"
    if isinstance(value, Message):
        message.ClearField(rng.choice([d.name for d, _ in message.ListFields()]))
    elif hasattr(value, "append") and not isinstance(value, (str, bytes)):
        _change_list(value, rng)
    else:
        setattr(message, descriptor.name, other_value(value, rng))
    return where


def _change_list(values: Any, rng: Random) -> None:
    """Drop, repeat, swap or change one entry."""
    at, kind = rng.randrange(len(values)), rng.randrange(4)
    if kind == 0:
        del values[at]
    elif isinstance(values[at], Message):
        (values.add().CopyFrom if kind == 1 else values[rng.randrange(len(values))].CopyFrom)(values[at])
    elif kind == 1:
        values.append(values[at])
    else:
        values[at] = other_value(values[at], rng)


def other_value(value: Any, rng: Random) -> Any:
    """Another value of the same kind."""
    if isinstance(value, str):
        return rng.choice(TEXTS)
    if isinstance(value, bytes):
        return damaged(value or b"\x00", rng)
    if isinstance(value, float):
        return rng.choice((*REALS, value * 2, -value))
    number = rng.choice((*NUMBERS, value + 1, value - 1, value * 2))
    return max(min(number, (1 << 63) - 1), -(1 << 63))
