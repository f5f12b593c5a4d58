"""The stages that move, join and reduce beats: golden against plain NumPy, RTL against golden and schedule."""

from zlib import crc32

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator, SimulatorContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codesign.formats import Binary, Format, Int
from hw.pipeline import Stage
from hw.stages.argmax import ArgMax
from hw.stages.fifo import Fifo
from hw.stages.fork import Fork
from hw.stages.global_pool import GlobalPool
from hw.stages.join import Add
from hw.stages.pad import Pad
from hw.stages.pool import Pool
from hw.stages.width import Width
from hw.stages.window import Window
from hw.stream import StreamType
from sim.formal import prove_stream_rules
from tests.stage_harness import check_schedule, check_stage, every_frame, random_frames, steady

UNHURRIED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
SOME = settings(max_examples=12, deadline=None, suppress_health_check=UNHURRIED)
FORMATS = st.sampled_from([Binary(), Int(0, 3), Int(-3, 4), Int(-128, 127), Int(5, 9), Int(-9, -5)])
OPERATIONS = st.sampled_from(["max", "min", "sum"])


def check(stage: Stage, frames: int = 4) -> None:
    """RTL == golden and RTL == schedule on frames and stalls that the stage itself seeds."""
    seed = crc32(str(stage).encode())
    values = random_frames(stage, frames, seed)
    check_stage(stage, values, seeds=(None, seed, seed + 1))
    check_schedule(stage, values, seeds=(None, seed))


def interval(stage: Stage) -> float:
    """Cycles a frame in the steady state, by the schedule."""
    frames, beats = 12, stage.outputs[0].beats
    (offered, *_) = stage.schedule(*steady(stage, frames))
    return (offered[-1] - offered[-1 - 4 * beats]) / 4


@SOME
@given(st.data(), FORMATS)
def test_pad(data: st.DataObject, fmt: Format) -> None:
    edge, lanes = st.integers(0, 2), data.draw(st.integers(1, 2))
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)), lanes * data.draw(st.integers(1, 3)))
    before, after = ((data.draw(edge), data.draw(edge)) for _ in range(2))
    gaps = (data.draw(edge), data.draw(st.integers(0, 3)))
    value = data.draw(st.sampled_from([-1, 0, 1, 7]))
    check(Pad(StreamType(shape, fmt, lanes), before, after, value, gaps))


def test_pad_is_numpys_and_its_format_holds_the_border() -> None:
    stage = Pad(StreamType((2, 3, 1), Binary()), (1, 0), (2, 1), 0)
    x = np.where(np.arange(6).reshape(1, 2, 3, 1) % 2, 1, -1)
    assert stage.outputs[0] == StreamType((5, 4, 1), Int(-1, 1))
    np.testing.assert_array_equal(stage.golden(x)[0][0, :, :, 0], np.pad(x[0, :, :, 0], ((1, 2), (0, 1))))
    assert Pad(StreamType((2, 3, 1), Binary()), (1, 0), (2, 1), -1).outputs[0].format == Binary()
    assert Pad(StreamType((2, 3, 1), Int(2, 5)), (1, 0), (2, 1), 7).outputs[0].format == Int(2, 7)


@SOME
@given(FORMATS, st.integers(1, 8), st.integers(1, 8), st.integers(1, 3))
def test_width(fmt: Format, taken: int, given_lanes: int, repeats: int) -> None:
    size = int(np.lcm(taken, given_lanes)) * repeats
    check(Width(StreamType((size,), fmt, taken), given_lanes))


def test_width_of_so_many_pieces_that_counters_move_in_groups() -> None:
    check(Width(StreamType((420,), Binary()), 420), frames=3)


def test_width_of_so_many_pieces_that_several_numbers_choose_one_bit() -> None:
    check(Width(StreamType((512,), Binary(), 256), 1), frames=2)


@pytest.mark.parametrize("taken", range(2, 18))
def test_width_among_any_number_of_windows(taken: int) -> None:
    check(Width(StreamType((taken * 5 * 3,), Int(0, 7), taken), 5), frames=3)


@pytest.mark.parametrize(("taken", "given_lanes"), [(1, 4), (4, 1), (2, 3), (3, 2), (5, 8), (8, 5), (4, 6)])
def test_width_runs_at_the_rate_of_its_narrower_side(taken: int, given_lanes: int) -> None:
    stage = Width(StreamType((120,), Int(0, 7), taken), given_lanes)
    assert interval(stage) == 120 / min(taken, given_lanes)


@SOME
@given(FORMATS, st.integers(2, 4), st.integers(1, 3))
def test_fork(fmt: Format, ways: int, lanes: int) -> None:
    check(Fork(StreamType((4 * lanes,), fmt, lanes), ways))


@pytest.mark.parametrize(("depth", "lanes"), [(1, 1), (2, 1), (3, 2), (17, 1), (64, 2), (300, 9)])
def test_fifo(depth: int, lanes: int) -> None:
    check(Fifo(StreamType((72,), Int(-128, 127), lanes), depth), frames=3 + depth // 8)


@pytest.mark.parametrize(("depth", "lanes"), [(1, 1), (2, 1), (3, 2), (17, 1), (300, 9)])
def test_fifo_takes_its_depth_while_nobody_reads(depth: int, lanes: int) -> None:
    fifo = Fifo(StreamType((72,), Int(-128, 127), lanes), depth).rtl()
    taken = 0

    async def fill(ctx: SimulatorContext) -> None:
        nonlocal taken
        ctx.set(fifo.i.valid, 1)  # type: ignore[attr-defined]
        for _ in range(depth + 5):
            taken += ctx.get(fifo.i.ready)  # type: ignore[attr-defined]
            await ctx.tick()

    simulator = Simulator(fifo)
    simulator.add_clock(1e-8)
    simulator.add_testbench(fill)
    simulator.run()
    assert depth <= taken <= max(2, depth + 1)


@SOME
@given(FORMATS, FORMATS, st.integers(1, 3))
def test_add(a: Format, b: Format, lanes: int) -> None:
    shape = (2, 2, lanes * 2)
    stage = Add(StreamType(shape, a, lanes), StreamType(shape, b, lanes))
    assert stage.outputs[0].format == Int(a.lo + b.lo, a.hi + b.hi)
    check(stage)


@SOME
@given(st.data(), FORMATS, OPERATIONS)
def test_pool(data: st.DataObject, fmt: Format, op: str) -> None:
    groups, positions, lanes = (data.draw(st.integers(1, top)) for top in (3, 9, 2))
    whole = data.draw(st.booleans())
    shape = (2, groups, positions, lanes)
    check(Pool(StreamType(shape, fmt, lanes * positions if whole else lanes), op))  # type: ignore[arg-type]


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("op", ["max", "min", "sum"])
def test_pool_after_window_is_numpys(op: str, parallel: bool) -> None:
    window = Window(StreamType((4, 6, 4), Int(-8, 7), 2), (2, 3), (2, 3), channelwise=True, parallel=parallel)
    pool = Pool(window.outputs[0], op)  # type: ignore[arg-type]
    x = random_frames(window, 5)[0]
    wanted = getattr(x.reshape(5, 2, 2, 2, 3, 4), op)(axis=(2, 4))
    np.testing.assert_array_equal(pool.golden(*window.golden(x))[0], wanted)


@SOME
@given(st.data(), FORMATS, OPERATIONS)
def test_global_pool(data: st.DataObject, fmt: Format, op: str) -> None:
    lanes = data.draw(st.integers(1, 2))
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), lanes * data.draw(st.integers(1, 3)))
    parts = data.draw(st.sampled_from([1, shape[0]]))
    stage = GlobalPool(StreamType(shape, fmt, lanes), op, parts)  # type: ignore[arg-type]
    x = random_frames(stage, 3)[0]
    wanted = getattr(x, op)(axis=(1, 2)) if parts == 1 else getattr(x, op)(axis=2)
    np.testing.assert_array_equal(stage.golden(x)[0], wanted)
    check(stage)


@SOME
@given(st.integers(1, 4), st.integers(1, 3), FORMATS, st.booleans())
def test_argmax(lanes: int, beats: int, fmt: Format, largest: bool) -> None:
    stage = ArgMax(StreamType((2, lanes * beats), fmt, lanes), largest)
    assert stage.outputs[0] == StreamType((2, 1), Int(0, lanes * beats - 1))
    check(stage)


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_argmax_takes_the_first_of_equals(lanes: int) -> None:
    frames = np.array([[1, 3, 3, 3], [3, 3, 1, 1], [2, 2, 2, 2], [0, 1, 0, 1]])
    stage = ArgMax(StreamType((4,), Int(0, 3), lanes))
    assert stage.golden(frames)[0].ravel().tolist() == [1, 0, 0, 1]
    check_stage(stage, [frames])


SMALL: list[Stage] = [
    Pad(StreamType((2, 2, 1), Int(-2, 1)), (1, 0), (0, 1), 0),
    Width(StreamType((6,), Int(-2, 1), 3), 2),
    Width(StreamType((6,), Int(-2, 1), 2), 3),
    Width(StreamType((4,), Int(0, 3), 1), 4),
    Width(StreamType((4,), Int(0, 3), 4), 2),
    Fork(StreamType((3,), Int(0, 7)), 2),
    Fifo(StreamType((2,), Int(0, 15)), 4),
    Pool(StreamType((1, 4, 1), Int(-2, 1)), "max"),
    Pool(StreamType((1, 4, 1), Int(-2, 1), 4), "min"),
    Pool(StreamType((1, 3, 1), Int(-4, 3), 3), "sum"),
    Pool(StreamType((1, 4, 2), Binary(), 2), "sum"),
    GlobalPool(StreamType((2, 2), Int(-2, 1)), "sum"),
    GlobalPool(StreamType((2, 1, 2), Int(0, 3), 2), "max"),
    ArgMax(StreamType((4,), Int(-2, 1))),
    ArgMax(StreamType((4,), Int(0, 3), 4)),
    ArgMax(StreamType((4,), Int(-2, 1), 2), largest=False),
    Window(StreamType((3, 3, 1), Binary()), (2, 2)),
    Window(StreamType((2, 2, 2), Binary()), (2, 1), parallel=True, channelwise=True),
]


@pytest.mark.parametrize("stage", SMALL, ids=str)
def test_every_frame_of_a_small_stage(stage: Stage) -> None:
    check_stage(stage, [every_frame(stage.inputs[0])], seeds=(None, 3), reset=False)


def test_every_pair_of_a_small_add() -> None:
    stage = Add(StreamType((1,), Int(-8, 7)), StreamType((1,), Int(0, 15)))
    pairs = np.stack(np.meshgrid(np.arange(-8, 8), np.arange(16))).reshape(2, -1, 1)
    check_stage(stage, list(pairs), reset=False)


KINDS: list[Stage] = [
    *(stage for stage in SMALL if not isinstance(stage, Window)),
    Add(StreamType((2,), Int(-8, 7)), StreamType((2,), Int(0, 15))),
    Fifo(StreamType((2,), Int(0, 3)), 2),
    Window(StreamType((3, 3, 2), Int(0, 1)), (2, 2), channelwise=True),
    Window(StreamType((3, 4, 1), Int(0, 1)), (2, 2), (2, 1), parallel=True),
]


@pytest.mark.parametrize("stage", KINDS, ids=str)
def test_stream_rules(stage: Stage) -> None:
    prove_stream_rules(rtlil.convert(stage.rtl(), name="top", emit_src=False), patience_s=4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pad(StreamType((4, 6), Int(0, 1)), (0, 0), (0, 0), 0),
        lambda: Pad(StreamType((2, 2, 3), Int(0, 1), 2), (0, 0), (0, 0), 0),
        lambda: Width(StreamType((6,), Int(0, 1)), 4),
        lambda: Fork(StreamType((6,), Int(0, 1)), 1),
        lambda: Fifo(StreamType((6,), Int(0, 1)), 0),
        lambda: Add(StreamType((6,), Int(0, 1)), StreamType((6,), Int(0, 1), 2)),
        lambda: Pool(StreamType((1, 4, 2), Int(0, 1), 4), "max"),
        lambda: GlobalPool(StreamType((4, 3), Int(0, 1), 2), "max"),
        lambda: ArgMax(StreamType((2, 3), Int(0, 1), 2)),
    ],
)
def test_what_does_not_fit_is_refused(make: object) -> None:
    with pytest.raises(ValueError):
        make()  # type: ignore[operator]
