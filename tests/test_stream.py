"""Packing into words and back, whatever the memory order of the values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codesign.formats import Binary, Int
from hw.stream import StreamType, pack, unpack

FORMATS = [Binary(), Int(0, 1), Int(-1, 1), Int(-5, 9), Int.of(8, True), Int.of(17, False), Int(-(2**40), 3)]


@given(st.sampled_from(FORMATS), st.integers(1, 5), st.integers(1, 7), st.integers(1, 40), st.integers(0, 99))
def test_unpack_undoes_pack(fmt, frames, beats, lanes, seed):
    stream = StreamType((beats, lanes), fmt, lanes)
    values = np.random.default_rng(seed).integers(fmt.lo, fmt.hi, (frames, beats, lanes), endpoint=True)
    values = np.where(values >= 0, 1, -1) if stream.binary else values
    words = pack(np.asfortranarray(values), stream)
    assert words.shape == (frames, beats, -(-stream.beat_bits // 32)) and words.dtype == np.uint32
    np.testing.assert_array_equal(unpack(words, stream), values)


def test_lane_0_is_lowest_and_elements_are_in_twos_complement():
    words = pack(np.array([[[1, -1], [-4, 3]]]), StreamType((2, 2), Int(-4, 3), 2))
    assert words.tolist() == [[[0b111_001], [0b011_100]]]
