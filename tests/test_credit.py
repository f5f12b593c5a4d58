"""A circuit that cannot stop between streams: words, cycles under stalls, and the queue of its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from codesign.cost import Cost
from codesign.formats import Int
from hw.copies import KEPT
from hw.credit import Credit, Credited
from hw.halts import Flow, Start, Times
from hw.stream import StreamType
from hw.synth import synthesize
from tests.stage_harness import check_schedule, check_stage, random_frames, verilog_of


class Delay(wiring.Component):
    """`y` is `x` so many clocks before, in registers that stay such: no shift registers in LUTs."""

    def __init__(self, bits: int, clocks: int) -> None:
        self.clocks = clocks
        super().__init__({"x": In(bits), "y": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        m, last = Module(), self.x  # type: ignore[attr-defined]
        for _ in range(self.clocks):
            m.d.sync += (kept := Signal(len(last), reset_less=True, attrs=KEPT)).eq(last)
            last = kept
        m.d.comb += self.y.eq(last)  # type: ignore[attr-defined]
        return m


@dataclass(frozen=True)
class Delayed:
    """The least stage with a Credited in it."""

    input: StreamType
    clocks: int
    passing: bool = True

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.input,)

    outputs = inputs

    def golden(self, *frames: np.ndarray) -> tuple[np.ndarray, ...]:
        return (frames[0],)

    def schedule(self, *arrive: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self._credit().schedule(arrive[0]),)

    def flow(self, arrive: Times, leave: Times, start: Start) -> Flow:
        return self._credit(start.behind).flow(arrive[0], leave[0])

    def cost(self) -> Cost:
        return self._credit().cost()

    def _credit(self, behind: int = 0) -> Credit:
        return Credit(self.input.beat_bits, self.clocks + behind, self.passing)

    def rtl(self) -> wiring.Component:
        return Credited(Delay(self.input.beat_bits, self.clocks), self.clocks, None, self.passing)


NARROW, WIDE = StreamType((40, 2), Int(-8, 7), 2), StreamType((200, 90), Int(-8, 7), 90)


@pytest.mark.parametrize("clocks", [1, 2, 3, 7, 15, 16])
def test_results_pass_an_empty_queue(clocks: int) -> None:
    stage = Delayed(NARROW, clocks)
    assert stage.schedule(np.array([3]))[0] == 3 + clocks
    check_stage(stage, random_frames(stage, 3))
    check_schedule(stage, random_frames(stage, 3), seeds=(None, 1, 2, 3))


@pytest.mark.parametrize("clocks", [1, 14, 15])
def test_inside_a_design_they_come_from_its_memory(clocks: int) -> None:
    stage = Delayed(NARROW, clocks, passing=False)
    assert stage.schedule(np.array([3]))[0] == 3 + clocks + 1
    check_stage(stage, random_frames(stage, 3))
    check_schedule(stage, random_frames(stage, 3), seeds=(None, 1, 2, 3))


def test_a_queue_in_block_memory_takes_its_two_clocks() -> None:
    stage = Delayed(WIDE, 200)
    assert stage.cost().bram36 > 0 and stage.schedule(np.array([3]))[0] == 3 + 200 + 2
    check_schedule(stage, random_frames(stage, 2))


@pytest.mark.parametrize("clocks,passing", [(5, True), (20, True), (20, False)])
def test_it_takes_what_is_estimated(tmp_path: Path, clocks: int, passing: bool) -> None:
    stage = Delayed(StreamType((8, 30), Int(-8, 7), 30), clocks, passing)
    (tmp_path / "a.v").write_text(verilog_of(stage))
    used = synthesize(tmp_path / "a.v", "accelerator")
    wanted = stage.cost() + Cost(ff=clocks * stage.input.beat_bits)
    assert used.lut_paired == pytest.approx(wanted.lut, rel=0.1) and used.ff == pytest.approx(wanted.ff, rel=0.02)
