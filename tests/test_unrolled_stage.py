"""Unrolled layers: words under stalls and resets, cycles, cost, and the Verilog form in a whole design."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codesign.formats import Binary, Format, Int
from hw.describe import describe_rtl
from hw.pipeline import Edge, Pipeline, Placed
from hw.rtl import verilog
from hw.stages.unrolled import Unrolled
from hw.stream import StreamType, pack
from hw.synth import synthesize
from sim.design import Design
from sim.stalls import Stalls
from sim.verilator import build
from tests.stage_harness import check_schedule, check_stage
from tests.test_netlist import random_layer, samples


def network(x: Format, levels: float = 4) -> Unrolled:
    first = random_layer(x, (6, 5), 3, "late", 1)
    second = random_layer(first.output, (5, 4), 0, "any", 2)
    return Unrolled(StreamType((2, 6), x, 6), (first, second), levels)


@pytest.mark.parametrize("x", [Int(-8, 7), Int(0, 9), Binary()], ids=str)
def test_words_are_the_golden_ones(x: Format) -> None:
    frames = samples(x, 12, 5)[:8].reshape(8, 2, 6)
    check_stage(network(x), list(frames))


@pytest.mark.parametrize("levels", [2, 5])
def test_cycles_are_those_of_the_schedule(levels: float) -> None:
    check_schedule(network(Int(0, 9), levels), list(samples(Int(0, 9), 12, 3)[:12].reshape(12, 2, 6)))


def test_its_verilog_simulates_and_has_the_counted_size(tmp_path: Path) -> None:
    """The plain expressions through Verilator, the primitives through Yosys."""
    stage = network(Int(0, 9))
    edges = (Edge(None, 0, "layers", 0), Edge("layers", 0, None, 0))
    pipeline = Pipeline((Placed("layers", stage),), edges, (("x", stage.input),), (("y", stage.outputs[0]),))
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl/accelerator.v").write_text(verilog(pipeline))
    (tmp_path / "manifest.json").write_text(json.dumps({"rtl": describe_rtl(pipeline)}))
    x = samples(Int(0, 9), 12, 7).reshape(-1, 2, 6)
    result = build(Design.from_build(tmp_path)).run([pack(x, stage.input)], len(x), Stalls(3))
    assert np.array_equal(result.outputs[0], pack(stage.golden(x)[0], stage.outputs[0]))
    used, counted = synthesize(tmp_path / "rtl/accelerator.v", "accelerator"), stage.counted()
    assert abs(used.lut_paired - counted.lut) < 0.1 * counted.lut and abs(used.ff - counted.ff) < 0.15 * counted.ff
