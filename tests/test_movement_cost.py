"""What the stages that move beats say they cost, beside what Yosys makes of them."""

import numpy as np
import pytest

from benchmarks.batches import synthesized
from codesign.formats import Binary, Int
from codesign.ops.weigh import Weigh
from hw.moves import picks
from hw.pipeline import Stage
from hw.stages.argmax import ArgMax
from hw.stages.fifo import Fifo
from hw.stages.fork import Fork
from hw.stages.gather import Gather
from hw.stages.global_pool import GlobalPool
from hw.stages.join import Add
from hw.stages.pad import Pad
from hw.stages.pool import Pool
from hw.stages.weigh import WeighStage
from hw.stages.width import Width
from hw.stages.window import Window
from hw.stream import StreamType

U4, U8, I8 = Int.of(4, False), Int.of(8, False), Int.of(8, True)


def stream(*shape: int, of: Int | Binary = U8, lanes: int = 1) -> StreamType:
    return StreamType(shape, of, lanes)


def picked(source: StreamType, axis: int, places: list[int]) -> Gather:
    """Elements along one axis."""
    found = picks(np.arange(source.size).reshape(source.shape).take(places, axis), source.size, source.lanes)
    assert found is not None
    return Gather(source, tuple(len(places) if k == axis else n for k, n in enumerate(source.shape)), found)


def reflected(n: int) -> list[int]:
    return np.pad(np.arange(n), 2, mode="reflect").tolist()


def edges(n: int) -> Weigh:
    """What an average over 3 by 3 pixels multiplies its sums by where the padding does not count."""
    each = np.array([3, *[2] * (n - 2), 3])
    return Weigh(np.outer(each, each), 1 / 4)


FEW: list[Stage] = [
    Pad(stream(14, 14, 16, lanes=4), (1, 1), (1, 2), 0, (1, 2)),
    picked(stream(28, 28, 16, lanes=4), 0, reflected(28)),
    picked(stream(28, 28, 16, lanes=4), 1, reflected(28)),
    Pad(stream(32, 32, 64, of=U4, lanes=8), (1, 1), (1, 1), 0),
    Fifo(stream(64, lanes=4), 32),
    Fifo(stream(640, lanes=4), 512),
    Width(stream(96, lanes=2), 3),
    Pool(stream(14, 14, 4, 4, 2, of=I8, lanes=2), "max"),
    ArgMax(stream(10, of=Int(-500, 500))),
    Window(stream(34, 34, 64, of=U4, lanes=8), (3, 3)),
    Window(stream(30, 30, 1), (3, 3), parallel=True),
]
MORE: list[Stage] = [
    WeighStage(stream(28, 28, 8, lanes=2), edges(28)),
    WeighStage(stream(28, 28, 8, of=Int(0, 15), lanes=8), Weigh(edges(28).weights // 2, 1.0)),
    picked(stream(96, 96, 8, of=U4, lanes=8), 0, np.pad(np.arange(96), 1, mode="edge").tolist()),
    picked(stream(20, 20, 8, of=I8, lanes=2), 1, [int(i * 20 / 33) for i in range(33)]),
    picked(stream(100), 0, reflected(100)),
    Pad(stream(14, 14, 32, of=I8, lanes=4), (0, 0), (1, 1), -5, (1, 1)),
    Pad(stream(28, 28, 1), (1, 1), (1, 1), 0),
    Pad(stream(14, 14, 32, of=I8, lanes=4), (2, 1), (1, 2), -5),
    Pad(stream(8, 8, 16, of=Binary(), lanes=16), (1, 1), (1, 1), 1),
    Fork(stream(64), 2),
    Fork(stream(64, lanes=8), 3),
    Fifo(stream(64), 16),
    Fifo(stream(64, lanes=2), 64),
    Fifo(stream(640), 200),
    Fifo(stream(640, of=U4), 1000),
    Fifo(stream(6400, lanes=2), 3000),
    Fifo(stream(1500, 26, of=U4, lanes=26), 1400),
    picked(stream(4, 500, 26, of=U4, lanes=26), 0, [1, 0, 1, 2, 3, 2]),
    Window(stream(5, 40, 416, of=U4, lanes=26), (2, 2)),
    Window(stream(4, 1400, 13, of=U4, lanes=13), (3, 3), parallel=True),
    Add(stream(64), stream(64, of=I8)),
    Add(stream(64, of=U4, lanes=8), stream(64, of=U4, lanes=8)),
    Width(stream(64, lanes=8), 1),
    Width(stream(64, lanes=8), 2),
    Width(stream(128, of=U4, lanes=16), 1),
    Width(stream(64), 8),
    Width(stream(64, lanes=2), 4),
    Width(stream(96, of=U4, lanes=3), 2),
    Width(stream(240, of=U4, lanes=8), 3),
    Pool(stream(14, 14, 4, 4, 2, lanes=2), "sum"),
    Pool(stream(14, 14, 4, 4, 2, of=U4, lanes=8), "max"),
    Pool(stream(14, 14, 4, 4, 2, of=U4, lanes=8), "sum"),
    Pool(stream(14, 14, 4, 9, 4, of=U4, lanes=36), "max"),
    Pool(stream(14, 14, 4, 9, 4, of=U4, lanes=36), "sum"),
    Pool(stream(14, 14, 4, 3, 16, of=U4, lanes=48), "sum"),
    Pool(stream(14, 14, 4, 1, 8, lanes=8), "max"),
    GlobalPool(stream(7, 7, 64, lanes=4), "sum"),
    GlobalPool(stream(7, 7, 32, of=U4), "sum"),
    GlobalPool(stream(7, 7, 16, of=I8, lanes=16), "max"),
    GlobalPool(stream(4, 4, 128), "max"),
    ArgMax(stream(10, of=Int.of(12, True), lanes=10)),
    ArgMax(stream(1000, of=Int.of(16, True), lanes=2)),
    ArgMax(stream(16, lanes=4)),
    Window(stream(30, 30, 1), (3, 3)),
    Window(stream(28, 28, 8, of=U4, lanes=2), (2, 2), (2, 2), channelwise=True),
    Window(stream(16, 16, 32, lanes=4), (3, 3), (2, 2)),
    Window(stream(10, 10, 16, of=Binary(), lanes=16), (3, 3)),
    Window(stream(49, 10, 1, of=I8), (10, 4), (2, 2)),
    Window(stream(14, 14, 64, lanes=8), (1, 1), (2, 2)),
    Window(stream(34, 34, 16, of=U4, lanes=16), (3, 3), parallel=True),
    Window(stream(28, 28, 8, of=U4, lanes=2), (2, 2), (2, 2), channelwise=True, parallel=True),
    Window(stream(64, 1, 8, of=U4, lanes=8), (5, 1), parallel=True),
    Window(stream(66, 66, 64, lanes=8), (3, 3), channelwise=True, parallel=True),
    Window(stream(20, 20, 4, of=U4, lanes=4), (3, 3), dilation=(2, 2), parallel=True),
]


def compare(stages: list[Stage]) -> None:
    """Paired LUTs within 15 % (or 6), flip-flops within 5 % (or 4), block memories exactly."""
    for stage, used in zip(stages, synthesized(stages), strict=True):
        cost = stage.cost()
        assert cost.bram36 == used.bram36, stage
        assert cost.lut == pytest.approx(used.lut_paired, rel=0.15, abs=6), stage
        assert cost.ff == pytest.approx(used.ff, rel=0.05, abs=4), stage


def test_cost_is_what_yosys_finds() -> None:
    compare(FEW)


@pytest.mark.slow
def test_cost_of_more_sizes_is_what_yosys_finds() -> None:
    compare(MORE)
