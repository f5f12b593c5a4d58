"""The folded products against their golden: words, cycles, widths and cost."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from amaranth.back import rtlil
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.formats import Binary, Format, Int
from hw.arith.digits import signed_digits
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.matvec import MatVec
from hw.stream import StreamType
from hw.synth import synthesize
from sim.formal import prove_stream_rules
from tests.stage_harness import check_schedule, check_stage, every_frame, random_frames, verilog_of

BINARY, TERNARY = Binary(), Int(-1, 1)
U2, U4, U8 = (Int.of(bits, signed=False) for bits in (2, 4, 8))
I3, I4, I8 = (Int.of(bits, signed=True) for bits in (3, 4, 8))


def label(stage: MatVec | ChannelwiseMac) -> str:
    return f"{type(stage).__name__}, {stage.input.format} x {stage.weight_format}"


def weights_of(fmt: Format, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], shape) if fmt == BINARY else rng.integers(fmt.lo, fmt.hi + 1, shape)


def matvec(
    x: Format, w: Format, k: int, n: int, simd: int, pe: int, groups: int = 1, vectors: int = 2, bias: bool = False
) -> MatVec:  # fmt: skip
    weights = weights_of(w, (groups, k, n) if groups > 1 else (k, n))
    values = np.random.default_rng(1).integers(-9, 9, groups * n) if bias else None
    return MatVec(StreamType((vectors, groups * k), x, simd), weights, w, pe, simd, values)


def channelwise(x: Format, w: Format, channels: int, lanes: int, taps: int, filters: int = 1) -> ChannelwiseMac:
    shape = (taps, channels) if filters == 1 else (taps, channels, filters)
    bias = np.arange(channels * filters) - 3
    return ChannelwiseMac(StreamType((3, channels // lanes, taps, lanes), x, lanes), weights_of(w, shape), w, bias)


def powers(x: Format, exponents: int, k: int, n: int, simd: int, pe: int) -> MatVec:
    """Weights 0 and +-2^e."""
    stage = matvec(x, Int.of(exponents + 1, signed=True), k, n, simd, pe, bias=True)
    rng = np.random.default_rng(2)
    return replace(stage, weights=rng.integers(-1, 2, (k, n)) << rng.integers(0, exponents, (k, n)))


STAGES = {
    "xnor": matvec(BINARY, BINARY, 6, 4, 3, 2),
    "xnor, odd length": matvec(BINARY, BINARY, 7, 4, 7, 2),
    "xnor, bias, groups": matvec(BINARY, BINARY, 6, 4, 3, 2, groups=2, bias=True),
    "xnor, constants": matvec(BINARY, BINARY, 9, 4, 9, 4),
    "binary weights": matvec(U2, BINARY, 6, 4, 2, 2),
    "binary weights, signed inputs, one neuron a clock": matvec(I3, BINARY, 6, 3, 3, 1),
    "binary weights, constants": matvec(U2, BINARY, 6, 4, 6, 4, bias=True),
    "binary weights, two constant neurons": matvec(U2, BINARY, 6, 2, 6, 2),
    "binary inputs": matvec(BINARY, I3, 6, 4, 3, 2),
    "binary inputs, ternary weights, constants": matvec(BINARY, TERNARY, 6, 4, 6, 4),
    "signed by signed": matvec(I3, I3, 6, 4, 2, 2, bias=True),
    "unsigned by signed, one pass": matvec(U4, I3, 8, 3, 4, 3),
    "unsigned by signed, constants": matvec(U4, I4, 4, 3, 4, 3),
    "signed by unsigned, one beat, four passes": matvec(I3, U2, 2, 4, 2, 1),
    "one synapse": matvec(I3, I3, 5, 1, 1, 1),
    "one weight": matvec(I3, I3, 1, 1, 1, 1),
    "no weight but zero": MatVec(StreamType((2, 3), U2, 3), np.zeros((3, 2), np.int64), TERNARY, 2, 3),
    "folds that are no power of two": matvec(U2, I3, 9, 6, 3, 2, groups=3),
    "weights in block RAM": matvec(U2, I8, 64, 16, 1, 1, vectors=1),
    "vector in block RAM": matvec(U8, TERNARY, 1024, 2, 8, 1, vectors=1),
    "powers of two in tables": powers(I8, 7, 12, 4, 3, 2),
    "powers of two in a memory": powers(U8, 7, 24, 6, 2, 1),
    "ternary weights in a memory": powers(U4, 1, 36, 4, 2, 1),
    "channelwise": channelwise(I3, I3, 4, 2, 3),
    "channelwise, binary": channelwise(BINARY, BINARY, 4, 2, 3),
    "channelwise, binary weights": channelwise(U2, BINARY, 4, 2, 3),
    "channelwise, binary inputs": channelwise(BINARY, I3, 4, 4, 3),
    "channelwise, two filters a channel": channelwise(BINARY, TERNARY, 6, 2, 4, filters=2),
    "channelwise, constants": channelwise(U4, I3, 2, 2, 1, filters=3),
    "channelwise, constant signs": channelwise(U2, BINARY, 2, 2, 1, filters=3),
}


def fast(stage: MatVec) -> MatVec:
    """For a clock of 200 MHz, with accumulators of more than 16 bits."""
    return replace(stage, levels=3)


HALVES = {
    "accumulators in halves": fast(matvec(U8, I8, 12, 3, 4, 3)),
    "halves of the same beginning": fast(matvec(U8, I8, 8, 1, 2, 1)),
    "halves, groups of several beats": fast(matvec(I8, I8, 12, 4, 2, 2, groups=2, bias=True)),
    "halves, one beat a result": fast(matvec(U8, I8, 6, 4, 6, 2, bias=True)),
    "halves of little": fast(replace(matvec(U4, I4, 6, 2, 2, 2), bias=np.array([-(10**6), 10**6 + 5]))),
    "halves behind multipliers": replace(fast(matvec(I8, I8, 12, 2, 4, 2, bias=True)), dsp_lanes=2),
    "halves, some blocks of zeros": replace(
        fast(matvec(U8, I8, 6, 4, 2, 1)), skip=True,
        weights=np.kron(np.array([[1, 0], [0, -1], [1, 1]]), np.full((2, 2), 127)),
    ),
}  # fmt: skip
STAGES |= HALVES


def test_only_a_fast_clock_asks_for_halves() -> None:
    for name, stage in HALVES.items():
        slow = replace(stage, levels=4)
        assert (stage.folded.halves, slow.folded.halves) == (True, False), name
        assert stage.cost().ff > slow.cost().ff


@pytest.mark.parametrize("name", STAGES)
def test_words_under_stalls_and_after_a_reset(name: str) -> None:
    stage = STAGES[name]
    check_stage(stage, random_frames(stage, 2 if stage.inputs[0].size > 60 else 5))


@pytest.mark.parametrize("name", STAGES)
def test_cycles(name: str) -> None:
    check_schedule(STAGES[name], random_frames(STAGES[name], 3))


@pytest.mark.parametrize("name", ["xnor", "binary weights, constants", "binary inputs", "channelwise"])
def test_stream_rules(name: str) -> None:
    prove_stream_rules(rtlil.convert(STAGES[name].rtl(), name="top", emit_src=False), depth=12, patience_s=4)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=9))
def test_signed_digits_are_the_number_and_never_neighbours(numbers: list[int]) -> None:
    weights = np.array(numbers)
    digits = signed_digits(weights)
    assert np.array_equal(sum((d << j for j, d in enumerate(digits)), np.zeros_like(weights)), weights)
    assert not any((a * b).any() for a, b in pairwise(digits))


def test_memories_lie_in_block_ram_where_the_names_say_so() -> None:
    assert STAGES["weights in block RAM"].cost().bram36 > 0
    assert STAGES["vector in block RAM"].folded.late


@pytest.mark.parametrize(
    "stage",
    [
        matvec(BINARY, BINARY, 8, 4, 4, 2, vectors=1),
        matvec(BINARY, I3, 8, 2, 8, 2, vectors=1),
        matvec(I3, BINARY, 3, 4, 3, 2, vectors=1),
        matvec(U2, I3, 4, 4, 2, 2, vectors=1),
        matvec(I4, I4, 2, 3, 2, 3, vectors=1),
        matvec(Int(-2, 2), I8, 3, 2, 1, 1, vectors=1),
        ChannelwiseMac(StreamType((1, 2, 2), U2, 2), weights_of(I3, (2, 2)), I3),
        ChannelwiseMac(StreamType((2, 2, 2), BINARY, 2), weights_of(BINARY, (2, 4)), BINARY),
    ],
    ids=label,
)
def test_every_input_of_small_stages(stage: MatVec | ChannelwiseMac) -> None:
    check_stage(stage, [every_frame(stage.input)], seeds=(None,))


def test_sums_are_as_wide_as_the_weights_demand() -> None:
    """The extreme inputs reach both ends of the format, and a bit less could not hold them."""
    weights = np.array([[3, -4], [-8, 7], [5, 5]])
    stage = MatVec(StreamType((3,), U4, 3), weights, I4, 2, 3, np.array([1, -2]))
    fmt = stage.outputs[0].format
    assert (fmt.lo, fmt.hi) == (-8 * 15 + 1, 12 * 15 - 2)
    assert fmt.bits == 9
    extremes = np.array([np.where(s * weights[:, n] > 0, 15, 0) for s in (1, -1) for n in (0, 1)])
    reached = stage.golden(extremes)[0]
    assert (reached.min(), reached.max()) == (fmt.lo, fmt.hi)
    check_stage(stage, [extremes], seeds=(None,))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_shape(data: st.DataObject) -> None:
    x, w = (data.draw(st.sampled_from([BINARY, TERNARY, U2, I3, Int(2, 5), Int(-5, -1)])) for _ in range(2))
    simd, beats, pe, passes, groups = (data.draw(st.integers(1, 3)) for _ in range(5))
    stage = matvec(x, w, simd * beats, pe * passes, simd, pe, groups, bias=data.draw(st.booleans()))
    frames = random_frames(stage, 3)
    check_stage(stage, frames, seeds=(data.draw(st.integers(0, 99)),))
    check_schedule(stage, frames)


def test_golden_is_the_plain_product() -> None:
    stage = STAGES["xnor, bias, groups"]
    (x,) = random_frames(stage, 4)
    assert stage.bias is not None
    parts = [x[..., g * 6 : (g + 1) * 6] @ stage.weights[g] for g in range(2)]
    assert np.array_equal(stage.golden(x)[0], np.concatenate(parts, axis=-1) + stage.bias)


def test_channelwise_golden_is_a_loop_over_channels() -> None:
    stage = STAGES["channelwise, two filters a channel"]
    (x,) = random_frames(stage, 2)
    assert stage.bias is not None
    for c in range(6):
        taps = x[:, :, c // 2, :, c % 2]
        for f in range(2):
            wanted = (taps * stage.weights[:, c, f]).sum(-1) + stage.bias[2 * c + f]
            assert np.array_equal(stage.golden(x)[0][:, :, 2 * c + f], wanted)


@pytest.mark.parametrize(
    "stage",
    [
        matvec(BINARY, BINARY, 64, 64, 16, 8),
        matvec(U4, I4, 400, 10, 4, 1),
        matvec(U4, BINARY, 16, 8, 16, 8),
        matvec(U8, BINARY, 27, 16, 9, 4),
        channelwise(BINARY, BINARY, 16, 8, 9),
        powers(U8, 7, 64, 16, 8, 1),
    ],
    ids=label,
)
def test_cost_is_near_the_synthesized_one(stage: MatVec | ChannelwiseMac) -> None:
    found = synthesize(verilog_of(stage), "accelerator")
    cost = stage.cost()
    assert cost.lut == pytest.approx(found.lut_paired, rel=0.2, abs=20)
    assert cost.ff == pytest.approx(found.ff, rel=0.2)
    assert (cost.dsp, cost.bram36) == (found.dsp, found.bram36)


@pytest.mark.parametrize(
    ("interval", "stage"),
    [(12, matvec(U2, I3, 6, 8, 2, 2, vectors=1)), (4, matvec(U2, I3, 2, 8, 2, 2, vectors=1)),
     (3, matvec(U2, I3, 6, 2, 2, 2, vectors=1)), (1, matvec(U2, I3, 2, 2, 2, 2, vectors=1))],
)  # fmt: skip
def test_vectors_follow_without_a_gap(interval: int, stage: MatVec) -> None:
    times = stage.schedule(np.arange(8 * stage.inputs[0].beats))[0].reshape(8, -1)[:, -1]
    assert set(np.diff(times)) == {interval}


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot read"):
        MatVec(StreamType((5,), U2, 1), np.ones((4, 2), np.int64), I3, 1, 1)
    with pytest.raises(ValueError, match="simd 3 of 4"):
        MatVec(StreamType((3, 4), U2, 3), np.ones((4, 2), np.int64), I3, 1, 3)
    with pytest.raises(ValueError, match="weights leave int3"):
        MatVec(StreamType((4,), U2, 2), np.full((4, 2), 9), I3, 1, 2)
