"""The pipeline rule, stage by stage: the kinds of stages at usual sizes, each synthesized alone.

.venv/bin/python -m benchmarks.stage_timing [NAME ...] [--clock-mhz 200] [--paths] | [-o docs/timing.md]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.pages import put_between, table
from codesign import timing_table
from codesign.formats import Binary, Format, Int
from codesign.ops.threshold import Threshold
from hw.moves import access, picks
from hw.netlist.clock import levels_at
from hw.pipeline import Stage, alone
from hw.rtl import TOP, verilog
from hw.sliding import Border
from hw.sta import Timing
from hw.stages.argmax import ArgMax
from hw.stages.concat import Concat
from hw.stages.crop import Crop
from hw.stages.fifo import Fifo
from hw.stages.fused import Fused
from hw.stages.gather import Gather
from hw.stages.global_pool import GlobalPool
from hw.stages.join import Add
from hw.stages.joined import Joined
from hw.stages.matvec import MatVec
from hw.stages.pad import Pad
from hw.stages.pool import Pool
from hw.stages.reorder import Reorder
from hw.stages.search import SearchStage
from hw.stages.threshold import ThresholdStage
from hw.stages.width import Width
from hw.stages.window import Window
from hw.stream import StreamType
from hw.synth import timed

AROUND, UNEVEN = Border((1, 1), (1, 1)), Border((4, 1), (5, 1), 84)
B, U4, U8, I4, I8, I14 = Binary(), Int(0, 15), Int(0, 255), Int(-8, 7), Int(-128, 127), Int(-8000, 8000)


def product(clock_mhz: float, x: Format, w: Format, k: int, n: int, simd: int, pe: int) -> MatVec:
    """Of random weights."""
    rng = np.random.default_rng(0)
    weights = rng.choice([-1, 1], (k, n)) if w == B else rng.integers(w.lo, w.hi + 1, (k, n))
    return MatVec(StreamType((4, k), x, simd), weights, w, pe, simd, levels=levels_at(clock_mhz))


def skipping(clock_mhz: float, x: Format, w: Format, k: int, n: int, used: float) -> MatVec:
    """One input and one neuron at a time, of random weights of which so many are used: the others take no clock."""
    made = product(clock_mhz, x, w, k, n, 1, 1)
    weights = made.weights * (np.random.default_rng(1).random((k, n)) < used)
    return replace(made, weights=weights, skip=True)


def stairs(stream: StreamType, count: int) -> Threshold:
    """So many random thresholds of every channel."""
    fmt, channels = stream.format, stream.shape[-1]
    steps = np.sort(np.random.default_rng(1).integers(fmt.lo, fmt.hi, (channels, count)), axis=1)
    return Threshold(steps, Int(0, count), np.zeros(channels, np.int64), np.ones(channels, np.int64))


def thresholds(stream: StreamType) -> ThresholdStage:
    """Of 4 bits, of a channel each."""
    return ThresholdStage(stream, stairs(stream, 15))


def search(stream: StreamType, count: int) -> SearchStage:
    """Among so many thresholds of a channel each."""
    return SearchStage(stream, stairs(stream, count))


def activated(made: MatVec) -> Fused:
    """A product with thresholds behind it."""
    return Fused(made, thresholds(made.outputs[0]))  # type: ignore[arg-type]


def residual(made: MatVec) -> Joined:
    """A product and the sum with another tensor."""
    (out,) = made.outputs
    return Joined(made, Add(out, StreamType(out.shape, I8, out.lanes)), 0)


def transposed(stream: StreamType) -> Reorder:
    """Rows and columns of an image in each other's place."""
    index = np.arange(stream.size).reshape(stream.shape).swapaxes(0, 1)
    found = access(index, stream.size, stream.lanes)
    assert found is not None
    return Reorder(stream, index.shape, found)


def reflected(stream: StreamType, rows: int = 2) -> Gather:
    """So many rows more on each side, those inside mirrored."""
    index = np.pad(np.arange(stream.size).reshape(stream.shape), ((rows, rows), (0, 0), (0, 0)), mode="reflect")
    found = picks(index, stream.size, stream.lanes)
    assert found is not None
    return Gather(stream, index.shape, found)


CLOCKS = (100.0, 200.0)
MARKS = "<!-- stages -->", "<!-- end of stages -->"
HEAD = ("stage", "levels at 100 MHz (≤ 4)", "at 200 MHz (≤ 3)", "clock, estimated", "at 200 MHz", "widest net (≤ 64)")

STAGES: dict[str, Callable[[float], Stage]] = {
    "xnor, 64 folds in tables": lambda c: product(c, B, B, 784, 64, 49, 16),
    "xnor, 4 folds in gates": lambda c: product(c, B, B, 64, 64, 32, 32),
    "4 x 4, 32 folds in tables": lambda c: product(c, U4, I4, 128, 32, 16, 8),
    "8 x 8, memory": lambda c: product(c, U8, I8, 128, 64, 8, 8),
    "8 x 8, multipliers": lambda c: replace(product(c, U8, I8, 128, 32, 2, 32), dsp_lanes=2),
    "8 x 8, 80 multipliers": lambda c: replace(product(c, U8, I8, 128, 320, 1, 160), dsp_lanes=2),
    "4 x 4 and thresholds": lambda c: activated(product(c, U4, I4, 64, 32, 8, 8)),
    "4 x 4 and a residual": lambda c: residual(product(c, U4, I4, 64, 32, 8, 8)),
    "zeros skipped": lambda c: skipping(c, U4, I4, 18, 16, 0.3),
    "zeros skipped, places in block RAM": lambda c: skipping(c, U4, I4, 64, 64, 0.4),
    "thresholds": lambda c: thresholds(StreamType((16, 64), I14, 8)),
    "search": lambda c: search(StreamType((16, 32), I14, 2), 31),
    "window, serial": lambda c: Window(StreamType((34, 34, 64), U4, 8), (3, 3)),
    "window, serial, bordered": lambda c: Window(StreamType((49, 10, 1), I8, 1), (10, 4), (2, 2), border=UNEVEN),
    "window, serial, banks": lambda c: Window(StreamType((114, 114, 128), U4, 16), (3, 3)),
    "window, all channels a beat": lambda c: Window(StreamType((34, 34, 16), U4, 16), (3, 3)),
    "window, parallel": lambda c: Window(StreamType((34, 34, 16), U4, 16), (3, 3), parallel=True),
    "window, bordered": lambda c: Window(StreamType((32, 32, 16), U4, 16), (3, 3), border=AROUND, parallel=True),
    "window, 64 channels": lambda c: Window(StreamType((32, 32, 64), U4, 64), (3, 3), border=AROUND, parallel=True),
    "pool": lambda c: Pool(StreamType((14, 14, 8, 4, 8), U4, 32), "max"),
    "global pool": lambda c: GlobalPool(StreamType((7, 7, 64), U8, 32), "sum"),
    "wider": lambda c: Width(StreamType((16, 256), U4, 8), 64),
    "narrower": lambda c: Width(StreamType((16, 256), U4, 64), 8),
    "gearbox": lambda c: Width(StreamType((16, 240), U4, 24), 10),
    "wider gearbox": lambda c: Width(StreamType((16, 240), U4, 10), 24),
    "64 lanes to 1": lambda c: Width(StreamType((16, 64), U4, 64), 1),
    "64 lanes to 7": lambda c: Width(StreamType((16, 448), U4, 64), 7),
    "256 lanes to 1": lambda c: Width(StreamType((4, 256), U4, 256), 1),
    "reorder": lambda c: transposed(StreamType((14, 14, 32), U4, 8)),
    "reorder, 512 bits": lambda c: transposed(StreamType((8, 8, 64), U8, 64)),
    "reorder, banks": lambda c: transposed(StreamType((56, 56, 8), U8, 8)),
    "gather": lambda c: reflected(StreamType((28, 28, 16), U8, 4)),
    "gather, 512 bits": lambda c: reflected(StreamType((16, 8, 64), U8, 64)),
    "gather, banks": lambda c: reflected(StreamType((16, 300, 26), U4, 26)),
    "crop, 512 bits": lambda c: Crop(StreamType((224, 224, 64), U8, 64), (1, 2, 0), (222, 221, 64)),
    "pad": lambda c: Pad(StreamType((28, 28, 16), U4, 8), (1, 1), (1, 1), 0),
    "pad, 512 bits, gaps": lambda c: Pad(StreamType((28, 28, 64), I8, 64), (1, 1), (1, 1), -5, (1, 1)),
    "concat of 8": lambda c: Concat((StreamType((8, 8, 64), U8, 16),) * 8, 2),
    "concat, 512 bits": lambda c: Concat(tuple(StreamType((8, 8, 64), f, 64) for f in (U8, U8, I8)), 2),
    "fifo in tables": lambda c: Fifo(StreamType((64, 16), U8, 16), 32),
    "fifo, 512 bits": lambda c: Fifo(StreamType((64, 64), U8, 64), 32),
    "fifo, 1024 bits": lambda c: Fifo(StreamType((64, 128), U8, 128), 32),
    "fifo in block RAM": lambda c: Fifo(StreamType((640, 16), U8, 8), 512),
    "fifo in banks": lambda c: Fifo(StreamType((1500, 26), U4, 26), 1400),
    "argmax": lambda c: ArgMax(StreamType((10,), I14, 5)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="stages, by the beginning of their names")
    parser.add_argument("--clock-mhz", type=float, default=100)
    parser.add_argument("--paths", action="store_true", help="also what is outside")
    parser.add_argument("-o", "--output", type=Path, help="the page whose table of all stages is made again")
    a = parser.parse_args()
    if a.output:
        put_between(a.output, *MARKS, table(HEAD, [row(name, make) for name, make in STAGES.items()]))
        return
    for name, make in STAGES.items():
        if not a.names or name.startswith(tuple(a.names)):
            told(name, make(a.clock_mhz), a.clock_mhz, a.paths)


def found(stage: Stage, clock_mhz: float) -> Timing:
    """Of a stage by itself."""
    timing = timed(verilog(alone(stage)), TOP, clock_mhz)
    assert timing is not None
    return timing


def row(name: str, make: Callable[[float], Stage]) -> list[str]:
    """A stage's line in the table."""
    timings = [found(make(clock), clock) for clock in CLOCKS]
    cells = [name, *map(deepest, timings), *(timing_table.clock(t.described()) for t in timings)]
    return [*cells, str(max(t.nets[0].readers for t in timings))]


def deepest(t: Timing) -> str:
    """Levels, bold where some paths are outside the rule."""
    levels = f"{t.deepest.levels:g}"
    return f"**{levels}** ({t.outside} ends)" if t.outside else levels


def told(name: str, stage: Stage, clock_mhz: float, paths: bool) -> None:
    """One stage's line, and what is outside the rule."""
    t = found(stage, clock_mhz).described()
    levels, widest = t["deepest"]["levels"], t["nets"][0]["readers"]
    print(f"{name}: {timing_table.clock(t)}, {levels} levels, {widest} readers; {timing_table.rule(t)}", flush=True)
    for line in timing_table.outside(t) if paths else ():
        print(line)


if __name__ == "__main__":
    main()
