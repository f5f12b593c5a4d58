"""Folded products that skip blocks of zero weights: words, cycles, stream rules, cost against synthesis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import rtlil
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.formats import Binary, Format, Int
from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.conv import Conv
from hw.arith.order import Order
from hw.estimate import stage_interval
from hw.layers import layer_of
from hw.stages.matvec import MatVec
from hw.stream import StreamType
from hw.synth import synthesize
from sim.formal import prove_stream_rules
from tests.stage_harness import check_schedule, check_stage, random_frames, verilog_of
from tests.test_stage_matvec import weights_of

TERNARY, U2, U4, I4 = Int(-1, 1), Int.of(2, signed=False), Int.of(4, signed=False), Int.of(4, signed=True)


def skipping(used: np.ndarray, simd: int = 1, pe: int = 1, x: Format = U2, w: Format = I4, groups: int = 1) -> MatVec:
    """Weights in the blocks that are used (passes, beats), a bias, five vectors."""
    blocks = np.kron(np.asarray(used).T, np.ones((simd, pe), np.int64))
    values = weights_of(w, (groups, *blocks.shape), seed=3)
    weights = np.where(values == 0, 1, values) * blocks
    stream = StreamType((5, groups * blocks.shape[0]), x, simd)
    bias = np.random.default_rng(1).integers(-9, 9, groups * blocks.shape[1])
    return MatVec(stream, weights if groups > 1 else weights[0], w, pe, simd, bias, skip=True)


def fire(channels: int, filters: int) -> np.ndarray:
    """1x1 beside 3x3: a pass a filter, a beat a channel."""
    alone = np.zeros((filters, 9, channels), bool)
    alone[:, 4] = True
    return np.concatenate([alone.reshape(filters, -1), np.ones((filters, 9 * channels), bool)])


def grouped(groups: int, taps: int) -> np.ndarray:
    """A pass and a beat a group."""
    return np.tile(np.eye(groups, dtype=bool), taps)


def rows(*texts: str) -> np.ndarray:
    return np.array([[c == "x" for c in text] for text in texts])


STAGES = {
    "fire": skipping(fire(2, 2), pe=2),
    "grouped convolution": skipping(grouped(3, 4), simd=2, pe=2),
    "nothing to skip": skipping(rows("xxx", "xxx")),
    "the last beats are never read": skipping(rows("x....", ".x...")),
    "only the last beat is read": skipping(rows("....x", "....x")),
    "the first pass does not wait for the last beat": skipping(rows("x..", "xxx")),
    "a pass without weights": skipping(rows(".x.", "...", "x.x")),
    "one beat a pass": skipping(rows("x..", ".x.", "..x", "x..")),
    "signs": skipping(rows("x.x", ".xx"), simd=3, x=Binary(), w=TERNARY),
    "groups": skipping(rows("x.x.", ".xx.", "...."), simd=2, pe=2, groups=2),
}


@pytest.mark.parametrize("name", STAGES)
def test_words_under_stalls_and_after_a_reset(name: str) -> None:
    check_stage(STAGES[name], random_frames(STAGES[name], 4))


@pytest.mark.parametrize("name", STAGES)
def test_cycles(name: str) -> None:
    check_schedule(STAGES[name], random_frames(STAGES[name], 3), seeds=(None, 1, 2, 3))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_blocks(data: st.DataObject) -> None:
    passes, beats = (data.draw(st.integers(2, 5)) for _ in range(2))
    used = data.draw(
        st.lists(st.lists(st.booleans(), min_size=beats, max_size=beats), min_size=passes, max_size=passes)
    )
    stage = skipping(np.array(used), data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2)))
    frames, seed = random_frames(stage, 3), data.draw(st.integers(0, 99))
    check_stage(stage, frames, seeds=(seed,))
    check_schedule(stage, frames, seeds=(None, seed))


@pytest.mark.parametrize("name", ["the first pass does not wait for the last beat", "only the last beat is read"])
def test_stream_rules(name: str) -> None:
    prove_stream_rules(rtlil.convert(STAGES[name].rtl(), name="top", emit_src=False), depth=12, patience_s=4)


def test_every_pass_reads_what_has_weights() -> None:
    order = Order.skipping(np.array([[1, 0, 0], [0, 0, 0], [0, 0, 7]]), simd=1, pe=1)
    assert order.used.tolist() == rows("x..", "x..", "..x").tolist()
    assert (order.steps, order.runs.tolist()) == (3, [1, 1, 1])


@pytest.mark.parametrize(
    ("interval", "used"), [(9 * 2 * 2 + 2 * 2, fire(2, 2)), (12, grouped(3, 4)), (5, rows("x....", ".x..."))]
)
def test_a_vector_takes_the_blocks_that_are_not_zero_or_its_own_beats(interval: int, used: np.ndarray) -> None:
    stage = skipping(used)
    times = stage.schedule(np.arange(4 * stage.inputs[0].beats))[0].reshape(20, -1)[:, -1]
    assert set(np.diff(times[3:])) == {interval}


def test_a_grouped_convolution_takes_the_cycles_that_folding_counts_on() -> None:
    w, node = weights_of(I4, (3, 3, 2, 8)), Node("y", Conv(groups=4), ("x", "w"))
    nodes = [Node("w", Constant(TensorType(w.shape, I4, (1.0,)), w)), node]
    graph = Graph((Input("x", TensorType((6, 6, 8), U4)),), (), ()).replace(nodes, ["y"])
    layer = layer_of(graph, node)
    cycles = {f: layer.cycles(graph, node, f) for f in layer.foldings(graph, node)}
    skipped = [f for f in cycles if f.skip]
    for folding in skipped:
        assert stage_interval(layer.stages(graph, node, folding)[-1][1]) == cycles[folding]
        assert cycles[folding] < cycles[replace(folding, skip=False)]
    assert {(f.lanes_in, f.lanes_out) for f in skipped} >= {(1, 1), (2, 2), (4, 2), (4, 4)}


@pytest.mark.parametrize("stage", [
    skipping(fire(8, 16), x=U4), skipping(fire(8, 16), simd=2, pe=4, x=U4), skipping(grouped(4, 9), simd=4, pe=4, x=U4),
    skipping(np.random.default_rng(0).random((16, 32)) < 0.3, simd=2, x=U4),
], ids=["fire", "fire, parallel", "grouped", "random"])  # fmt: skip
def test_cost_is_near_the_synthesized_one(stage: MatVec) -> None:
    found = synthesize(verilog_of(stage), "accelerator")
    cost = stage.cost()
    assert cost.lut == pytest.approx(found.lut_paired, rel=0.2, abs=20)
    assert cost.ff == pytest.approx(found.ff, rel=0.2)
    assert (cost.dsp, cost.bram36) == (found.dsp, found.bram36)
