"""Numbers in exactly as many bits as they need: packed side by side, or as a canonical Huffman code."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count

import numpy as np

MOST_LENGTH = 60  # of a code word, in bits


def width_of(largest: int) -> int:
    """Bits of the numbers 0..largest, one at least."""
    return max(int(largest).bit_length(), 1)


def packed(values: np.ndarray, width: int) -> np.ndarray:
    """Numbers 0..2**width - 1 -> bytes, the lowest bit first."""
    bits = (values.astype(np.uint64).reshape(-1, 1) >> np.arange(width, dtype=np.uint64)) & np.uint64(1)
    return np.packbits(bits.astype(np.uint8), bitorder="little")


def unpacked(data: np.ndarray, width: int, size: int) -> np.ndarray:
    """The first `size` numbers of what `packed` gave, int64; ValueError where it is shorter."""
    if 8 * data.size < width * size:
        raise ValueError(f"{data.size} bytes do not hold {size} numbers of {width} bits")
    bits = np.unpackbits(data, count=width * size, bitorder="little").reshape(size, width).astype(np.uint64)
    return (bits << np.arange(width, dtype=np.uint64)).sum(axis=1, dtype=np.uint64).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Huffman:
    """A canonical code: `lengths` of the words of symbols 0, 1, ..; as many symbols as have a length."""

    lengths: np.ndarray

    @classmethod
    def of(cls, symbols: np.ndarray, alphabet: int) -> Huffman:
        """The code of the least bits for these symbols (Huffman, 1952); every symbol of the alphabet has a word."""
        ties = count()
        counts = np.bincount(symbols, minlength=alphabet)
        heap = [(int(n), next(ties), [s]) for s, n in enumerate(counts)]
        heapq.heapify(heap)
        lengths = np.zeros(alphabet, dtype=np.int64)
        if alphabet == 1:
            lengths[:] = 1
        while len(heap) > 1:
            (a, _, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
            lengths[left + right] += 1
            heapq.heappush(heap, (a + b, next(ties), left + right))
        return cls(lengths)

    @property
    def words(self) -> np.ndarray:
        """The code word of each symbol, its first bit the highest of its length."""
        order = np.lexsort((np.arange(len(self.lengths)), self.lengths))
        words, word, before = np.zeros(len(self.lengths), dtype=np.int64), 0, 0
        for k, symbol in enumerate(order):
            word = (word + (k > 0)) << int(self.lengths[symbol] - before)
            words[symbol], before = word, int(self.lengths[symbol])
        return words

    def encode(self, symbols: np.ndarray) -> np.ndarray:
        """Symbols -> bytes."""
        length, word = self.lengths[symbols], self.words[symbols]
        start = np.cumsum(length) - length
        bits = np.zeros(int(length.sum()), dtype=np.uint8)
        for k in range(int(length.max(initial=0))):
            has = length > k
            bits[start[has] + k] = (word[has] >> (length[has] - 1 - k)) & 1
        return np.packbits(bits)

    def decode(self, data: np.ndarray, size: int) -> np.ndarray:
        """The first `size` symbols of what `encode` gave, int64."""
        known = {(int(n), int(w)): s for s, (n, w) in enumerate(zip(self.lengths, self.words))}
        symbols, length, word = [], 0, 0
        for bit in np.unpackbits(data).tolist():
            if len(symbols) == size:
                break
            length, word = length + 1, 2 * word + bit
            symbol = known.get((length, word))
            if symbol is not None:
                symbols.append(symbol)
                length = word = 0
            elif length > MOST_LENGTH:
                break
        if len(symbols) != size:
            raise ValueError(f"the code holds {len(symbols)} of {size} symbols")
        return np.array(symbols, dtype=np.int64)
