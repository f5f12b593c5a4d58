"""A function inside the last registers of another stage: words, cycles, stream rules, cost against synthesis."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.back import rtlil

from codesign.cost import Cost
from codesign.formats import Int
from codesign.ops.requant import Requant
from hw.netlist.dense import Dense
from hw.stages.channel_concat import ChannelConcat
from hw.stages.channelwise import ChannelwiseMac
from hw.stages.concat import Concat
from hw.stages.crop import Crop
from hw.stages.fork import Fork, Forked
from hw.stages.fused import Fused, Producer
from hw.stages.global_pool import GlobalPool
from hw.stages.join import Add, Mul
from hw.stages.joined import Joined
from hw.stages.lanes import ElementStage
from hw.stages.matvec import MatVec
from hw.stages.pool import Pool
from hw.stages.requant import RequantStage
from hw.stages.search import SearchStage
from hw.stages.table import TableStage
from hw.stages.threshold import ThresholdStage
from hw.stages.unrolled import Unrolled
from hw.stages.width import Width
from hw.stages.window import Window
from hw.stream import StreamType
from hw.synth import synthesize
from sim.formal import prove_stream_rules
from tests.stage_harness import (
    check_schedule,
    check_stage,
    measure_schedule,
    ragged,
    random_frames,
    steady,
    verilog_of,
)
from tests.test_activation_stages import requant, stairs, table
from tests.test_stage_matvec import weights_of

INT3, INT4 = Int(-4, 3), Int(-8, 7)


def image(*shape: int, lanes: int = 1) -> StreamType:
    return StreamType(shape, INT3, lanes)


def product(rows: int, columns: int, simd: int, pe: int) -> MatVec:
    return MatVec(image(3, rows, lanes=simd), weights_of(INT4, (rows, columns)), INT4, pe, simd)


PRODUCERS: dict[str, Producer] = {
    "product": product(4, 4, 2, 2),
    "one pass": product(4, 2, 1, 2),
    "all at once": product(3, 4, 3, 4),
    "unrolled": Unrolled(image(2, 3, lanes=3), (Dense(weights_of(INT4, (3, 4)), np.zeros(4, np.int64), Int(-99, 99)),)),
    "depthwise": ChannelwiseMac(StreamType((2, 2, 4, 2), INT3, 2), weights_of(INT4, (4, 4)), INT4),
    "serial pool": Pool(StreamType((2, 2, 4, 2), INT3, 2), "sum"),
    "whole pool": Pool(StreamType((2, 2, 3, 2), INT3, 6), "max"),
    "global pool": GlobalPool(image(2, 2, 4, lanes=2), "sum"),
    "sum": Add(image(2, 4, lanes=2), image(2, 4, lanes=2)),
    "mul": Mul(image(2, 4, lanes=2), image(2, 4, lanes=2)),
    "concat": Concat((image(2, 2, lanes=2), image(2, 4, lanes=2)), 1),
    "channel concat": ChannelConcat((image(2, 2, lanes=2), image(2, 4, lanes=4))),
    "crop": Crop(image(4, 4, lanes=2), (1, 0), (2, 4)),
    "narrower": Width(image(2, 4, lanes=4), 2),
    "gearbox": Width(image(2, 6, lanes=4), 3),
    "wider gearbox": Width(image(2, 6, lanes=2), 3),
}


def functions(stream: StreamType) -> dict[str, ElementStage]:
    """One of each kind of stage, with and without memories."""
    x, channels = stream.format, stream.shape[-1]
    assert isinstance(x, Int)
    return {
        "compare": ThresholdStage(stream, stairs(1, 3, x, Int(0, 3))),
        "compare folded": ThresholdStage(stream, stairs(channels, 3, x, Int(0, 3), falls=True)),
        "search": SearchStage(stream, stairs(channels, 7, x, Int(-4, 3), falls=True)),
        "table": TableStage(stream, table(channels, x, Int(-3, 3))),
        "scale": RequantStage(stream, requant(channels, 5, 4, "half_even", Int(-100, 100))),
        "shift": RequantStage(stream, Requant(np.array([1]), np.array([3]), 1, "floor", Int(-9, 9))),
    }


def fused(producer: Producer, then: str) -> Fused:
    return Fused(producer, functions(producer.outputs[0])[then])


KINDS = tuple(functions(PRODUCERS["sum"].outputs[0]))
FUSED = {
    f"{name}, {KINDS[k % len(KINDS)]}": fused(p, KINDS[k % len(KINDS)]) for k, (name, p) in enumerate(PRODUCERS.items())
}
FUSED |= {f"product, {then}": fused(PRODUCERS["product"], then) for then in KINDS}
FUSED |= {f"unrolled, {then}": fused(PRODUCERS["unrolled"], then) for then in ("search", "scale", "compare folded")}
FUSED |= {f"sum, {then}": fused(PRODUCERS["sum"], then) for then in KINDS}
FUSED["product, scale, compare"] = fused(FUSED["product, scale"], "compare folded")
FUSED["scale, table"] = fused(functions(PRODUCERS["narrower"].outputs[0])["scale"], "table")


@pytest.mark.parametrize("name", FUSED)
def test_words_and_cycles(name: str) -> None:
    stage = FUSED[name]
    frames = random_frames(stage, 5)
    check_stage(stage, frames, seeds=(1,))
    check_schedule(stage, frames)


def test_it_is_the_two_stages_in_turn() -> None:
    for stage in FUSED.values():
        frames = random_frames(stage, 3)
        (made,) = stage.producer.golden(*frames)
        np.testing.assert_array_equal(stage.golden(*frames)[0], stage.then.golden(made)[0])
        apart = stage.producer.cost() + stage.then.cost()
        assert stage.cost().lut < apart.lut and stage.cost().ff < apart.ff


def joined(producer: Producer, port: int = 0, then: str = "", multiply: bool = False) -> Joined:
    """The producer's results and another tensor of the same shape, or (`then`) a function of it."""
    (made,) = producer.outputs
    other = StreamType(made.shape, INT3, made.lanes)
    before = tuple(functions(other)[name] for name in ([then] if then else []))
    comes = before[-1].outputs[0] if before else other
    a, b = (made, comes) if port == 0 else (comes, made)
    return Joined(producer, Mul(a, b) if multiply else Add(a, b), port, before)


JOINED = {
    "product": joined(PRODUCERS["product"]),
    "product, scale": joined(FUSED["product, scale"], 1),
    "one pass": joined(PRODUCERS["one pass"], multiply=True),
    "depthwise": joined(PRODUCERS["depthwise"], 1, "table"),
    "pool": joined(PRODUCERS["serial pool"], 0, "search"),
    "scale": joined(functions(PRODUCERS["narrower"].outputs[0])["scale"], 1, "shift"),
    "sum": joined(joined(PRODUCERS["product"], 0, "compare"), 1, "scale"),
}
JOINED["concat"] = joined(PRODUCERS["concat"], 0, "table")
JOINED["channel concat"] = joined(PRODUCERS["channel concat"], 0, "table")


@pytest.mark.parametrize("name", JOINED)
def test_joined_words(name: str) -> None:
    for stage in (JOINED[name], fused(JOINED[name], "scale")):
        check_stage(stage, random_frames(stage, 5), seeds=(1, 2))


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("seed", [None, 3])
def test_joined_cycles(name: str, seed: int | None) -> None:
    """Where the other streams are early, as where they are absorbed; the producer's own may come when they like."""
    stage, frames = JOINED[name], random_frames(JOINED[name], 5)
    arrive = steady(stage, 5) if seed is None else ragged(stage, 5, seed)
    own = 2 if "concat" in name else 1
    arrive = [a + 40 for a in arrive[:own]] + [np.arange(len(a), dtype=np.int64) for a in arrive[own:]]
    (measured,) = measure_schedule(stage, frames, arrive)
    np.testing.assert_array_equal(stage.schedule(*arrive)[0], measured)


@pytest.mark.parametrize("name", ["product", "scale"])
def test_joined_stream_rules(name: str) -> None:
    prove_stream_rules(rtlil.convert(JOINED[name].rtl(), name="top", emit_src=False), depth=12, patience_s=5)


def test_joined_takes_less_than_apart() -> None:
    for stage in JOINED.values():
        apart = stage.producer.cost() + stage.join.cost() + sum((s.cost() for s in stage.before), Cost())
        assert stage.cost().lut < apart.lut and stage.cost().ff < apart.ff


FORKED = {name: Forked(FUSED.get(name) or PRODUCERS[name], 2) for name in ("product, scale", "sum", "whole pool")}
FORKED["window"] = Forked(Window(image(4, 4, 2, lanes=2), (2, 2), parallel=True), 3)
FORKED["wider"] = Forked(Width(image(2, 4, lanes=1), 4), 2)


@pytest.mark.parametrize("name", FORKED)
def test_forks_behind_registers(name: str) -> None:
    stage = FORKED[name]
    frames = random_frames(stage, 4)
    check_stage(stage, frames, seeds=(None, 1, 2))
    check_schedule(stage, frames)
    (out,), source = stage.source.outputs, stage.source
    apart = source.cost() + Fork(out, stage.ways).cost()
    assert stage.cost().lut < apart.lut and stage.cost().ff < apart.ff


def test_stream_rules_of_a_fork_behind_registers() -> None:
    prove_stream_rules(rtlil.convert(FORKED["sum"].rtl(), name="top", emit_src=False), depth=12, patience_s=5)


@pytest.mark.parametrize("name", ["sum, compare", "one pass, compare folded", "scale, table"])
def test_stream_rules(name: str) -> None:
    prove_stream_rules(rtlil.convert(FUSED[name].rtl(), name="top", emit_src=False), depth=12, patience_s=5)


SYNTHESIZED = ["product, scale", "sum, compare folded", "product, search", "product, scale, compare"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SYNTHESIZED)
def test_estimate_against_synthesis(name: str) -> None:
    stage = FUSED[name]
    found = synthesize(verilog_of(stage), "accelerator")
    cost = stage.cost()
    assert cost.lut == pytest.approx(found.lut_paired, rel=0.25, abs=12)
    assert cost.ff == pytest.approx(found.ff, rel=0.15, abs=12)
    assert (cost.dsp, cost.bram36) == (found.dsp, found.bram36)
