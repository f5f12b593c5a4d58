"""Stages that join branches and move elements: golden against NumPy, RTL against golden and schedule."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from amaranth.back import rtlil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codesign.formats import Binary, Format, Int
from codesign.graph import Op, Operand, TensorType
from codesign.ops.layout import Transpose
from codesign.ops.moves import Expand, Slice, Upsample
from codesign.ops.take import Take
from codesign.ops.weigh import Weigh
from hw.moves import access, picks
from hw.pipeline import Stage
from hw.stages.channel_concat import ChannelConcat
from hw.stages.concat import Concat
from hw.stages.crop import Crop
from hw.stages.gather import Gather
from hw.stages.join import Extreme, Mul
from hw.stages.reorder import Reorder
from hw.stages.weigh import WeighStage
from hw.stream import StreamType
from sim.formal import prove_stream_rules
from tests.stage_harness import check_schedule, check_stage, every_frame, random_frames

SOME = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SMALL = Int(-3, 4)
FORMATS = st.sampled_from([Binary(), Int(0, 3), Int(-3, 4), Int(-128, 127), Int(5, 9)])


def check(stage: Stage, frames: int = 4) -> None:
    """RTL == golden and RTL == schedule on frames and stalls that the stage itself seeds."""
    seed = crc32(str(stage).encode())
    values = random_frames(stage, frames, seed)
    check_stage(stage, values, seeds=(None, seed, seed + 1))
    check_schedule(stage, values, seeds=(None, seed))


def moved(op: Op, shape: tuple[int, ...], lanes: int, fmt: Format = SMALL) -> Reorder:
    """The stage of a layout operator."""
    out = op.infer(Operand(TensorType(shape)))
    index = op.run(out, np.arange(np.prod(shape)).reshape(1, *shape))
    found = access(index, int(np.prod(shape)), lanes)
    assert found is not None
    return Reorder(StreamType(shape, fmt, lanes), out.shape, found)


def gathered(op: Op, shape: tuple[int, ...], lanes: int, fmt: Format = SMALL) -> Gather:
    """The stage of an operator that picks elements."""
    out = op.infer(Operand(TensorType(shape)))
    index = op.run(out, np.arange(np.prod(shape)).reshape(1, *shape))
    found = picks(index, int(np.prod(shape)), lanes)
    assert found is not None
    stage = Gather(StreamType(shape, fmt, lanes), out.shape, found)
    np.testing.assert_array_equal(stage.golden(np.arange(np.prod(shape)).reshape(1, *shape))[0], index)
    return stage


def test_wide_beats_of_which_parts_move_by_registers_of_their_own() -> None:
    for stage in (moved(Transpose((1, 0, 2)), (3, 4, 48), 48), gathered(Take(0, (2, 0, 1, 1)), (3, 2, 48), 48)):
        assert stage.fetch.parts > 1
        check(stage, 2)


@SOME
@given(st.data(), FORMATS, st.integers(1, 2), st.integers(0, 2))
def test_elements_picked_along_an_axis(data: st.DataObject, fmt: Format, lanes: int, axis: int) -> None:
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)), lanes * data.draw(st.integers(1, 2)))
    lanes = 1 if axis == 2 else lanes
    places = st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=7)
    check(gathered(Take(axis, tuple(data.draw(places))), shape, lanes, fmt))


@pytest.mark.parametrize("mode", ["edge", "reflect", "wrap"])
def test_a_padded_image_holds_the_rows_it_needs_again(mode: str) -> None:
    rows = np.pad(np.arange(9), (2, 1), mode=mode)  # type: ignore[call-overload]
    stage = gathered(Take(0, tuple(rows.tolist())), (9, 5, 4), 2)
    assert (stage.picks.block, stage.window) == (10, {"edge": 2, "reflect": 4, "wrap": 10}[mode])
    check(stage)


@SOME
@given(st.data(), FORMATS, st.integers(1, 2))
def test_weights_of_places(data: st.DataObject, fmt: Format, lanes: int) -> None:
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4)), lanes * data.draw(st.integers(1, 2)))
    weights = np.array(data.draw(st.lists(st.integers(1, 40), min_size=shape[0] * shape[1], max_size=12)))
    op = Weigh(np.resize(weights, shape[:2]), 0.5)
    check(WeighStage(StreamType(shape, fmt, lanes), op))


@SOME
@given(FORMATS, FORMATS, st.integers(1, 3))
def test_products(a: Format, b: Format, lanes: int) -> None:
    check(Mul(StreamType((2, lanes * 2), a, lanes), StreamType((2, lanes * 2), b, lanes)))


@SOME
@given(FORMATS, FORMATS, st.integers(1, 3), st.booleans())
def test_extremes(a: Format, b: Format, lanes: int, least: bool) -> None:
    check(Extreme(StreamType((2, lanes * 2), a, lanes), StreamType((2, lanes * 2), b, lanes), least))


def test_every_product_of_two_small_numbers() -> None:
    one = StreamType((1,), Int(-4, 3))
    pairs = np.stack(np.meshgrid(every_frame(one), every_frame(one)), axis=-1).reshape(-1, 2, 1)
    stage = Mul(one, one)
    np.testing.assert_array_equal(stage.golden(pairs[:, 0], pairs[:, 1])[0], pairs[:, 0] * pairs[:, 1])
    check_stage(stage, [pairs[:, 0], pairs[:, 1]], seeds=(None,))


@SOME
@given(st.data(), st.integers(1, 2), st.integers(2, 3))
def test_concatenation(data: st.DataObject, lanes: int, ways: int) -> None:
    axis = data.draw(st.integers(0, 2))
    shape = [data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), lanes * data.draw(st.integers(1, 2))]
    parts = []
    for _ in range(ways):
        own = list(shape)
        own[axis] = data.draw(st.integers(1, 3)) * (lanes if axis == 2 else 1)
        parts.append(StreamType(tuple(own), data.draw(FORMATS), lanes))
    check(Concat(tuple(parts), axis))


@SOME
@given(st.data(), st.integers(2, 4))
def test_channels_side_by_side(data: st.DataObject, ways: int) -> None:
    outer, sizes = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))), st.integers(1, 5)
    parts = [StreamType((*outer, c), data.draw(FORMATS), c) for c in (data.draw(sizes) for _ in range(ways))]
    check(ChannelConcat(tuple(parts)))


@SOME
@given(st.data(), FORMATS)
def test_cropping(data: st.DataObject, fmt: Format) -> None:
    lanes = data.draw(st.integers(1, 2))
    shape = tuple(data.draw(st.integers(1, 4)) for _ in range(3))
    starts = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    sizes = tuple(data.draw(st.integers(1, n - a)) for n, a in zip(shape, starts, strict=True))
    in_lanes = [(*v[:2], v[2] * lanes) for v in (shape, starts, sizes)]
    stage = Crop(StreamType(in_lanes[0], fmt, lanes), in_lanes[1], in_lanes[2])
    check(stage)
    x = random_frames(stage, 2)[0]
    cut = tuple(slice(a, a + n) for a, n in zip(in_lanes[1], in_lanes[2], strict=True))
    np.testing.assert_array_equal(stage.golden(x)[0], x[(slice(None), *cut)])


MOVES = [
    (Transpose((1, 0, 2)), (3, 4, 2), 2),
    (Transpose((2, 0, 1)), (2, 3, 4), 1),
    (Transpose((0, 1, 3, 2)), (2, 2, 2, 3), 1),  # a channel shuffle: stays within a pixel
    (Transpose((0, 2, 1, 3, 4)), (2, 3, 2, 2, 2), 2),  # depth to space: stays within a row
    (Expand((2, 3, 4)), (1, 1, 4), 2),
    (Expand((2, 2, 3)), (2, 2, 1), 1),
    (Upsample((2, 3, 1)), (2, 2, 4), 4),
    (Slice((3, 1, 0), (2, 2, 4), (-2, 1, 1)), (4, 3, 4), 4),
    (Slice((0, 0, 5), (2, 2, 3), (1, 1, -2)), (2, 2, 6), 1),
]


@pytest.mark.parametrize(("op", "shape", "lanes"), MOVES)
def test_movements(op: Op, shape: tuple[int, ...], lanes: int) -> None:
    stage = moved(op, shape, lanes)
    check(stage)
    x = random_frames(stage, 2)[0]
    np.testing.assert_array_equal(stage.golden(x)[0], op.run(op.infer(Operand(TensorType(shape))), x))


def test_a_movement_stores_no_more_than_it_must() -> None:
    assert moved(Transpose((0, 1, 3, 2)), (8, 8, 2, 3), 1).access.block == 6
    assert moved(Transpose((0, 2, 1, 3, 4)), (8, 3, 2, 2, 2), 2).access.block == 3 * 2 * 2 * 2 // 2
    assert moved(Upsample((1, 2, 1)), (8, 8, 4), 4).access.block == 1


@SOME
@given(st.permutations(range(4)), st.tuples(*[st.integers(1, 3)] * 4))
def test_any_permutation_is_a_nest_of_loops(perm: list[int], shape: tuple[int, ...]) -> None:
    index = np.arange(np.prod(shape)).reshape(shape).transpose(perm).reshape(-1)
    found = access(index, len(index), 1)
    assert found is not None
    blocks = np.arange(len(index) // found.block)[:, None] * found.block
    np.testing.assert_array_equal((blocks + found.beats()).reshape(-1), index)


def test_lanes_that_a_movement_tears_apart_are_not_possible() -> None:
    assert access(np.arange(8).reshape(2, 4).T.reshape(-1), 8, 2) is None


def test_what_no_loops_can_say() -> None:
    assert access(np.array([0, 1, 3, 2, 2, 0]), 4, 1) is None


@pytest.mark.parametrize("fmt", [Int(0, 1), Int(-8, 7)])
def test_what_does_not_fit_is_refused(fmt: Format) -> None:
    with pytest.raises(ValueError, match="Mul of"):
        Mul(StreamType((4,), fmt), StreamType((3,), fmt))
    with pytest.raises(ValueError, match="Crop of"):
        Crop(StreamType((4, 4), fmt, 2), (0, 1), (4, 2))
    with pytest.raises(ValueError, match="Concat along"):
        Concat((StreamType((4, 4), fmt, 2), StreamType((4, 4), fmt, 1)), 1)
    with pytest.raises(ValueError, match="ChannelConcat of"):
        ChannelConcat((StreamType((4, 4), fmt, 4), StreamType((4, 4), fmt, 2)))


@pytest.mark.parametrize(
    "stage",
    [
        Mul(StreamType((2,), Int(-8, 7)), StreamType((2,), Int(0, 3))),
        Extreme(StreamType((2,), Int(-8, 7)), StreamType((2,), Int(0, 3)), least=True),
        Concat((StreamType((2, 1), Int(0, 1)), StreamType((2, 2), Int(-2, 1))), 1),
        ChannelConcat((StreamType((2, 1), Int(0, 1), 1), StreamType((2, 2), Int(-2, 1), 2))),
        Crop(StreamType((3, 2), Int(0, 1)), (1, 0), (1, 2)),
        moved(Transpose((1, 0)), (2, 2), 1, Int(0, 1)),
        gathered(Take(0, (1, 0, 0, 1)), (2, 1), 1, Int(0, 1)),
        WeighStage(StreamType((2, 1), Int(0, 1)), Weigh(np.array([1, 3]), 1.0)),
    ],
    ids=str,
)
def test_stream_rules(stage: Stage) -> None:
    prove_stream_rules(rtlil.convert(stage.rtl(), name="top", emit_src=False), patience_s=4)
