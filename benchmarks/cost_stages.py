"""Stages of seeded random parameters that the cost formulas are fitted to, by family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cost_products import channelwise, chosen, matvec, multiplied, signs, skipping, unrolled
from benchmarks.cost_random import BIT, I4, I8, U2, U4, U8, Random
from codesign.formats import Binary, Int
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from hw.moves import access, picks
from hw.pipeline import Stage
from hw.sliding import NO_BORDER, Border
from hw.stages.argmax import ArgMax
from hw.stages.channel_concat import ChannelConcat
from hw.stages.concat import Concat
from hw.stages.crop import Crop
from hw.stages.fifo import Fifo
from hw.stages.fork import Fork, Forked
from hw.stages.fused import Fused, Producer
from hw.stages.gather import Gather
from hw.stages.global_pool import GlobalPool
from hw.stages.join import Add, Extreme, Mul
from hw.stages.joined import Joined
from hw.stages.lanes import ElementStage
from hw.stages.pad import Pad
from hw.stages.pool import Pool
from hw.stages.reorder import Reorder
from hw.stages.requant import RequantStage
from hw.stages.search import SearchStage
from hw.stages.table import TableStage
from hw.stages.threshold import ThresholdStage
from hw.stages.width import Width
from hw.stages.window import Window
from hw.stream import StreamType


@dataclass(frozen=True)
class Sample:
    """A stage to fit to."""

    family: str
    seed: int
    stage: Stage


# --- windows, pools, moves --------------------------------------------------------------------------------------


def window(r: Random, parallel: bool) -> Window:
    fmt = r.of((BIT, U2, U4, U8, I8))
    rows, columns, channels = int(r.rng.integers(7, 40)), int(r.rng.integers(7, 40)), r.of((1, 2, 4, 8, 16, 32))
    kernel, stride = r.of(((3, 3), (3, 3), (2, 2), (5, 5), (1, 3), (4, 2))), r.of(((1, 1), (1, 1), (2, 2)))
    channelwise = r.rng.random() < 0.4
    lanes = channels if parallel and not channelwise else r.divisor(channels, 8)
    if parallel and lanes * fmt.bits > 24:
        fmt = BIT
    side = (kernel[0] // 2, kernel[1] // 2)
    border = Border(side, side, 0) if r.rng.random() < 0.5 and not isinstance(fmt, Binary) else NO_BORDER
    return Window(
        StreamType((rows, columns, channels), fmt, lanes), kernel, stride, (1, 1), channelwise, parallel, border
    )


def serial_window(r: Random) -> Window:
    return window(r, False)


def parallel_window(r: Random) -> Window:
    return window(r, True)


def pool(r: Random) -> Pool:
    fmt, lanes, groups, positions = r.of((BIT, U2, U4, U8, I8)), r.of((1, 2, 4, 8)), r.of((2, 4)), r.of((4, 6, 9))
    whole = r.rng.random() < 0.5
    return Pool(StreamType((5, 5, groups, positions, lanes), fmt, positions * lanes if whole else lanes), r.of(OPS))


OPS = ("max", "sum")


def global_pool(r: Random) -> GlobalPool:
    return GlobalPool(r.stream(r.of((U2, U4, U8, I8)), *r.of(((7, 7), (5, 3), (8, 8))), r.of((8, 24, 64))), r.of(OPS))


def width(r: Random) -> Width:
    fmt, channels = r.of((BIT, U2, U4, U8, I8)), r.of((48, 96, 64, 120))
    lanes = [d for d in range(1, 25) if channels % d == 0]
    taken = r.of(lanes)
    return Width(StreamType((channels,), fmt, taken), r.of([n for n in lanes if n != taken]))


def fifo(r: Random) -> Fifo:
    depth = r.of((2, 3, 7, 16, 20, 32, 33, 50, 64, 100, 128, 200, 300, 512, 700, 1024, 1500))
    return Fifo(r.stream(r.of((BIT, U2, U4, U8)), 4096, r.of((1, 4, 8))), depth)


def pad(r: Random) -> Pad:
    before, after, gaps = (r.of(((0, 0), (1, 1), (2, 1))) for _ in range(3))
    image = r.stream(r.of((BIT, U4, I8)), int(r.rng.integers(6, 40)), int(r.rng.integers(6, 40)), r.of((1, 4, 16, 24)))
    value = 1 if isinstance(image.format, Binary) else r.of((0, 0, image.format.lo))
    return Pad(image, before, after, value, r.of(((0, 0), gaps)))


def crop(r: Random) -> Crop:
    rows, columns = int(r.rng.integers(6, 40)), int(r.rng.integers(6, 40))
    return Crop(r.stream(r.of((U4, I8)), rows, columns, r.of((2, 8))), (1, 2, 0), (rows - 2, columns - 3, r.of((2, 8))))


def reorder(r: Random) -> Reorder:
    rows, columns, channels = r.of((6, 8, 14)), r.of((5, 8, 16)), r.of((2, 8))
    source = r.stream(r.of((U4, U8)), rows, columns, channels)
    index = np.arange(source.size).reshape(source.shape).transpose(1, 0, 2)
    found = access(index, source.size, source.lanes)
    assert found is not None
    return Reorder(source, index.shape, found)


def gather(r: Random) -> Gather:
    rows, columns, channels = r.of((8, 14, 20)), r.of((8, 12, 28)), r.of((4, 8))
    source, axis = r.stream(r.of((U4, U8)), rows, columns, channels), r.of((0, 1))
    places = np.pad(np.arange(source.shape[axis]), 2, mode=r.of(("reflect", "edge")))
    index = np.arange(source.size).reshape(source.shape).take(places, axis)
    found = picks(index, source.size, source.lanes)
    assert found is not None
    return Gather(source, index.shape, found)


# --- two streams, two ways --------------------------------------------------------------------------------------


def pair(r: Random) -> tuple[StreamType, StreamType]:
    a = r.stream(r.of((U4, U8, I8, Int(-500, 500))), 8, 24, most_lanes=12)
    return a, StreamType(a.shape, r.of((U4, I4, I8, Int(-900, 300))), a.lanes)


def join(r: Random) -> Add | Extreme | Mul:
    return r.of((Add, Add, Extreme, Mul))(*pair(r))


def concat(r: Random) -> Concat:
    parts = [r.stream(r.of((U4, U8, I8)), 6, 6, 24) for _ in range(r.of((2, 2, 3)))]
    channels = [r.of((8, 16, 24)) for _ in parts]
    lanes = r.of((1, 2, 8))
    return Concat(tuple(StreamType((6, 6, c), p.format, lanes) for c, p in zip(channels, parts, strict=True)), 2)


def channel_concat(r: Random) -> ChannelConcat:
    parts = ((r.of((U4, U8, I8)), r.of((4, 8, 24))) for _ in range(r.of((2, 2, 3))))
    return ChannelConcat(tuple(StreamType((6, 6, lanes), fmt, lanes) for fmt, lanes in parts))


def fork(r: Random) -> Fork | Forked:
    ways = r.of((2, 2, 3))
    return Fork(r.stream(r.of((U4, U8)), 96), ways) if r.rng.random() < 0.5 else Forked(producer(r), ways)


def argmax(r: Random) -> ArgMax:
    return ArgMax(r.stream(Int(-r.of((40, 500, 9000)), 800), r.of((10, 16, 100, 64)), most_lanes=10))


# --- functions --------------------------------------------------------------------------------------------------


def stairs(r: Random, stream: StreamType, levels: int) -> Threshold:
    """Random thresholds, of every channel its own or of all the same."""
    x, channels = stream.format, r.of((1, stream.shape[-1], stream.shape[-1]))
    middle, spread = (x.hi + x.lo) / 2, (x.hi - x.lo) / 4
    thresholds = np.sort(np.rint(r.rng.normal(middle, spread, (channels, levels))).astype(np.int64), axis=1)
    falls = r.rng.random() < 0.2
    step = np.where(np.arange(channels) % 2 & falls, -1, 1)
    out = Int(0, levels)
    return Threshold(np.clip(thresholds, x.lo, x.hi + 1), out, np.where(step > 0, 0, levels), step)


def threshold(r: Random, stream: StreamType) -> ThresholdStage:
    return ThresholdStage(stream, stairs(r, stream, r.of((1, 3, 3, 7, 15))))


def search(r: Random, stream: StreamType) -> SearchStage:
    return SearchStage(stream, stairs(r, stream, r.of((15, 60, 255))))


def lookup(r: Random, stream: StreamType) -> TableStage:
    x, out, channels = stream.format, r.of((U4, I8)), r.of((1, 1, 4))
    while x.bits > 9:
        x = Int.of(8, x.signed)
        stream = StreamType(stream.shape, x, stream.lanes)
    channels = channels if stream.shape[-1] % channels == 0 else 1
    values = r.rng.integers(out.lo, out.hi + 1, (channels, x.hi - x.lo + 1))
    return TableStage(stream, Table(values, x.lo, out))


def requant(r: Random, stream: StreamType) -> RequantStage:
    """Scaled to its result's range, as importers make them."""
    x, out, channels = stream.format, r.of((I8, U8, U4, Int(-128, 100))), r.of((1, stream.shape[-1], stream.shape[-1]))
    bits = r.of((8, 12, 16))
    shift = bits + max(0, x.bits - out.bits)
    multiplier = r.rng.integers(1 << (bits - 1), 1 << bits, channels)
    offset = r.rng.integers(-(1 << shift), 1 << shift, channels)
    return RequantStage(stream, Requant(multiplier, offset, shift, r.of(("half_even", "floor")), out))


def digits(r: Random) -> RequantStage:
    """By a multiplier too wide for one product."""
    stream = r.stream(r.of((Int(-500, 500), Int(-20000, 20000))), 6, 24, most_lanes=3)
    channels = r.of((1, 24))
    multiplier = r.rng.integers(1 << 28, 1 << 29, channels)
    offset = r.rng.integers(-(1 << 30), 1 << 30, channels)
    return RequantStage(stream, Requant(multiplier, offset, 32, r.of(("half_even", "floor")), I8))


def shift(r: Random, stream: StreamType) -> RequantStage:
    return RequantStage(stream, Requant(np.array([1]), np.array([r.of((0, 3))]), r.of((2, 5)), "half_even", I8))


def shifted(r: Random) -> RequantStage:
    """By more than that, into formats of other limits."""
    stream = r.stream(r.of((I8, Int(-500, 500), Int(-20000, 20000))), 6, 24, most_lanes=4)
    offset, out = np.array([r.of((0, 5, -75, 1000))]), r.of((I8, U8, U4, Int(-8, 6)))
    return RequantStage(stream, Requant(np.array([1]), offset, r.of((3, 4, 8)), r.of(("half_even", "floor")), out))


Function = Callable[[Random, StreamType], "ElementStage[Any]"]
FUNCTIONS: tuple[Function, ...] = (threshold, threshold, search, lookup, requant, requant, shift)


def function(r: Random) -> ElementStage[Any]:
    wide = r.of((U8, I8, Int(-500, 500), Int(-3000, 3500), Int(-20000, 20000)))
    return r.of(FUNCTIONS)(r, r.stream(wide, 6, r.of((8, 24, 60)), most_lanes=10))


def producer(r: Random) -> Producer:
    made: Callable[[Random], Producer] = r.of((matvec, matvec, matvec, channelwise, pool, global_pool))
    return made(r)


def fused(r: Random) -> Fused:
    source = producer(r)
    (stream,) = source.outputs
    last = (source.outputs[0].shape[-1],) if r.rng.random() < 0.5 else stream.shape
    made = StreamType((stream.size // last[-1], last[-1]), stream.format, stream.lanes)
    choices: tuple[Function, ...] = FUNCTIONS if stream.format.bits > 5 else (threshold, lookup)
    return Fused(source, r.of(choices)(r, made))


def joined(r: Random) -> Joined:
    source = producer(r)
    (stream,) = source.outputs
    other = StreamType(stream.shape, r.of((U4, I8, Int(-700, 200))), stream.lanes)
    return Joined(source, r.of((Add, Add, Mul, Extreme))(stream, other), 0)


FAMILIES: dict[str, tuple[Callable[[Random], Stage], int]] = {
    "matvec": (matvec, 22), "chosen": (chosen, 6),
    "skipping": (skipping, 8), "multiplied": (multiplied, 5), "channelwise": (channelwise, 10),
    "unrolled": (unrolled, 6), "signs": (signs, 5), "digits": (digits, 3), "shifted": (shifted, 6),
    "serial window": (serial_window, 10), "parallel window": (parallel_window, 10),
    "pool": (pool, 8), "global pool": (global_pool, 4), "width": (width, 11), "fifo": (fifo, 12), "pad": (pad, 5),
    "crop": (crop, 3), "reorder": (reorder, 4), "gather": (gather, 4), "join": (join, 8), "concat": (concat, 4),
    "channel concat": (channel_concat, 3), "fork": (fork, 4), "argmax": (argmax, 5), "function": (function, 24),
    "fused": (fused, 16), "joined": (joined, 6),
}  # fmt: skip


def samples() -> Iterator[Sample]:
    """As many of every family; parameters that no stage takes are drawn again."""
    for family, (make, count) in FAMILIES.items():
        found, seed = 0, 0
        while found < count:
            try:
                stage = make(Random(seed))
            except ValueError:
                pass
            else:
                yield Sample(family, seed, stage)
                found += 1
            seed += 1
