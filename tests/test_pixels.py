"""Several pixels a clock: the same convolutions and pools, word for word, in the cycles that folding counts on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codesign.cost import Budget
from codesign.formats import Int
from codesign.graph import Constant, Graph, Input, Node, Op, TensorType
from codesign.ops.conv import Conv
from codesign.ops.integer import Center
from codesign.ops.pad import Pad
from codesign.ops.pool import MaxPool, SumPool
from codesign.ops.threshold import Threshold
from hw.estimate import estimate_timing, stage_interval
from hw.fold import Space
from hw.layer import Chain, Folding
from hw.layers import layer_of
from hw.pipeline import Pipeline
from hw.plan import pipeline_of, plan_fastest
from sim.simulator import Simulator
from sim.stalls import Stalls
from tests.branching import Bench, built
from tests.test_stage_matvec import weights_of

U3, I3 = Int.of(3, signed=False), Int.of(3, signed=True)


def image(shape: tuple[int, int, int], zero_point: int = 0) -> Graph:
    return Graph((Input("x", TensorType(shape, U3, (1.0,), (zero_point,))),), (), ())


def constant(name: str, values: np.ndarray) -> Node:
    return Node(name, Constant(TensorType(values.shape, I3, (1.0,)), values))


def last_node(graph: Graph) -> Node:
    return graph.by_name[graph.outputs[0]]


def wide_foldings(graph: Graph) -> list[tuple[Folding, Chain]]:
    layer, node = layer_of(graph, last_node(graph)), last_node(graph)
    return [(f, layer.stages(graph, node, f)) for f in layer.foldings(graph, node) if offered(node, f)]


def offered(node: Node, folding: Folding) -> bool:
    """Whether a folding is one of whole windows that dense convolutions do not have of one pixel."""
    return folding.pixels > 1 or (folding.whole and getattr(node.op, "groups", 2) > 1)


def check(graph: Graph) -> int:
    """Every wide folding of the last node: results and cycles; how many there were."""
    x = np.random.default_rng(0).integers(0, 8, (3, *graph.inputs[0].type.shape))
    wanted = graph.run({"x": x})[graph.outputs[0]]
    # Windows of one pixel take the image with its border.
    bordered = graph.run({"x": x}, ["padded"])["padded"] if "padded" in graph.types else x
    found = wide_foldings(graph)
    for folding, chain in found:
        made = source = bordered if folding.pixels == 1 else x
        for _, stage in chain:
            (made,) = stage.golden(made.reshape(len(x), *stage.inputs[0].shape))
        np.testing.assert_array_equal(made.reshape(wanted.shape), wanted)
        slowest = max(stage_interval(stage) for _, stage in chain)
        cycles = layer_of(graph, last_node(graph)).cycles(graph, last_node(graph), folding)
        assert slowest == cycles or (source is not x and slowest > cycles)  # as the border goes into the windows
    return len(found)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_convolutions(data: st.DataObject) -> None:
    draw, few = data.draw, st.integers(1, 3)
    rows, columns = draw(st.integers(3, 8)), draw(st.sampled_from((4, 6, 8, 12)))
    kernel, channels, filters = (draw(few), draw(few)), draw(few), draw(few)
    groups = channels if channels > 1 and draw(st.booleans()) else 1  # depthwise, of so many filters a channel
    stride, dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2))), (1, draw(st.integers(1, 2)))
    op = Conv(stride, dilation, groups)
    sides = [draw(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1))) for k in kernel]
    shape = (*kernel, channels // groups, filters * groups)
    nodes = [constant("w", weights_of(I3, shape, seed=draw(st.integers(0, 9))))]
    source = "x"
    if any(map(any, sides)):
        before, after = zip(*sides, strict=True)
        nodes.append(Node("padded", Pad(before, after, 2.0), ("x",)))
        source = "padded"
    zero = draw(st.sampled_from((0, 2)))
    if zero:
        nodes.append(Node("centered", Center(zero), (source,)))
        source = "centered"
    size = (rows + sum(sides[0]), columns + sum(sides[1]))
    assume(size[0] >= kernel[0] and size[1] > (kernel[1] - 1) * op.dilation[1])
    graph = image((rows, columns, channels), zero).replace([*nodes, Node("y", op, (source, "w"))], ["y"])
    check(graph)


@pytest.mark.parametrize(("shape", "kernel", "stride", "border", "count"), [
    ((6, 8, 2), (3, 3), (1, 1), 1, 2),  # 2 and 4 results; a whole row would see both borders
    ((6, 9, 1), (3, 3), (1, 1), 1, 1),  # 3
    ((6, 8, 2), (3, 3), (2, 2), 1, 2),  # 2 results of four columns, 4 of eight
    ((6, 8, 2), (1, 1), (1, 1), 0, 3),  # no window at all
    ((6, 7, 2), (3, 3), (1, 1), 1, 0),  # 7 columns
    ((6, 8, 1), (2, 2), (2, 2), 0, 2),
    ((6, 8, 1), (3, 3), (1, 1), 0, 1),  # 6 results of 8 columns: 2
])  # fmt: skip
def test_what_is_offered(
    shape: tuple[int, int, int], kernel: tuple[int, int], stride: tuple[int, int], border: int, count: int
) -> None:
    nodes = [constant("w", weights_of(I3, (*kernel, shape[2], 2), seed=1))]
    if border:
        nodes.append(Node("padded", Pad((border, border), (border, border)), ("x",)))
    nodes.append(Node("y", Conv(stride), ("padded" if border else "x", "w")))
    assert check(image(shape).replace(nodes, ["y"])) == count


@pytest.mark.parametrize("op", [
    MaxPool((2, 2), (2, 2)), MaxPool((3, 2), (1, 2), least=True), MaxPool((1, 2), (1, 2)), MaxPool((2, 1), (2, 1)),
    SumPool((2, 2), (2, 2)), SumPool((3, 4), (2, 4)),
])  # fmt: skip
def test_pools(op: Op) -> None:
    assert check(image((6, 8, 3)).replace([Node("y", op, ("x",))], ["y"])) > 1


def test_pools_whose_windows_overlap_take_a_pixel_a_clock() -> None:
    assert check(image((6, 8, 3)).replace([Node("y", MaxPool((2, 3), (2, 2)), ("x",))], ["y"])) == 0


def network() -> Graph:
    """A padded convolution with staircases, a pool, another convolution."""
    first, second = weights_of(I3, (3, 3, 1, 3), seed=1), weights_of(I3, (3, 3, 3, 2), seed=2)
    stairs = np.array([[-3, 1, 9], [0, 4, 8], [2, 3, 30]])
    nodes = [
        constant("w", first),
        Node("padded", Pad((1, 1), (1, 1)), ("x",)),
        Node("sums", Conv(), ("padded", "w")),
        Node("steps", Threshold(stairs, Int(0, 3), np.array([0]), np.array([1])), ("sums",)),
        Node("pooled", MaxPool((2, 2), (2, 2)), ("steps",)),
        constant("v", second),
        Node("y", Conv(), ("pooled", "v")),
    ]
    return image((8, 12, 1)).replace(nodes, ["y"])


def fastest() -> Pipeline:
    return plan_fastest(network(), Budget(lut=20_000, ff=40_000, dsp=1, bram36=10))[1]


def test_the_fastest_design_takes_several_pixels_a_clock() -> None:
    assert estimate_timing(fastest()).interval_cycles < 8 * 12 // 2


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_words_cycles_and_stalls(seed: int | None, simulator: Simulator) -> None:
    pipeline = fastest()
    result = Bench.of(pipeline, simulator).run(None if seed is None else Stalls(seed, 0.3, 0.3))
    if seed is None:
        timing = estimate_timing(pipeline)
        assert result.latency_cycles == timing.latency_cycles
        assert result.interval_cycles == timing.interval_cycles


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> object:
    return built(fastest(), tmp_path_factory.mktemp("wide"))


def test_a_pixel_a_clock_pads_with_its_window() -> None:
    space = Space(network(), Budget(lut=20_000, ff=40_000, dsp=1, bram36=10))
    plan = space.plan(space.intervals[-1])
    assert plan.folding["padded"].lanes_in == plan.folding["sums"].lanes_in
    assert pipeline_of(space.core, plan).inputs[0][1].lanes == plan.folding["sums"].lanes_in


def test_a_depthwise_convolution_takes_all_its_taps_in_a_clock() -> None:
    nodes = [constant("w", weights_of(I3, (3, 3, 1, 3), seed=1)), Node("y", Conv(groups=3), ("x", "w"))]
    graph = image((8, 12, 3)).replace(nodes, ["y"])
    assert check(graph) == 2  # one place, and two
    plan, pipeline = plan_fastest(graph, Budget(lut=20_000, ff=40_000, dsp=1, bram36=10))
    assert plan.folding["y"].whole and estimate_timing(pipeline).interval_cycles <= 8 * 12 // 2
    large = image((8, 12, 400)).replace(
        [constant("w", weights_of(I3, (3, 3, 1, 400), seed=1)), Node("y", Conv(groups=400), ("x", "w"))], ["y"]
    )
    assert check(large) == 0  # whose matrix would be ten times as large as any that fits
