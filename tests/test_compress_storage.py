"""Encodings of weights: exact in both directions, and their true size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.compress.bits import Huffman, packed, unpacked, width_of
from codesign.compress.sparse import Rows
from codesign.compress.storage import decode, encode
from codesign.errors import UserError
from codesign.formats import Binary, Int

LECTURE = [{2: 6, 3: 4}, {3: 3, 4: 5, 5: 7}, {4: 8}, {0: 8, 2: 4, 3: 3}, {}, {0: 5, 1: 9}]
FOUR = [{}, {0: 5, 1: 8}, {2: 3}, {1: 6}]
STORAGES = ("csr", "csr+huffman", "bcsr(2x3)", "bcsr(4x4)+huffman", "huffman")


def matrix(rows: list[dict[int, float]], columns: int) -> np.ndarray:
    m = np.zeros((len(rows), columns))
    for r, row in enumerate(rows):
        m[r, list(row)] = list(row.values())
    return m


def test_compressed_rows_of_the_lecture() -> None:
    """KNOWN_ANSWERS row 4."""
    found = Rows.of(matrix(LECTURE, 6))
    assert found.a.ravel().tolist() == [6, 4, 3, 5, 7, 8, 8, 4, 3, 5, 9]
    assert found.ja.tolist() == [2, 3, 3, 4, 5, 4, 0, 2, 3, 0, 1]
    assert found.ia.tolist() == [0, 2, 5, 6, 9, 9, 11]
    four = Rows.of(matrix([{}, {0: 5, 1: 8}, {2: 3}, {1: 6}], 4))
    assert (four.a.ravel().tolist(), four.ja.tolist(), four.ia.tolist()) == (
        [5, 8, 3, 6],
        [0, 1, 2, 1],
        [0, 0, 2, 3, 4],
    )


def test_compressed_rows_take_what_their_three_arrays_take() -> None:
    """11 entries of 4 bytes, 11 columns of 3 bits, 6 ends of 4 bits."""
    assert encode("csr", matrix(LECTURE, 6), None).bytes == 44 + 5 + 3
    assert encode("csr", matrix(LECTURE, 6), Int(-15, 15)).bytes == 7 + 5 + 3  # entries of 5 bits


def test_blocks_are_kept_whole() -> None:
    found = Rows.of(matrix(LECTURE, 6), (2, 3))
    assert found.a.shape == (5, 2, 3) and found.ja.tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(found.dense, matrix(LECTURE, 6))


@given(st.data())
def test_every_storage_gives_back_what_it_was_given(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    fmt = data.draw(st.sampled_from([None, Int(-7, 7), Int(0, 12), Binary()]))
    if fmt == Binary():
        value = rng.choice([-1.0, 1.0], shape)
    else:
        value = rng.integers(fmt.lo if fmt else -40, (fmt.hi if fmt else 40) + 1, shape) * (rng.random(shape) < 0.4)
    value = value * (1.0 if fmt else 0.375)
    for storage in STORAGES:
        np.testing.assert_array_equal(decode(storage, encode(storage, value, fmt), fmt), value)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=300))
def test_huffman_is_prefix_free_exact_and_within_a_bit_of_the_entropy(symbols: list[int]) -> None:
    values = np.array(symbols)
    code = Huffman.of(values, int(values.max()) + 1)
    np.testing.assert_array_equal(code.decode(code.encode(values), len(values)), values)
    assert sum(2.0 ** -int(n) for n in code.lengths) <= 1
    counts = np.bincount(values)
    shares = counts[counts > 0] / len(values)
    entropy = -(shares * np.log2(shares)).sum()
    used = Huffman.of(np.unique(values, return_inverse=True)[1], len(shares))
    assert entropy <= (used.lengths * shares).sum() + 1e-9 < entropy + 1 + 1e-6 or len(shares) == 1


@given(st.integers(1, 40), st.data())
def test_packing_takes_whole_bits(width: int, data: st.DataObject) -> None:
    values = np.array(data.draw(st.lists(st.integers(0, (1 << width) - 1), max_size=20)), dtype=np.int64)
    assert packed(values, width).nbytes == -(-width * len(values) // 8)
    np.testing.assert_array_equal(unpacked(packed(values, width), width, len(values)), values)
    assert [width_of(n) for n in (0, 1, 2, 255, 256)] == [1, 1, 2, 8, 9]


def test_a_code_of_too_many_symbols_is_refused() -> None:
    with pytest.raises(UserError, match="too many"):
        encode("huffman", np.arange(1 << 17, dtype=np.float64)[None], None)
    with pytest.raises(UserError, match="unknown"):
        encode("zip", np.ones((1, 1)), None)
