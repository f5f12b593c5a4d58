"""Streams between stages: element order, lanes, and the only place where bit order exists.

Elements travel in row-major order of a channels-last shape, `lanes` of them a beat; lane 0 sits in the least
significant bits. So (rows, columns, channels) and its flattened vector are the same stream.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.formats import Binary, Format


@dataclass(frozen=True)
class StreamType:
    """One frame: `shape` elements of `format`, `lanes` elements a beat (lanes divides the number of elements)."""

    shape: tuple[int, ...]
    format: Format
    lanes: int = 1

    def __post_init__(self) -> None:
        if self.size % self.lanes:
            raise ValueError(f"{self.lanes} lanes do not divide {self.size} elements")

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def beats(self) -> int:
        """Beats a frame."""
        return self.size // self.lanes

    @property
    def beat_bits(self) -> int:
        return self.lanes * self.format.bits

    @property
    def binary(self) -> bool:
        return isinstance(self.format, Binary)

    def with_lanes(self, lanes: int) -> StreamType:
        return replace(self, lanes=lanes)


def pack(values: np.ndarray, stream: StreamType) -> np.ndarray:
    """Integers (frames, *shape) -> uint32 words (frames, beats, words), little end first."""
    codes = stream.format.encode(values).reshape(-1, stream.beats, stream.lanes)
    octets = codes.astype("<u8").reshape(*codes.shape, 1).view(np.uint8)[..., : -(-stream.format.bits // 8)]
    bits = np.unpackbits(octets, axis=-1, count=stream.format.bits, bitorder="little")
    return bits_to_words(bits.reshape(*codes.shape[:2], -1))


def unpack(words: np.ndarray, stream: StreamType) -> np.ndarray:
    """uint32 words (frames, beats, words) -> int64 values (frames, *shape)."""
    bits = words_to_bits(words)[..., : stream.beat_bits]
    bits = bits.reshape(len(words), stream.size, stream.format.bits).astype(np.uint64)
    codes = (bits << np.arange(stream.format.bits, dtype=np.uint64)).sum(-1, dtype=np.uint64)
    return stream.format.to_int(codes).reshape(len(words), *stream.shape)


def bits_to_words(bits: np.ndarray) -> np.ndarray:
    """Bits (..., n), least significant first -> uint32 words (..., ceil(n/32))."""
    missing = -bits.shape[-1] % 32
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, missing)])
    octets = np.ascontiguousarray(np.packbits(padded, axis=-1, bitorder="little"))
    return octets.view("<u4").astype(np.uint32, copy=False)


def words_to_bits(words: np.ndarray) -> np.ndarray:
    """uint32 words (..., w) -> bits (..., 32 w), least significant first."""
    octets = np.ascontiguousarray(words.astype("<u4", copy=False)).view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little")
