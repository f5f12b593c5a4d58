"""Products in DSP48E1s: packings over all operands, instances against their plain form, stages, cost."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from amaranth.back import rtlil
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.formats import Format, Int
from hw.arith import dsp
from hw.arith.packing import Cascades, Packing, legal_lanes, packing_of
from hw.netlist.circuit import Modules
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.matvec import MatVec
from hw.synth import Utilisation, synthesize
from hw.yosys import verilog_from_rtlil
from sim.aig import aig_of
from sim.formal import prove_equivalent, prove_stream_rules
from tests.stage_harness import check_schedule, check_stage, random_frames
from tests.test_stage_matvec import I3, I4, I8, U4, U8, channelwise, matvec

I8N, I4N = Int(-127, 127), Int(-7, 7)
PACKINGS = {
    "int8 by int8, 2": (I8, I8, 2, 16),
    "uint8 by int8, 2": (U8, I8, 2, 16),
    "int8 by symmetric int8, 2": (I8, I8N, 2, 17),
    "int4 by int4, 2": (I4, I4, 2, 20),
    "int4 by int4, 3": (I4, I4, 3, 10),
    "int4 by symmetric int4, 4": (I4, I4N, 4, 7),
    "uint4 by int4, 3": (U4, I4, 3, 10),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_every_packing_holds_all_products(name: str) -> None:
    """All weights and all inputs: the digits make the word, and each lane of its product is its weight's."""
    x, w, lanes, spacing = PACKINGS[name]
    packing = packing_of(x, np.array([w.lo, w.hi]), lanes)
    assert packing is not None
    assert packing == Packing(lanes, spacing)
    codes = np.arange(w.lo, w.hi + 1)
    weights = np.stack([g.reshape(-1) for g in np.meshgrid(*[codes] * lanes, indexing="ij")], axis=-1)
    words = packing.words(weights)
    assert words.min() >= -(1 << 24)
    assert words.max() < 1 << 24
    digits = packing.digits(weights).T
    assert np.array_equal(sum((d & ((1 << spacing) - 1)) << (spacing * k) for k, d in enumerate(digits[:-1]))
                          + (digits[-1] << (spacing * (lanes - 1))), words)  # fmt: skip
    offset = -min(a * b for a, b in product((x.lo, x.hi), (w.lo, w.hi)))
    start = int(packing.words(np.full(lanes, offset)))
    for value in range(x.lo, x.hi + 1):
        total = words * value + start
        for k in range(lanes):
            lane = total >> (spacing * k)
            lane = lane & ((1 << spacing) - 1) if k < lanes - 1 else lane
            assert np.array_equal(lane - offset, weights[:, k] * value)


def test_only_legal_packings_are_offered() -> None:
    assert legal_lanes(I8, np.array([-128, 127])) == [1, 2]
    assert legal_lanes(I4, np.array([-8, 7])) == [1, 2, 3]  # four lanes of -8 leave 25 bits, and -8 * -8 seven
    assert legal_lanes(I4, np.array([-7, 7])) == [1, 2, 3, 4]
    assert legal_lanes(Int.of(18, signed=False), np.array([-1, 1])) == []
    assert legal_lanes(Int.of(17, signed=False), np.array([-1, 1])) == [1, 2]


@settings(deadline=None)
@given(st.data())
def test_cascades_hold_the_sums_of_their_weights(data: st.DataObject) -> None:
    """The inputs that drive every lane to its ends stay inside, and cascades are as long as that allows."""
    x, w = (data.draw(st.sampled_from([I3, I4, U4, I8N, U8])) for _ in range(2))
    shape = tuple(data.draw(st.integers(1, n)) for n in (3, 4, 20))
    weights = np.random.default_rng(data.draw(st.integers(0, 99))).integers(w.lo, w.hi + 1, shape)
    lanes = data.draw(st.sampled_from(legal_lanes(x, weights)))
    packing = packing_of(x, weights, lanes)
    assert packing is not None
    c = Cascades.longest(x, weights, packing, 1)
    assert len(c.starts) == c.count
    assert max(c.delay(s) for s in range(shape[2])) == c.length - 1
    for group in c.groups:
        room = packing.room(len(group))
        for j, (start, end) in enumerate(zip(c.starts, [*c.starts[1:], shape[2]], strict=True)):
            for k, n in enumerate(group):
                part = weights[:, n, start:end]
                for high, low in ((x.hi, x.lo), (x.lo, x.hi)):
                    sums = np.where(part > 0, part * high, part * low).sum(1) + c.offsets[n, j]
                    assert sums.min() >= 0
                    assert sums.max() <= c.highest[n, j] < 1 << room[k]


def text_of(body: str, generic: bool) -> str:
    return ("`define CODESIGN_GENERIC\n" if generic else "") + body.replace("@name@", "top")


def test_an_accumulator_is_the_slice_that_stands_for_it() -> None:
    body = dsp._ACCUMULATOR
    assert prove_equivalent(text_of(body, generic=False), text_of(body, generic=True)).kind == "unbounded"


def test_a_cascade_is_the_slices_that_stand_for_it() -> None:
    """On random operands, with `run` coming and going; the slow test below proves it."""
    body, rng = dsp._cascade(3, 5 << 33), np.random.default_rng(0)
    forms = [aig_of(text_of(body, generic), "top") for generic in (False, True)]
    states: list[list[np.ndarray]] = [[], []]
    seen: set[int] = set()
    for _ in range(12):
        words = {"aclk": np.zeros(40, np.uint64), "run": rng.integers(0, 4, 40).astype(np.uint64) // 3}
        words["run"] ^= np.uint64(1)
        for name, bits in (("a", 75), ("b", 54)):
            words[name] = np.array([int.from_bytes(rng.bytes(10), "little") >> (80 - bits) for _ in range(40)], object)
        sums: list[np.ndarray] = []
        for k, form in enumerate(forms):
            out, states[k] = form.step(words, states[k] or None)
            sums.append(out["p"])
        assert np.array_equal(sums[0], sums[1])
        seen |= set(sums[0].tolist())
    assert len(seen) > 100


@pytest.mark.slow
def test_a_cascade_is_proven_to_be_its_slices() -> None:
    body = dsp._cascade(2, 5 << 33)
    assert prove_equivalent(text_of(body, generic=False), text_of(body, generic=True)).kind == "unbounded"


def packed(x: Format, w: Format, k: int, n: int, simd: int, pe: int, lanes: int, groups: int = 1) -> MatVec:
    return replace(matvec(x, w, k, n, simd, pe, groups, bias=True), dsp_lanes=lanes)


STAGES = {
    "int8, two a slice": packed(I8, I8N, 8, 4, 4, 2, 2),
    "int8, three cascades, constants": packed(U8, I8, 8, 4, 8, 4, 2),
    "int8, one synapse, sums outside": packed(I8, I8, 6, 6, 1, 2, 2),
    "int8, alone, the slice accumulates": packed(U8, I8, 6, 4, 1, 2, 1),
    "int4, two lanes accumulate": packed(U4, I4, 12, 4, 1, 4, 2),
    "int4, three a slice, groups": packed(I4, I4, 12, 6, 6, 6, 3, groups=2),
    "int4, four a slice": packed(I4, I4N, 8, 4, 2, 4, 4),
    "a neuron too many": packed(I8, I8, 4, 3, 4, 3, 2),
    "a cascade of sixteen and one of nine": packed(I3, I3, 50, 4, 25, 2, 2),
    "blocks of zeros": replace(packed(I8, I8N, 6, 4, 2, 1, 1), skip=True,
                               weights=np.kron(np.array([[1, 0], [0, 2], [3, 0]]), np.ones((2, 2), np.int64))),
    "a factor of many slices": packed(U8, I8, 3, 61, 1, 61, 1),
    "a factor of many cascades": packed(I4, I4N, 4, 122, 2, 122, 2),
    "depthwise": replace(channelwise(I8, I8, 4, 2, 9), dsp_lanes=1),
    "depthwise, three filters a channel": replace(channelwise(U4, I4, 4, 2, 9, filters=3), dsp_lanes=2),
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_words_and_cycles(name: str) -> None:
    stage = STAGES[name]
    frames = random_frames(stage, 4)
    check_stage(stage, frames)
    check_schedule(stage, frames)


def test_stream_rules() -> None:
    stage = packed(Int(0, 1), Int(-1, 0), 2, 2, 1, 2, 2)
    prove_stream_rules(rtlil.convert(stage.rtl(), name="top", emit_src=False), depth=12, patience_s=4)


def test_what_the_names_say() -> None:
    parts = {name: stage.folded.multipliers for name, stage in STAGES.items()}
    assert {n for n, p in parts.items() if p and p.accumulates} == {
        "int8, alone, the slice accumulates", "int4, two lanes accumulate", "depthwise", "a factor of many slices",
        "depthwise, three filters a channel",
    }  # fmt: skip
    assert {n for n, p in parts.items() if p and p.spread} == {"a factor of many slices", "a factor of many cascades"}
    lengths = parts["a cascade of sixteen and one of nine"]
    assert lengths is not None
    assert (lengths.cascades.count, lengths.cascades.length) == (2, 13)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_shape(data: st.DataObject) -> None:
    x, w = (data.draw(st.sampled_from([I3, I4, U4, Int(2, 5), Int(-5, -1), Int(0, 0)])) for _ in range(2))
    simd, beats, pe, passes, groups = (data.draw(st.integers(1, 3)) for _ in range(5))
    stage = matvec(x, w, simd * beats, pe * passes, simd, pe, groups, bias=data.draw(st.booleans()))
    legal = [n for n in legal_lanes(x, stage.weights) if n <= pe]
    stage = replace(stage, dsp_lanes=data.draw(st.sampled_from(legal)))
    frames = random_frames(stage, 3)
    check_stage(stage, frames, seeds=(data.draw(st.integers(0, 99)),))
    check_schedule(stage, frames)


def synthesized(stage: MatVec | ChannelwiseMac) -> Utilisation:
    modules = Modules()
    text = verilog_from_rtlil(rtlil.convert(stage.rtl(), name="top", platform=modules, emit_src=False))
    return synthesize("\n".join([text, *modules.texts.values()]), "top")


@pytest.mark.parametrize(
    "stage",
    [pytest.param(packed(I8, I8N, 32, 32, 8, 4, 2), marks=pytest.mark.slow), packed(U4, I4, 36, 6, 6, 6, 3),
     packed(Int(-(1 << 15), (1 << 15) - 1), I8N, 16, 4, 16, 4, 1),  # factors that wait up to fifteen clocks
     pytest.param(replace(channelwise(I8, I8N, 32, 8, 9), dsp_lanes=1), marks=pytest.mark.slow)],
)  # fmt: skip
def test_cost_is_near_the_synthesized_one(stage: MatVec | ChannelwiseMac) -> None:
    found, cost = synthesized(stage), stage.cost()
    assert (cost.dsp, cost.bram36) == (found.dsp, found.bram36)
    assert cost.lut == pytest.approx(found.lut_paired, rel=0.3)
    assert cost.ff == pytest.approx(found.ff, rel=0.3)
