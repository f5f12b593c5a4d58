"""Block RAM and DSP48E1s are estimated exactly: random memories and stages against Yosys' mapping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from amaranth.lib import wiring

from codesign.cost import Cost
from codesign.formats import Int
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from hw.arith.packing import legal_lanes
from hw.memory import in_blocks
from hw.pipeline import Stage
from hw.rom import Rom, rom_cost, rom_in_blocks
from hw.stages.fifo import Fifo
from hw.stages.requant import RequantStage
from hw.stages.table import TableStage
from hw.stages.window import Window
from hw.stream import StreamType
from tests.block_counts import block_counts
from tests.test_stage_matvec import I4, I8, U4, U8, channelwise, matvec

Circuit = tuple[str, wiring.Component, Cost]


def draw(rng: np.random.Generator, low: float, high: float) -> int:
    """Of numbers from low to high, those as large again as often."""
    return int(2 ** rng.uniform(np.log2(low), np.log2(high)))


def of_stage(stage: Stage) -> Circuit:
    return str(stage), stage.rtl(), stage.cost()


def rom(rng: np.random.Generator) -> Circuit:
    """Weights: every aspect, banks of all sizes."""
    while True:
        depth, width = draw(rng, 65, 16384), draw(rng, 1, 300)
        if depth * width <= 60_000 and rom_in_blocks(depth, width):
            words = [int.from_bytes(rng.bytes(38), "little") % (1 << width) for _ in range(depth)]
            return f"rom of {depth} x {width}", Rom(words, width), rom_cost(depth, width)


def fifo(rng: np.random.Generator) -> Circuit:
    while True:
        depth, width = draw(rng, 65, 20_000), draw(rng, 1, 300)
        if in_blocks(depth, width):
            return of_stage(Fifo(StreamType((width,), Int(0, 1), width), depth))


def folded(rng: np.random.Generator) -> Circuit:
    """Weights in a memory, and vectors read again and again."""
    (x, w), beats, passes = ((U4, I4), (U8, I8))[rng.integers(2)], draw(rng, 8, 400), draw(rng, 2, 20)
    simd, pe = draw(rng, 1, 4), draw(rng, 1, 4)
    return of_stage(matvec(x, w, simd * beats, pe * passes, simd, pe))


def multiplied(rng: np.random.Generator) -> Circuit:
    """Products in DSP48E1s."""
    (x, w), beats, passes = ((U4, I4), (U8, I8))[rng.integers(2)], draw(rng, 2, 100), draw(rng, 2, 20)
    simd, pe = draw(rng, 1, 8), draw(rng, 1, 6)
    stage = matvec(x, w, simd * beats, pe * passes, simd, pe, bias=True)
    lanes = [n for n in legal_lanes(x, stage.weights) if n <= pe]
    return of_stage(replace(stage, dsp_lanes=int(rng.choice(lanes))))


def multiplied_by_channel(rng: np.random.Generator) -> Circuit:
    lanes = draw(rng, 1, 4)
    stage = channelwise(U8, I8, lanes * draw(rng, 1, 32), lanes, int(rng.integers(2, 10)))
    return of_stage(replace(stage, dsp_lanes=1))


def line_buffer(rng: np.random.Generator) -> Circuit:
    """Of windows, one element or all of them a beat."""
    channels, lanes, parallel = draw(rng, 2, 64), draw(rng, 1, 16), bool(rng.integers(2))
    rows, columns, kernel = (int(n) for n in (rng.integers(5, 9), draw(rng, 8, 200), rng.integers(2, 4)))
    lanes = min(lanes, channels)
    x = StreamType((rows, columns, lanes * (channels // lanes)), (U4, U8)[rng.integers(2)], lanes)
    return of_stage(Window(x, (kernel, kernel), channelwise=parallel, parallel=parallel))


def table(rng: np.random.Generator) -> Circuit:
    """A function of wide numbers, for each channel its own."""
    bits, out, lanes = int(rng.integers(8, 13)), int(rng.integers(2, 9)), draw(rng, 1, 3)
    x, y = Int.of(bits, signed=True), Int.of(out, signed=False)
    values = rng.integers(0, y.hi + 1, (lanes * draw(rng, 1, 4), 1 << bits))
    op = Table(values, x.lo, y)
    return of_stage(TableStage(StreamType((2, len(values)), x, lanes), op))


def rescaled(rng: np.random.Generator) -> Circuit:
    """Multiply and shift."""
    lanes, bits = draw(rng, 1, 4), int(rng.integers(8, 21))
    channels = lanes * draw(rng, 1, 200)
    multiplier = rng.integers(1 << 10, 1 << int(rng.integers(12, 30)), channels)
    op = Requant(multiplier, rng.integers(-999, 999, channels), 24, "half_even", Int.of(8, signed=True))
    return of_stage(RequantStage(StreamType((2, channels), Int.of(bits, signed=True), lanes), op))


def rescaled_as_one(rng: np.random.Generator) -> Circuit:
    """All channels by one constant, of either sign, of numbers with and without one."""
    x = Int.of(int(rng.integers(8, 25)), signed=bool(rng.integers(2)))
    multiplier = draw(rng, 1, 1 << int(rng.integers(2, 30))) * int(rng.choice((-1, 1)))
    op = Requant(np.array([multiplier]), rng.integers(-999, 999, 1), 24, "half_even", Int.of(8, signed=True))
    return of_stage(RequantStage(StreamType((2,), x, 1), op))


KINDS = (rom, fifo, folded, multiplied, multiplied_by_channel, line_buffer, table, rescaled, rescaled_as_one)


def check(seed: int, each: int) -> None:
    """`each` circuits of every kind, all of them in one run of Yosys."""
    rng = np.random.default_rng(seed)
    drawn = [kind(rng) for kind in KINDS for _ in range(each)]
    found = block_counts([circuit for _, circuit, _ in drawn])
    wrong = [
        f"{what}: {cost.bram36} RAMB36, {cost.dsp} DSP estimated, {counts} found"
        for (what, _, cost), counts in zip(drawn, found, strict=True)
        if (cost.bram36, cost.dsp) != counts
    ]
    assert not wrong, "\n".join(wrong)
    assert sum(bram > 0 for bram, _ in found) >= 2 * each and sum(dsp > 0 for _, dsp in found) >= 2 * each


def test_random_circuits_take_the_blocks_estimated() -> None:
    check(0, each=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_many_random_circuits_take_the_blocks_estimated(seed: int) -> None:
    check(seed, each=10)
