"""Single stages against the pipeline rule: no net with too many readers, whatever their size."""

from __future__ import annotations

import pytest
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal

from benchmarks.stage_timing import AROUND, STAGES, found, product
from codesign.formats import Int
from hw.copies import copies
from hw.dealt import Dealt
from hw.pipeline import Stage
from hw.rtlil import to_rtlil
from hw.stages.argmax import ArgMax
from hw.stages.pool import Pool
from hw.stages.window import Window
from hw.stream import StreamType
from hw.synth import synthesize, timed
from hw.yosys import verilog_from_rtlil

U4, U8 = Int(0, 15), Int(0, 255)
NARROW: dict[str, Stage] = {
    "reset and address of a window": Window(StreamType((34, 34, 64), U4, 8), (3, 3)),
    "room for wide beats in a window": Window(StreamType((34, 34, 96), U4, 96), (3, 3)),
    "enable of a tree": Pool(StreamType((6, 8, 4, 32), U4, 128), "max"),
    "border of a window": Window(StreamType((10, 10, 64), U4, 32), (3, 3), border=AROUND),
    "places outside of an image": STAGES["window, serial, bordered"](100),
    "enables of a wide window": STAGES["window, 64 channels"](100),
    "register of a replayed vector": product(100, U4, Int(-8, 7), 128, 8, 32, 2),
    "places in a long replayed vector": product(100, U8, Int(-128, 127), 512, 4, 2, 2),
    "beats that are skipped": STAGES["zeros skipped, places in block RAM"](100),
    "weights of many multipliers": STAGES["8 x 8, multipliers"](100),
    "best lane": ArgMax(StreamType((1024,), Int(-32768, 32767), 32)),
    "running results of an image": STAGES["global pool"](100),
    "choice of 256": STAGES["256 lanes to 1"](100),
    "table of a gather's steps": STAGES["gather"](100),
    "parts of a gather's memory": STAGES["gather, 512 bits"](100),
    "ends of a reorder": STAGES["reorder"](100),
    "resets of a wide fifo": STAGES["fifo, 1024 bits"](100),
    "banks of a fifo": STAGES["fifo in banks"](100),
    "counts of a search": STAGES["search"](100),
    "running results": Pool(StreamType((6, 6, 8, 4, 16), U8, 16), "max"),
}
LARGE = ("8 x 8, 80 multipliers", "window, serial, banks", "reorder, banks", "gather, banks")
FAST = (
    "window, serial",
    "wider",
    "narrower",
    "gearbox",
    "64 lanes to 1",
    "pool",
    "concat of 8",
    "fifo in tables",
    "thresholds",
    "argmax",
)
FAST_TOO = (
    "window, all channels a beat",
    "window, parallel",
    "window, bordered",
    "wider gearbox",
    "64 lanes to 7",
    "reorder, 512 bits",
    "crop, 512 bits",
    "gather, 512 bits",
    "pad, 512 bits, gaps",
    "fifo, 512 bits",
    "fifo in block RAM",
    "8 x 8, memory",
    "8 x 8, 80 multipliers",
)
WIDE_IMAGE = Window(StreamType((224, 224, 16), U4, 16), (3, 3), border=AROUND)


@pytest.mark.parametrize("name", NARROW)
def test_a_stage_is_inside_the_rule_of_100_mhz(name: str) -> None:
    timing = found(NARROW[name], 100)
    assert timing.holds, (timing.deepest, timing.nets)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_large_stage_is_inside_the_rule_of_100_mhz(name: str) -> None:
    timing = found(STAGES[name](100), 100)
    assert timing.holds, (timing.deepest, timing.nets)


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in FAST_TOO)])
def test_a_stage_is_inside_the_rule_of_200_mhz(name: str) -> None:
    timing = found(STAGES[name](200), 200)
    assert timing.holds, (timing.deepest, timing.nets)


def test_a_wide_border_is_inside_the_rule_of_200_mhz() -> None:
    timing = found(WIDE_IMAGE, 200)
    assert timing.holds, (timing.deepest, timing.nets)


class Wide(Elaboratable):
    """200 registers that hold and 40 that are reset, dealt out; and copies of a register, which are ports."""

    def __init__(self) -> None:
        self.clk, self.x, self.run, self.y = Signal(), Signal(200), Signal(), Signal(200)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain("sync", reset_less=True)
        held, counted, inner = Signal(200, reset_less=True), Signal(40), Module()
        inner.d.sync += [held.eq(self.x), counted.eq(counted + self.x[0])]
        dealt = Dealt(inner, platform)
        assert (dealt.enables, dealt.resets) == (6, 1)
        m.d.comb += sync.clk.eq(self.clk)
        m.submodules.outer = outer = Module()
        runs = copies(outer, self.run, dealt.enables)
        m.submodules.inner = dealt.enabled(runs)
        m.d.comb += self.y.eq(held ^ counted)
        return m


def test_copies_of_an_enable_stay_apart_though_they_are_ports() -> None:
    top = Wide()
    text = verilog_from_rtlil(to_rtlil(top, "wide", [top.clk, top.x, top.run, top.y], None))
    assert synthesize(text, "wide").ff == 200 + 40 + 6
    timing = timed(text, "wide", 100)
    assert timing is not None and not timing.wide
