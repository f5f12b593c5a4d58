"""Damage below what protobuf knows: bytes, and messages nested beyond its limit."""

from __future__ import annotations

from random import Random


def damaged(data: bytes, rng: Random) -> bytes:
    """Bytes flipped, cut, repeated or inserted."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, length = rng.randrange(len(found)), rng.choice((1, 1, 2, 5, 40))
        kind = rng.randrange(5)
        if kind == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            found[at] = rng.randrange(256)
        elif kind == 2:
            del found[at : at + length]
        elif kind == 3:
            found[at:at] = found[at : at + length]
        else:
            found[at:at] = rng.randbytes(length)
        found = found or bytearray(b"\x00")
    return bytes(found)


def deep(rng: Random) -> bytes:
    """Rarely: graphs nested far beyond protobuf's limit, merged into the model's graph."""
    depth = 1000 if rng.random() < 0.01 else 0
    data = b""
    for i in range(depth):
        tag = (6, 5, 1)[i % 3]  # AttributeProto.g, NodeProto.attribute, GraphProto.node
        data = bytes([tag << 3 | 2]) + _varint(len(data)) + data
    return bytes([7 << 3 | 2]) + _varint(len(data)) + data if data else b""


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])
