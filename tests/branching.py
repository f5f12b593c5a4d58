"""Random small integer networks whose branches part and meet again, as pipelines and as simulations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boards import board_named
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.split import split
from hw.describe import describe_rtl
from hw.fifo import with_fifos
from hw.fold import Space, fold
from hw.fuse import fuse
from hw.lower import lower
from hw.pipeline import Pipeline
from hw.rtl import verilog
from hw.stages.fork import Fork, Forked
from hw.stream import pack
from sim.design import Design
from sim.simulator import SimResult, Simulator
from sim.stalls import Stalls
from sim.vectors import random_frames
from sim.verilator import build
from tests.models import Model

CHANNELS, ROWS, COLUMNS = 2, 4, 6
LAYERS = 6
FRAMES = 6


class Branches:
    """Layers on any of the last tensors, all of one shape, so that any two can meet."""

    def __init__(self, seed: int, layers: int = LAYERS) -> None:
        self.rng, self.model = np.random.default_rng(seed), Model(1, CHANNELS, ROWS, COLUMNS)
        self.made, self.read = [self.model.quant("x")], set[str]()
        kinds = [self.pointwise, self.window, self.deep, self.depthwise, self.pooled, self.resampled, self.joined,
                 self.joined, self.concatenated, self.gated]  # fmt: skip
        for _ in range(layers):
            kind: Callable[[], str] = kinds[int(self.rng.integers(len(kinds)))]
            self.made.append(kind())

    @property
    def outputs(self) -> list[str]:
        """What nothing reads."""
        return [t for t in self.made if t not in self.read]

    def take(self) -> str:
        """One of the last three tensors."""
        name = self.made[int(self.rng.integers(max(0, len(self.made) - 3), len(self.made)))]
        self.read.add(name)
        return name

    def conv(self, x: str, inputs: int = CHANNELS, kernel: int = 1, groups: int = 1) -> str:
        m, seed = self.model, int(self.rng.integers(1 << 30))
        w = m.weight(CHANNELS, inputs // groups, kernel, kernel, seed=seed)
        y = m.add("Conv", x, w, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, group=groups)
        return m.quant(m.add("Relu", y), 0.5)

    def pointwise(self) -> str:
        return self.conv(self.take())

    def window(self) -> str:
        return self.conv(self.take(), kernel=3)

    def deep(self) -> str:
        return self.conv(self.conv(self.take(), kernel=3), kernel=3)

    def depthwise(self) -> str:
        return self.conv(self.take(), kernel=3, groups=CHANNELS)

    def pooled(self) -> str:
        x = self.take()
        if self.rng.random() < 0.5:
            return self.model.add("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)
        return self.model.quant(self.model.add("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4), 0.25)

    def resampled(self) -> str:
        """Less of it, stretched again."""
        m = self.model
        low = m.add("MaxPool", self.take(), kernel_shape=[2, 2], strides=[2, 2])
        return m.add("Resize", low, "", m.constant([1, 1, 2, 2]), mode="nearest",
                     coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip

    def joined(self) -> str:
        op = ("Add", "Sub", "Mul", "Max", "Min")[int(self.rng.integers(5))]
        return self.model.quant(self.model.add(op, self.take(), self.take()), 0.5, signed=1)

    def concatenated(self) -> str:
        return self.conv(self.model.add("Concat", self.take(), self.take(), axis=1), inputs=2 * CHANNELS)

    def gated(self) -> str:
        m = self.model
        gate = m.quant(m.add("GlobalAveragePool", self.take()), 0.125, signed=1)
        return m.quant(m.add("Mul", self.take(), gate), 0.5, signed=1)


def pipeline_of(path: Path, interval: int, fused: bool = True) -> Pipeline:
    """The cheapest pipeline of a model for an interval, FIFOs included."""
    core = split(run_passes(import_model(path).graph)[0]).core
    plan = fold(Space(core, board_named("pynq-z2").budget), interval)
    lowered = lower(core, plan.folding, plan.input_lanes)
    return with_fifos(fuse(lowered, ()) if fused else lowered)


def random_pipeline(seed: int, folder: Path) -> Pipeline:
    """Of the first network from `seed` on (in thousands) that has branches: at any of its rates, fused or not."""
    while True:
        branches = Branches(seed)
        path = branches.model.save(folder / f"{seed}.onnx", *branches.outputs)
        core = split(run_passes(import_model(path).graph)[0]).core
        intervals = Space(core, board_named("pynq-z2").budget).intervals
        interval = intervals[int(branches.rng.integers(len(intervals)))]
        pipeline = pipeline_of(path, interval, fused=bool(branches.rng.random() < 0.75))
        if any(isinstance(p.stage, (Fork, Forked)) for p in pipeline.stages):
            return pipeline
        seed += 1000


def built(pipeline: Pipeline, folder: Path, taps: bool = False) -> Simulator:
    """A new folder's simulator; `taps`: it looks at the edges, too."""
    (folder / "rtl").mkdir(parents=True)
    (folder / "rtl/accelerator.v").write_text(verilog(pipeline))
    (folder / "manifest.json").write_text(json.dumps({"rtl": describe_rtl(pipeline)}))
    return build(Design.from_build(folder), taps=taps)


@dataclass(frozen=True)
class Bench:
    """A pipeline's simulator, frames and what they must become."""

    pipeline: Pipeline
    simulator: Simulator
    sent: list[np.ndarray]
    wanted: list[np.ndarray]

    @classmethod
    def of(cls, pipeline: Pipeline, simulator: Simulator, count: int = FRAMES) -> Bench:
        frames = [random_frames(np.random.default_rng(0), s, count) for _, s in pipeline.inputs]
        found = zip(pipeline.edges, pipeline.golden(*frames), strict=True)
        values = {e.target_port: v for e, v in found if e.target is None}
        sent = [pack(f, s) for f, (_, s) in zip(frames, pipeline.inputs, strict=True)]
        return cls(pipeline, simulator, sent, [pack(values[k], s) for k, (_, s) in enumerate(pipeline.outputs)])

    def run(self, stalls: Stalls | None = None) -> SimResult:
        """Frames back to back; words checked."""
        result = self.simulator.run(self.sent, len(self.sent[0]), stalls, watchdog_cycles=20_000)
        for got, wanted in zip(result.outputs, self.wanted, strict=True):
            np.testing.assert_array_equal(got, wanted)
        return result

    def stalled(self, seed: int) -> SimResult:
        """Under stalls whose rates are also drawn from the seed: at either end, or at both."""
        rng = np.random.default_rng(seed)
        idle, pressure = rng.uniform(0, 0.49, 2) * [(1, 1), (1, 0), (0, 1)][seed % 3]
        return self.run(Stalls(seed, float(idle), float(pressure)))
