"""Models that are made here or on the way, imported; pipelines simulated on samples of their networks."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from codesign.graph import Graph
from codesign.importer import import_model
from codesign.passes.split import Model
from hw.describe import describe_rtl
from hw.pipeline import Pipeline
from hw.rtl import verilog
from sim.check import Shown, simulate


def imported(proto: onnx.ModelProto) -> Graph:
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        onnx.save(proto, file.name)
        return import_model(file.name).graph


def simulated(
    network: Model, pipeline: Pipeline, feeds: Mapping[str, np.ndarray], stall_seed: int | None = None
) -> Shown:  # fmt: skip
    """The words and cycles of a network's RTL on real samples; CheckFailed where a word is not the emulator's."""
    before = network.to_core(feeds)
    golden = network.core.run({i.name: before[i.name] for i in network.core.inputs})
    with tempfile.TemporaryDirectory() as name:
        build, described = Path(name), describe_rtl(pipeline)
        (build / "rtl").mkdir()
        (build / described["files"][0]).write_text(verilog(pipeline))
        (build / "manifest.json").write_text(json.dumps({"rtl": described}))
        return simulate(build, pipeline, before, golden, "verilator", stall_seed, None, lambda done, total: None)
