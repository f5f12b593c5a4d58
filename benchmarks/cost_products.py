"""Products of seeded random parameters that the cost formulas are fitted to."""

from __future__ import annotations

import numpy as np

from benchmarks.cost_random import BIT, I2, I3, I4, I6, I8, TERNARY, U2, U4, U8, Random
from codesign.arithmetic import accumulator
from codesign.formats import Int, hull
from hw.arith.packing import legal_lanes
from hw.netlist.dense import Dense
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.matvec import MatVec
from hw.stages.unrolled import Unrolled
from hw.stream import StreamType

FORMATS = ((BIT, BIT), (U2, TERNARY), (U4, I4), (I4, I3), (U8, I8), (I8, I6), (U2, BIT), (BIT, I3), (U4, I2))
LARGEST = 1200  # bits of products a clock: small enough for seconds of Yosys


def matvec(r: Random) -> MatVec:
    while True:
        x, w = r.of(FORMATS)
        simd, pe = r.of((1, 2, 3, 4, 8, 9, 16)), r.of((1, 1, 2, 4, 8))
        folds = r.of(((1, 1), (2, 1), (2, 2), (1, 8), (3, 4), (4, 8), (9, 6), (8, 12), (16, 16), (36, 32), (64, 64)))
        rows, columns = simd * folds[0], pe * folds[1]
        if 16 < simd * pe * x.bits * w.bits < LARGEST and rows * columns < 70_000 and rows > 1:
            break
    bias = r.rng.integers(-9, 9, columns) if r.rng.random() < 0.5 else None
    return MatVec(StreamType((2, rows), x, simd), r.weights(w, rows, columns), w, pe, simd, bias)


def chosen(r: Random) -> MatVec:
    """Of few folds, which the gates choose from, and of as many synapses as such layers have."""
    x, w = r.of(((BIT, BIT), (BIT, BIT), (U2, TERNARY), (U4, I4)))
    beats, passes = r.of(((2, 1), (2, 2), (1, 4), (4, 2) if w is BIT else (3, 1)))
    simd, pe = r.of((64, 128, 256) if w is BIT else (16, 32)), r.of((4, 8, 16))
    weights = r.weights(w, simd * beats, pe * passes)
    return MatVec(StreamType((2, simd * beats), x, simd), weights, w, pe, simd)


def skipping(r: Random) -> MatVec:
    """Some blocks of weights are zero."""
    simd, pe, beats, passes = r.of((1, 2, 4)), r.of((1, 2, 4)), r.of((8, 18, 32)), r.of((4, 8, 16))
    used = r.rng.random((passes, beats)) < r.of((0.3, 0.6))
    w = np.kron(used.T, np.ones((simd, pe), np.int64)) * r.rng.integers(1, 8, (simd * beats, pe * passes))
    return MatVec(StreamType((3, len(w)), r.of((U4, U8)), simd), w, I4, pe, simd, None, skip=True)


def multiplied(r: Random) -> MatVec:
    """In DSP48E1s."""
    x, w = r.of(((U8, I8), (I8, I8), (U4, I4)))
    simd, pe, beats, passes = r.of((1, 2, 4, 9)), r.of((1, 2, 4)), r.of((2, 8, 16)), r.of((1, 4, 8))
    weights = r.weights(w, simd * beats, pe * passes)
    stage = MatVec(StreamType((2, simd * beats), x, simd), weights, w, pe, simd)
    return MatVec(stage.input, weights, w, pe, simd, dsp_lanes=r.of([n for n in legal_lanes(x, weights) if n <= pe]))


def channelwise(r: Random) -> ChannelwiseMac:
    x, w = r.of(FORMATS)
    lanes, groups, taps, filters = r.of((1, 2, 4, 8)), r.of((1, 2, 8, 16)), r.of((4, 9, 25)), r.of((1, 1, 2))
    channels = lanes * groups
    shape = (taps, channels) if filters == 1 else (taps, channels, filters)
    bias = r.rng.integers(-9, 9, channels * filters)
    return ChannelwiseMac(StreamType((3, groups, taps, lanes), x, lanes), r.weights(w, *shape), w, bias)


def unrolled(r: Random) -> Unrolled:
    x, w = r.of(FORMATS)
    weights = r.weights(w, r.of((4, 9, 16)), r.of((2, 4, 10)))
    sums = accumulator(hull(x, Int(0, 0)), weights)
    stream = StreamType((3, len(weights)), x, len(weights))
    return Unrolled(stream, (Dense(weights, np.zeros(weights.shape[1], np.int64), sums),))


def signs(r: Random) -> Unrolled:
    weights = r.weights(BIT, r.of((64, 128, 256)), r.of((16, 64, 128)))  # patterns pay over many neurons
    stream = StreamType((3, len(weights)), BIT, len(weights))
    sums = accumulator(BIT, weights)
    return Unrolled(stream, (Dense(weights, np.zeros(weights.shape[1], np.int64), sums),))
