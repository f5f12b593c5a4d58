"""Estimated timing: a stage by itself against the pipeline that it stands in."""

from pathlib import Path

from boards import board_named
from codesign.flow import Options, choose_folding
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.split import split
from hw.estimate import estimate_timing, stage_interval

MLP = Path(__file__).parents[1] / "examples/digits_mlp_w1a2.onnx"


def test_the_slowest_stage_sets_the_interval() -> None:
    core = split(run_passes(import_model(MLP).graph)[0]).core
    _, pipeline = choose_folding(core, board_named("pynq-z2"), Options(target_fps=100_000.0))
    alone = {p.name: stage_interval(p.stage) for p in pipeline.stages}
    assert len(set(alone.values())) > 1, "the stages are equally fast: this test would show nothing"
    assert max(alone.values()) == estimate_timing(pipeline).interval_cycles
