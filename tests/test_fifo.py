"""FIFO depths from schedules: the pipeline runs at the pace of its slowest stage, as estimated, and never stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from boards import board_named
from codesign.formats import Int
from codesign.importer import import_model
from codesign.ops.layout import Concat as ConcatOp
from codesign.passes import run_passes
from codesign.passes.split import split
from hw.estimate import estimate_timing, frames_of, stage_interval
from hw.fifo import with_fifos
from hw.pipeline import Pipeline
from hw.plan import plan_for_interval
from hw.stages.channel_concat import ChannelConcat
from hw.stages.concat import Concat
from hw.stages.matvec import MatVec
from hw.stages.pad import Pad
from hw.stream import StreamType
from sim.simulator import SimResult, Stalled
from tests import models
from tests.branching import FRAMES, Bench, built, pipeline_of
from tests.test_channels import Layers
from tests.test_fuse import chain
from tests.test_random_networks import Network
from tests.test_stage_matvec import weights_of


def simulated(pipeline: Pipeline, folder: Path, taps: bool = False, frames: int = FRAMES) -> SimResult:
    """Without stalls; words checked."""
    return Bench.of(pipeline, built(pipeline, folder, taps), frames).run()


def residual(path: Path) -> Path:
    """x + two padded convolutions of x, and that with what a pooled gate lets through."""
    m = models.Model(1, 2, 6, 7)
    x = m.quant("x")
    inner = m.quant(m.add("Relu", m.add("Conv", x, m.weight(2, 2, 3, 3), pads=[1] * 4)), 0.5)
    outer = m.quant(m.add("Conv", inner, m.weight(2, 2, 3, 3, seed=1), pads=[1] * 4), 0.25, signed=1)
    total = m.quant(m.add("Add", outer, x), 0.5)
    gate = m.quant(m.add("Sigmoid", m.add("GlobalAveragePool", total)), 0.125)
    return m.save(path, m.add("Mul", total, gate))


@pytest.mark.parametrize("interval", [150, 700])
def test_the_slowest_stage_sets_the_pace(tmp_path, interval):
    pipeline = pipeline_of(models.cnn(tmp_path / "m.onnx"), interval, fused=False)
    result, timing = simulated(pipeline, tmp_path / "b"), estimate_timing(pipeline)
    assert result.interval_cycles == timing.interval_cycles
    assert result.latency_cycles == pytest.approx(timing.latency_cycles, abs=5)
    slowest = max(stage_interval(p.stage) for p in pipeline.stages)
    assert timing.interval_cycles == pytest.approx(slowest, rel=0.01)


def test_without_them_it_is_slower(tmp_path):
    """Padding takes nothing while it writes the border; the busiest stage in front of it would wait."""
    x = StreamType((8, 8, 4), Int(-8, 7), 2)
    product = MatVec(x, weights_of(Int(-2, 1), (4, 8)), Int(-2, 1), 2, 2)
    pipeline = with_fifos(chain(product, Pad(product.outputs[0], (1, 1), (1, 1), 0)))
    assert any(e.depth for e in pipeline.edges)
    bare = replace(pipeline, edges=tuple(replace(e, depth=0) for e in pipeline.edges))
    with_depths, without = (simulated(p, tmp_path / n) for p, n in ((pipeline, "a"), (bare, "b")))
    assert (without.interval_cycles or 0) > (with_depths.interval_cycles or 0)


def test_parts_of_a_concatenation_wait_for_their_turn(tmp_path):
    """A stage that has stopped would give its next beats too late: a random network that has one behind a fork."""
    pipeline = pipeline_of(Network(4).save(tmp_path / "m.onnx"), 216)
    assert any(isinstance(p.stage, Concat) for p in pipeline.stages)
    result, timing = simulated(pipeline, tmp_path / "b"), estimate_timing(pipeline)
    assert (result.latency_cycles, result.interval_cycles) == (timing.latency_cycles, timing.interval_cycles)


def test_a_concatenation_of_channels_takes_a_place_a_clock(tmp_path):
    g = Layers((8, 8, 3))
    a, b = (g.stairs(g.conv("x", (1, 1), 3, n), n) for n in (4, 6))
    core = g.graph(g.conv(g.node(ConcatOp(2), a, b), (1, 1), 10, 2))
    _, pipeline = plan_for_interval(core, board_named("pynq-z2").budget, 64)
    assert any(isinstance(getattr(p.stage, "producer", p.stage), ChannelConcat) for p in pipeline.stages)
    assert simulated(pipeline, tmp_path).interval_cycles == estimate_timing(pipeline).interval_cycles == 64


@pytest.mark.parametrize("interval", [105, 130, 148, 290, 610])
def test_the_whole_pipeline_keeps_up_with_the_rate_asked_for(tmp_path, interval):
    core = split(run_passes(import_model(models.cnn(tmp_path / "m.onnx")).graph)[0]).core
    _, pipeline = plan_for_interval(core, board_named("pynq-z2").budget, interval)
    assert estimate_timing(pipeline).interval_cycles <= interval


def test_one_less_beside_a_residual_block_is_slower(tmp_path):
    """Where all stages are busy all the time; at the depths computed the whole runs as estimated."""
    pipeline = pipeline_of(residual(tmp_path / "m.onnx"), 84)
    timing = estimate_timing(pipeline)
    assert simulated(pipeline, tmp_path / "b").interval_cycles == timing.interval_cycles
    total = next(p.name for p in pipeline.stages if "t8_int_add" in p.parts)
    for edge in (max(pipeline.into(total), key=lambda e: e.depth), max(pipeline.edges, key=lambda e: e.depth)):
        shallow = pipeline.with_depths([e.depth - (e is edge) for e in pipeline.edges])
        found = simulated(shallow, tmp_path / f"without_{edge.source}")
        assert (found.interval_cycles or 0) > timing.interval_cycles


def beside(path: Path, layers: int) -> Path:
    """x + so many layers of x."""
    m = models.Model(1, 6)
    x = inner = m.quant("x")
    for k in range(layers):
        inner = m.quant(m.add("Relu", m.add("MatMul", inner, m.weight(6, 6, seed=k))), 0.5)
    return m.save(path, m.quant(m.add("Add", x, inner), 0.5))


@pytest.mark.parametrize("layers, interval", [(8, 1), (4, 6)])
def test_a_branch_that_is_many_frames_long_keeps_the_pace(tmp_path, layers, interval):
    """What goes around it waits for more frames than are followed at first; with one place less there is a gap."""
    pipeline = pipeline_of(beside(tmp_path / "m.onnx", layers), interval)
    timing = estimate_timing(pipeline)
    frames = 3 * timing.latency_cycles // timing.interval_cycles
    assert frames > 3 * frames_of(pipeline)
    assert simulated(pipeline, tmp_path / "b", frames=frames).interval_cycles == timing.interval_cycles
    around = max(pipeline.edges, key=lambda e: e.depth)
    shallow = pipeline.with_depths([e.depth - (e is around) for e in pipeline.edges])
    found = simulated(shallow, tmp_path / "shallow", frames=frames)
    assert (found.interval_cycles or 0) > timing.interval_cycles


def test_a_shallow_fifo_beside_a_residual_block_is_reported_not_waited_for(tmp_path):
    pipeline = pipeline_of(residual(tmp_path / "m.onnx"), 1500, fused=False)
    beside = next(k for k, e in enumerate(pipeline.edges) if e.depth and (e.target or "").endswith("_add"))
    shallow = pipeline.with_depths([3 if k == beside else e.depth for k, e in enumerate(pipeline.edges)])
    with pytest.raises(Stalled, match=rf"edge {beside} \(\w+ -> \w+_add\) is blocked"):
        simulated(shallow, tmp_path / "b", taps=True)
