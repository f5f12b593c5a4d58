"""The circuits of activations against their operators: words, cycles, cost, and the choice between them."""

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from codesign.formats import Binary, Format, Int
from codesign.graph import GraphError
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold, staircase
from hw.stages.activation import Function, candidates, cheapest, tabulate, weight
from hw.stages.lanes import ElementStage, at_least
from hw.stages.requant import RequantStage
from hw.stages.search import SearchStage
from hw.stages.table import TableStage
from hw.stages.threshold import ThresholdStage
from hw.stream import StreamType
from hw.synth import synthesize
from hw.yosys import verilog_from_rtlil
from sim.formal import prove_equal, prove_stream_rules
from tests.stage_harness import check_schedule, check_stage, random_frames

INT7, INT10 = Int(-40, 40), Int(-500, 500)


def stairs(channels: int, levels: int, x: Format, out: Int, falls: bool = False) -> Threshold:
    """Random thresholds, some never and some always reached; every other channel falls, if any does."""
    rng = np.random.default_rng(channels * 1000 + levels)
    thresholds = np.sort(rng.integers(x.lo, x.hi + 2, (channels, levels)), axis=1)
    thresholds[0, 0], thresholds[-1, -1] = x.lo, x.hi + 1
    step = np.where(np.arange(channels) % 2 & falls, -1, 1)
    return Threshold(thresholds, out, np.where(step > 0, out.lo, out.lo + levels), step)


def table(channels: int, x: Format, out: Int) -> Table:
    values = np.random.default_rng(channels).integers(out.lo, out.hi + 1, (channels, x.hi - x.lo + 1))
    return Table(values, x.lo, out)


def requant(channels: int, bits: int, shift: int, rounding: str, out: Int) -> Requant:
    rng = np.random.default_rng(bits)
    multiplier = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), channels)
    return Requant(multiplier, rng.integers(-(1 << shift), 1 << shift, channels), shift, rounding, out)


SIGN = Threshold(np.array([[0], [3], [-9], [41]]), Binary(), np.array([-1, 1, -1, -1]), np.array([2, -2, 2, 2]))
SCALE = Requant(np.array([1]), np.array([3]), 3, "half_even", Int(-8, 6))

STAGES: dict[str, ElementStage] = {
    "one threshold": ThresholdStage(StreamType((2, 4), INT7, 2), stairs(1, 1, INT7, Int(0, 1))),
    "signs": ThresholdStage(StreamType((2, 4), INT7, 2), SIGN),
    "constants": ThresholdStage(StreamType((4,), INT7, 4), stairs(4, 3, INT7, Int(0, 3))),
    "several pixels a beat": ThresholdStage(StreamType((4, 2), INT7, 4), stairs(2, 5, INT7, Int(-3, 2), True)),
    "folded": ThresholdStage(StreamType((2, 6), INT7, 4), stairs(6, 7, INT7, Int(-4, 3), True)),
    "unsigned": ThresholdStage(StreamType((3,), Int(0, 63), 1), stairs(3, 2, Int(0, 63), Int(0, 2))),
    "search of constants": SearchStage(StreamType((4,), INT7, 4), stairs(4, 3, INT7, Int(0, 3))),
    "search of one": SearchStage(StreamType((4,), INT7, 2), stairs(4, 1, INT7, Int(0, 3))),
    "search in memory": SearchStage(StreamType((2, 6), INT10, 4), stairs(6, 90, INT10, Int(-128, 127), True)),
    "common search": SearchStage(StreamType((4,), INT10, 2), stairs(1, 255, INT10, Int(-128, 127))),
    "common table": TableStage(StreamType((4,), INT7, 2), table(1, INT7, Int(-3, 3))),
    "folded table": TableStage(StreamType((2, 6), INT7, 4), table(6, INT7, Int(0, 9))),
    "block table": TableStage(StreamType((16,), Int(-128, 127), 1), table(16, Int(-128, 127), Int(0, 255))),
    "table of bits": TableStage(StreamType((2, 2), Binary(), 2), table(2, Binary(), Int(0, 9))),
    "shift": RequantStage(StreamType((2, 4), INT7, 2), SCALE),
    "constant multiplier": RequantStage(StreamType((4,), INT10, 2), requant(1, 5, 6, "floor", Int(-7, 7))),
    "folded multiplier": RequantStage(
        StreamType((2, 6), INT10, 4), requant(6, 9, 8, "half_even", Int(-100, 127))
    ),
    "two digits": RequantStage(
        StreamType((2, 2), Int(0, 1 << 20), 1), requant(2, 30, 28, "half_even", Int(0, 255))
    ),
    "three digits": RequantStage(StreamType((4,), Int(-500, 500000), 2), requant(1, 40, 35, "floor", Int(-200, 3))),
    "wide multiplier": RequantStage(StreamType((2,), Int(0, 65535), 2), requant(2, 24, 24, "floor", Int(0, 255))),
    "nothing left": RequantStage(
        StreamType((2,), Int(0, 15), 1), Requant(np.array([3]), np.array([1]), 9, "half_even", Int(0, 7))
    ),
    "no shift": RequantStage(StreamType((2,), INT10, 1), requant(2, 8, 0, "floor", Int(-20000, 30000))),
}  # fmt: skip


def whole_range(stage: ElementStage) -> list[np.ndarray]:
    """Frames that show every value of the input format (at most 16 bits) to every channel."""
    x = stage.input.format
    assert x.bits <= 16
    values = x.to_int(np.arange(1 << x.bits, dtype=np.uint64))
    values = values[(values >= x.lo) & (values <= x.hi)]
    return [np.broadcast_to(values.reshape(-1, *[1] * len(stage.input.shape)), (len(values), *stage.input.shape))]


@pytest.mark.parametrize("name", STAGES)
def test_words_under_stalls_and_reset_and_cycles(name: str) -> None:
    stage = STAGES[name]
    frames = random_frames(stage, 12)
    check_stage(stage, frames, seeds=(1, 2))
    check_schedule(stage, frames)


@pytest.mark.parametrize("name", [k for k, s in STAGES.items() if s.input.format.bits <= 10])
def test_every_input_value(name: str) -> None:
    check_stage(STAGES[name], whole_range(STAGES[name]), seeds=(None,), reset=False)


@pytest.mark.slow
def test_every_input_value_of_16_bits() -> None:
    x = Int(-(1 << 15), (1 << 15) - 1)
    values = np.clip(np.rint(np.arange(x.lo, x.hi + 1)[None] * 0.0037), -100, 127).astype(np.int64)
    op = staircase(values, x.lo, Int(-100, 127))
    assert op is not None
    for stage in candidates(StreamType((1,), x, 1), op):
        check_stage(stage, whole_range(stage), seeds=(None,), reset=False)


@pytest.mark.parametrize("name", ["one threshold", "search of one", "common table", "shift"])
def test_stream_rules_for_all_time(name: str) -> None:
    proof = prove_stream_rules(rtlil.convert(STAGES[name].rtl(), name="top", emit_src=False))
    assert proof.kind == "unbounded"


class Comparator(wiring.Component):
    """y = x >= threshold."""

    x: Signal
    y: Signal

    def __init__(self, bits: int, signed: bool, threshold: int) -> None:
        self.threshold = threshold
        super().__init__({"x": In(Shape(bits, signed)), "y": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.y.eq(at_least(self.x, self.threshold))
        return m


@pytest.mark.parametrize("bits, threshold", [(1, 1), (4, -8), (5, 7), (6, -1), (11, -1000), (11, 992), (12, 4095)])
def test_comparison_with_a_constant_for_every_input(bits: int, threshold: int) -> None:
    signed = threshold < 1 << (bits - 1)
    design = rtlil.convert(Comparator(bits, signed, threshold), name="top", emit_src=False)
    prove_equal(design, lambda x: (x >= threshold).astype(np.int64), signed=["x"] if signed else [])


FUNCTIONS: dict[str, tuple[StreamType, Function]] = {
    "sign": (StreamType((2, 4), INT7, 4), SIGN),
    "2 bit": (StreamType((4,), INT7, 4), stairs(4, 3, INT7, Int(0, 3))),
    "falling": (StreamType((6,), INT10, 2), stairs(6, 15, INT10, Int(-8, 7), True)),
    "8 bit": (StreamType((2,), INT10, 1), stairs(2, 255, INT10, Int(0, 255))),
    "no stair": (StreamType((4,), INT7, 2), table(4, INT7, Int(-8, 7))),
    "scale": (StreamType((4,), INT10, 2), SCALE),
    "line": (StreamType((2,), INT10, 1), requant(2, 9, 8, "half_even", Int(-100, 100))),
    "constant": (StreamType((2,), INT7, 1), Table(np.full((1, 81), 5), -40, Int(0, 5))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_choice_equals_the_function_on_the_whole_range(name: str) -> None:
    stream, op = FUNCTIONS[name]
    choices = candidates(stream, op)
    for stage in choices:
        frames = whole_range(stage)
        np.testing.assert_array_equal(stage.golden(*frames)[0], op.run(stage.type, *frames))
        check_stage(stage, frames, seeds=(None,), reset=False)
    assert weight(cheapest(stream, op).cost()) == min(weight(s.cost()) for s in choices)


def test_the_choice_is_the_obvious_one() -> None:
    assert isinstance(cheapest(StreamType((2, 4), INT10, 4), SIGN), (ThresholdStage, SearchStage))  # both compare once
    assert isinstance(cheapest(*FUNCTIONS["sign"]), TableStage)  # of few bits, of which each lane reads some
    assert isinstance(cheapest(*FUNCTIONS["no stair"]), TableStage)
    assert isinstance(cheapest(*FUNCTIONS["scale"]), RequantStage)
    x = Int(-30000, 30000)
    lines = np.clip(np.rint(np.arange(x.lo, x.hi + 1) * np.linspace(0.00301237, 0.00398761, 8)[:, None]), -128, 127)
    wide = staircase(lines.astype(np.int64), x.lo, Int(-128, 127))
    assert wide is not None
    assert isinstance(cheapest(StreamType((8,), x, 1), wide), RequantStage)
    assert isinstance(cheapest(StreamType((8,), x, 1), stairs(8, 255, x, Int(-128, 127))), SearchStage)


def test_tabulate_is_the_operator() -> None:
    op = requant(3, 9, 5, "half_even", Int(-9, 9))
    x = np.repeat(np.arange(-40, 41)[:, None], 3, axis=1)
    expected = np.clip(np.rint((x * op.multiplier + op.offset) / 32), -9, 9)
    np.testing.assert_array_equal(tabulate(op, INT7).values, expected.T)


def test_what_has_no_circuit_is_refused() -> None:
    real = Threshold(np.array([[0.5]]), Int(0, 1), np.array([0]), np.array([1]))
    with pytest.raises(GraphError, match="integer thresholds"):
        ThresholdStage(StreamType((2,), INT7), real)
    with pytest.raises(GraphError, match="takes 25 bits"):
        RequantStage(StreamType((2,), Int(0, 1 << 26)), SCALE)
    with pytest.raises(GraphError, match="no circuit"):
        cheapest(StreamType((2,), Int(0, 1 << 26)), SCALE)


WIDE = Int(-30000, 30000)
MULTIPLY = Requant(np.array([89]), np.array([77]), 10, "floor", Int(-128, 127))
FINE = Int(-2000, 2000)
SYNTHESIZED: dict[str, ElementStage] = {
    "constants": ThresholdStage(StreamType((10,), INT10, 10), stairs(10, 7, INT10, Int(0, 7))),
    "many constants": ThresholdStage(StreamType((8,), FINE, 8), stairs(8, 15, FINE, Int(0, 15))),
    "signs": ThresholdStage(StreamType((64,), INT10, 64), stairs(64, 1, INT10, Int(0, 1))),
    "folded signs": ThresholdStage(StreamType((64,), INT10, 16), stairs(64, 1, INT10, Int(0, 1))),
    "folded": ThresholdStage(StreamType((64,), WIDE, 1), stairs(64, 3, WIDE, Int(0, 3))),
    "search": SearchStage(StreamType((16,), WIDE, 2), stairs(16, 15, WIDE, Int(0, 15))),
    "block search": SearchStage(StreamType((16,), WIDE, 1), stairs(16, 255, WIDE, Int(-128, 127))),
    "block table": STAGES["block table"],
    "table": TableStage(StreamType((4,), Int(-512, 511), 2), table(1, Int(-512, 511), Int(0, 15))),
    "shift": RequantStage(StreamType((4,), WIDE, 2), SCALE),
    "multiplier": RequantStage(StreamType((4,), WIDE, 2), MULTIPLY),
    "folded multiplier": RequantStage(StreamType((16,), WIDE, 4), requant(16, 16, 20, "half_even", Int(0, 100))),
    "two digits": RequantStage(StreamType((32,), Int(0, 1 << 18), 1), requant(32, 30, 32, "floor", Int(-128, 127))),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SYNTHESIZED)
def test_estimate_against_synthesis(name: str) -> None:
    stage = SYNTHESIZED[name]
    found = synthesize(verilog_from_rtlil(rtlil.convert(stage.rtl(), name="stage")), "stage")
    cost = stage.cost()
    assert cost.lut == pytest.approx(found.lut_paired, rel=0.25, abs=10)
    assert cost.ff == pytest.approx(found.ff, rel=0.15, abs=10)
    assert (cost.dsp, cost.bram36) == (found.dsp, found.bram36)
