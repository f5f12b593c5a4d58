"""More channels in hardware, which folding divides better: the same function, and the rates between."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from codesign.cost import Budget
from codesign.errors import CheckFailed
from codesign.formats import Binary, Format, Int
from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.argmax import ArgMax
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add
from codesign.ops.integer import Center
from codesign.ops.layout import Concat, Reshape
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import MaxPool
from codesign.ops.requant import Requant
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.passes.check import check_equal
from codesign.words import channels_of
from hw.channels import Wide, widened, widening
from hw.describe import describe_plan, describe_rtl, planned
from hw.estimate import estimate_cost, estimate_interval
from hw.fold import Space
from hw.plan import plan_fastest, plan_for_interval
from hw.rtl import verilog
from hw.stream import pack
from sim.vectors import random_frames
from tests.branching import FRAMES, Bench, built

I4, U8 = Int.of(4, signed=True), Int.of(8, signed=False)
WIDTH = 16  # channels; 18 have more foldings for their area


class Layers:
    """A network layer by layer; `node` adds one and gives its name."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0, weights: Format = I4) -> None:
        self.rng, self.format = np.random.default_rng(seed), weights
        self.inputs = (Input("x", TensorType(shape, U8)),)
        self.nodes: list[Node] = []

    def node(self, op: object, *inputs: str) -> str:
        self.nodes.append(Node(f"t{len(self.nodes)}", op, inputs))  # type: ignore[arg-type]
        return self.nodes[-1].name

    def weights(self, *shape: int) -> str:
        values = self.rng.integers(-7, 8, shape)
        values = np.where(values < 0, -1, 1) if isinstance(self.format, Binary) else values
        scale = tuple((1.0 + np.arange(shape[-1])).tolist())  # a scale for each channel
        return self.node(Constant(TensorType(shape, self.format, scale), values))

    def conv(self, x: str, kernel: tuple[int, int], before: int, after: int) -> str:
        return self.node(Conv(), x, self.weights(*kernel, before, after))

    def stairs(self, x: str, channels: int) -> str:
        """To 2 bits, by thresholds of each channel."""
        marks = np.sort(self.rng.integers(-500, 500, (channels, 3)), axis=1)
        ones = np.ones(channels, np.int64)
        return self.node(Threshold(marks, Int(0, 3), 0 * ones, ones), x)

    def graph(self, *outputs: str) -> Graph:
        return Graph(self.inputs, (), ()).replace(self.nodes, outputs)


def everything() -> Graph:
    """All kinds of layers that keep channels apart, between products; an image flattened at the end."""
    g = Layers((6, 6, 3))
    a = g.stairs(g.conv("x", (3, 3), 3, WIDTH), WIDTH)
    b = g.node(Pad((1, 1), (1, 1)), a)
    b = g.node(Conv(groups=WIDTH), b, g.weights(3, 3, 1, WIDTH))
    b = g.node(Requant(np.arange(1, WIDTH + 1), np.arange(WIDTH), 3, "floor", Int(0, 15)), b)
    b = g.node(Table(g.rng.integers(0, 4, (WIDTH, 16)), 0, Int(0, 3)), b)
    c = g.node(MaxPool((2, 2), (2, 2)), g.node(Add(), a, b))
    d = g.stairs(g.conv(c, (1, 1), WIDTH, 2 * WIDTH), 2 * WIDTH)
    e = g.node(Reshape((4 * 2 * WIDTH,)), d)
    return g.graph(g.node(MatMul(), e, g.weights(4 * 2 * WIDTH, 5)))


def test_every_kind_of_layer_computes_the_same_with_more_channels() -> None:
    core = everything()
    channels = widening(core)
    wide = widened(core, channels)
    check_equal("channels", core, wide)
    for name, w in channels.items():
        assert wide.types[name].shape[-1] == w.size > core.types[name].shape[-1] == w.blocks * w.of
    assert set(channels.values()) == {Wide(1, WIDTH, 18), Wide(1, 2 * WIDTH, 36), Wide(4, 2 * WIDTH, 36)}
    assert wide.types[wide.outputs[0]] == core.types[core.outputs[0]]
    assert widened(core, {}) is core


def test_zero_points_cost_nothing_in_channels_that_are_not_read() -> None:
    g = Layers((4, 4, 2))
    first = g.conv("x", (1, 1), 2, WIDTH)
    marks = np.sort(g.rng.integers(-500, 500, (WIDTH, 3)), axis=1)
    ones = np.ones(WIDTH, np.int64)
    g.node(Threshold(marks, Int(0, 3), 0 * ones, ones, (0.5,), (2,)), first)
    centered = g.node(Center(2), g.nodes[-1].name)
    core = g.graph(g.conv(centered, (1, 1), WIDTH, 3))
    assert widening(core)
    check_equal("channels", core, widened(core, widening(core)))


def _read_by(op: Callable[[Layers, str], str]) -> Graph:
    """Channels made by a product, then read by something else."""
    g = Layers((3,))
    return g.graph(op(g, g.stairs(g.node(MatMul(), "x", g.weights(3, WIDTH)), WIDTH)))


@pytest.mark.parametrize(
    "op",
    [
        lambda g, x: g.node(ArgMax(), x),
        lambda g, x: g.node(Concat(0), x, x),
        lambda g, x: x,
        lambda g, x: g.node(Reshape((2, WIDTH // 2)), x),
    ],
    ids=["argmax", "concat", "output", "parted"],
)
def test_channels_stay_where_something_else_reads_them(op: Callable[[Layers, str], str]) -> None:
    assert not widening(_read_by(op))


def test_weights_that_cannot_be_zero_read_no_more_channels() -> None:
    g = Layers((3,), weights=Binary())
    x = g.stairs(g.node(MatMul(), "x", g.weights(3, WIDTH)), WIDTH)
    assert not widening(g.graph(g.node(MatMul(), x, g.weights(WIDTH, 5))))


def test_sums_that_are_never_zero_keep_their_range() -> None:
    """Columns of zeros would widen it."""
    g = Layers((3,), weights=Int(1, 7))
    g.inputs = (Input("x", TensorType((3,), Int(1, 3))),)
    w = g.node(Constant(TensorType((3, WIDTH), g.format), g.rng.integers(1, 8, (3, WIDTH))))
    y = g.node(MatMul(), "x", w)
    g.format = I4
    core = g.graph(g.node(MatMul(), g.stairs(y, WIDTH), g.weights(WIDTH, 5)))
    wide = widened(core, widening(core))
    assert wide.types[y].shape == (18,)
    assert wide.types[y].format == core.types[y].format and core.types[y].format.lo > 0  # type: ignore[union-attr]
    check_equal("channels", core, wide)


def chain(*widths: int, size: int, seed: int = 0) -> Graph:
    """Layers of 8 bits of so many channels on size x size places, requantized between, and one of 8."""
    g, x = Layers((size, size, widths[0]), seed=seed, weights=Int.of(8, signed=True)), "x"
    for before, after in pairwise(widths):
        ones = np.ones(after, np.int64)
        x = g.node(Requant(37 * ones, 0 * ones, 12, "floor", U8), g.conv(x, (1, 1), before, after))
    return g.graph(g.conv(x, (1, 1), widths[-1], 8))


def dense() -> Graph:
    """32 channels on 9 places: as it is, a frame takes 9 * 2^k clocks."""
    return chain(4, 32, 32, size=3, seed=3)


SMALL = Budget(lut=2400, ff=10**5, dsp=32, bram36=10)  # between what two of these rates take


def test_the_fastest_plan_has_more_channels_where_that_is_faster() -> None:
    core = dense()
    plan, pipeline = plan_fastest(core, SMALL)
    plain = Space(core, SMALL).fastest(SMALL)
    assert plain is not None and plan.channels and estimate_interval(pipeline) < plain.interval_cycles
    assert not SMALL.exceeded_by(estimate_cost(pipeline))
    assert channels_of(describe_plan(plan)["channels"]) == [
        "32 channels are 36 in hardware (4 tensors): folding divides them better"
    ]


def test_a_rate_between_is_reached_and_one_beyond_refused_with_the_fastest_that_fits() -> None:
    core = dense()
    _, fastest = plan_fastest(core, SMALL)
    reached = estimate_interval(fastest)  # a stage may take more than its beats
    plan, pipeline = plan_for_interval(core, SMALL, reached)
    assert plan.channels and estimate_interval(pipeline) <= reached
    with pytest.raises(CheckFailed, match=rf"the fastest that fits takes {reached} cycles a frame"):
        plan_for_interval(core, SMALL, 9)


def test_the_fastest_plan_leaves_what_its_own_converters_take() -> None:
    """Those of the first mix of foldings that is tried take more: where that is left, a frame takes 256 cycles."""
    core, budget = chain(4, 10, 14, 22, size=4), Budget(lut=1600, ff=1600, dsp=60, bram36=10)
    _, pipeline = plan_fastest(core, budget)
    assert not budget.exceeded_by(estimate_cost(pipeline)) and estimate_interval(pipeline) < 240
    assert estimate_interval(plan_for_interval(core, budget, 240)[1]) <= 240


def test_where_the_network_fits_as_it_is_it_stays() -> None:
    plan, _ = plan_for_interval(dense(), replace(SMALL, lut=10**6), 9)
    assert not plan.channels and channels_of(describe_plan(plan)["channels"]) == []


def test_the_design_gives_the_words_of_the_network(tmp_path: Path) -> None:
    """Golden words are those of the network without more channels; a manifest makes the same design again."""
    core = dense()
    plan, pipeline = plan_fastest(core, SMALL)
    manifest = json.loads(json.dumps({**describe_plan(plan), "rtl": describe_rtl(pipeline), "no_fuse": []}))
    assert verilog(planned(core, manifest)) == verilog(pipeline)
    bench = Bench.of(pipeline, built(pipeline, tmp_path))
    frames = random_frames(np.random.default_rng(0), pipeline.inputs[0][1], FRAMES)
    ((name, stream),) = pipeline.outputs
    np.testing.assert_array_equal(bench.wanted[0], pack(core.run({"x": frames})[name], stream))
    bench.run()
    bench.stalled(1)
