"""Where branches meet: sums, differences, products and concatenations of tensors of different scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.formats import Int
from codesign.graph import Graph, Input, TensorType
from codesign.ops.elementwise import Add, Maximum, Minimum, Mul, Sub
from codesign.ops.layout import Concat, Reshape
from codesign.ops.matmul import MatMul
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes import run_passes
from codesign.passes.align import approximations, common_step
from codesign.passes.check import near_ties, sample_input
from codesign.passes.split import split
from tests.pass_graphs import INT4, Net, kinds

INT8, UINT4 = Int.of(8, signed=True), Int.of(4, signed=False)


def two_inputs(shape: tuple[int, ...] = (1,), other: tuple[int, ...] | None = None) -> Net:
    net = Net(*shape)
    net.inputs = (*net.inputs, Input("z", TensorType(other or shape)))
    return net


def graph_of(net: Net, *outputs: str) -> Graph:
    return Graph(net.inputs, (), ("x",)).replace(net.nodes, outputs)


def every_pair(graph: Graph) -> dict[str, np.ndarray]:
    """Inputs that give all pairs of int8 codes, for quantizers of the names' own scale and zero point."""
    a, b = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    return {"x": a.reshape(-1, 1).astype(np.float64), "z": b.reshape(-1, 1).astype(np.float64)}


def residual(op, sa: float, za: int, sb: float, zb: int, so: float, zo: int, functions=()) -> Graph:
    """Q(f(DQ(x) op DQ(z)))."""
    net = two_inputs()
    total = net.add(op, net.quantize("x", INT8, (sa,), (za,)), net.quantize("z", INT8, (sb,), (zb,)))
    for function in functions:
        total = net.add(Unary(function), total)
    return graph_of(net, net.quantize(total, INT8, (so,), (zo,)))


def differing(before: Graph, sa: float, za: int, sb: float, zb: int) -> int:
    """Of all pairs of codes, for how many the fused graph's result differs."""
    after, _ = run_passes(before)
    codes = every_pair(before)
    feeds = {"x": (codes["x"] - za) * sa, "z": (codes["z"] - zb) * sb}
    return int((before.run(feeds)[before.outputs[0]] != after.run(feeds)[after.outputs[0]]).sum())


@pytest.mark.parametrize("op", [Add(), Sub(), Mul()])
@pytest.mark.parametrize(
    ("sa", "za", "sb", "zb", "so", "zo"),
    [
        (0.11806323, -7, 0.1593415, 10, 0.18202087, 2),  # of ic_residual
        (0.023529412, -128, 0.15261695, -13, 0.17187084, -7),
        (0.25, 0, 0.5, 3, 1.0, 0),  # ties, which must go to even
    ],
)
def test_all_pairs_of_a_residual_are_equal(op, sa, za, sb, zb, so, zo):
    assert differing(residual(op, sa, za, sb, zb, so, zo, ("relu",)), sa, za, sb, zb) == 0


def wrong_away_from_ties(before: Graph, sa: float, za: int, sb: float, zb: int) -> int:
    after, _ = run_passes(before)
    codes = every_pair(before)
    feeds = {"x": (codes["x"] - za) * sa, "z": (codes["z"] - zb) * sb}
    wrong = (before.run(feeds)[before.outputs[0]] != after.run(feeds)[after.outputs[0]]).reshape(-1)
    return int((wrong & ~near_ties(before, feeds)).sum())


def test_scales_with_a_common_step_differ_at_ties_at_most():
    assert wrong_away_from_ties(residual(Add(), 0.1, 5, 0.3, 0, 0.2, -1), 0.1, 5, 0.3, 0) == 0


@settings(max_examples=8, deadline=None)
@given(*[st.floats(0.01, 0.5)] * 3, *[st.integers(-128, 127)] * 3)
def test_all_pairs_of_any_scales_are_equal_but_for_ties(sa, sb, so, za, zb, zo):
    assert wrong_away_from_ties(residual(Add(), sa, za, sb, zb, so, zo), sa, za, sb, zb) == 0


def test_a_sum_becomes_integers_and_one_threshold():
    graph, _ = run_passes(residual(Add(), 0.11806323, -7, 0.1593415, 10, 0.18202087, 2, ("relu",)))
    core = split(graph).core
    assert sorted(k for k in kinds(core)) == ["Add", "Requant", "Requant", "Threshold"]


def test_a_function_that_bends_after_a_sum_is_a_table():
    graph, _ = run_passes(residual(Add(), 0.25, 0, 0.25, 0, 1.0, 0, ("abs",)))
    assert any(isinstance(n.op, Table) for n in graph.nodes)


def test_a_gate_of_one_vector_stretches_over_the_map():
    net = two_inputs((3, 3, 4), (1, 1, 4))
    gate = net.quantize(net.add(Unary("sigmoid"), net.quantize("z", INT8, (0.1,))), Int.of(8, False), (1 / 255,))
    result = net.quantize(net.add(Mul(), net.quantize("x", INT8, (0.05,), (3,)), gate), INT8, (0.04,), (1,))
    graph, _ = run_passes(graph_of(net, result))
    assert {"Expand", "Mul", "Threshold"} <= set(kinds(graph))


def test_branches_of_different_scales_are_requantized_before_they_are_joined():
    net = two_inputs((2, 2, 3))
    joined = net.add(Concat(-1), net.quantize("x", INT8, (0.11,), (3,)), net.quantize("z", INT8, (0.07,), (-4,)))
    graph, _ = run_passes(graph_of(net, net.quantize(joined, INT8, (0.12,), (1,))))
    core = split(graph).core
    assert kinds(core).count("Concat") == 1 and kinds(core).index("Concat") == len(kinds(core)) - 1


def test_a_constant_a_channel_behind_a_concatenation_goes_into_its_branches():
    net = two_inputs((2, 2, 2))
    joined = net.add(Concat(-1), net.quantize("x", UINT4, (0.11,)), net.quantize("z", UINT4, (0.07,)))
    scaled = net.add(Mul(), joined, net.constant(np.array([0.3, -0.2, 0.1, 0.7])))
    graph, _ = run_passes(graph_of(net, net.quantize(scaled, UINT4, (0.12,))))
    assert kinds(split(graph).core)[-1] == "Concat"


def test_requantizing_to_the_same_scale_is_nothing():
    net = Net(4)
    first = net.quantize("x", INT8, (0.1,), (3,))
    product = net.add(Mul(), net.quantize(first, INT8, (0.1,), (3,)), first)
    graph, _ = run_passes(graph_of(net, net.quantize(product, INT8, (0.2,))))
    assert sum(isinstance(n.op, Threshold) for n in split(graph).core.nodes) == 1


def test_common_steps():
    assert common_step([0.5, 0.75]) == ([2, 3], 0.25)
    assert common_step([0.1, 0.3, 0.1]) == ([1, 3, 1], 0.1)
    assert common_step([0.11806323, 0.1593415]) is None


@given(st.floats(1e-3, 1e3))
def test_approximations_come_nearer(ratio):
    errors = [abs(p / q - ratio) for p, q in approximations(ratio)]
    assert errors and (np.diff(errors) < 0).all()


def swish(net: Net, x: str) -> str:
    return net.add(Mul(), x, net.add(Unary("sigmoid"), x))


@pytest.mark.parametrize("op", [Add(), Sub(), Maximum(), Minimum()])
def test_a_function_whose_parts_meet_again_follows_tensors_that_share_no_step(op):
    net = two_inputs((2, 2, 3))
    total = net.add(op, net.quantize("x", UINT4, (0.3719,), (5,)), net.quantize("z", INT4, (0.4123,), (1,)))
    check_on_integers(graph_of(net, net.quantize(swish(net, total), INT8, (0.0521,), (3,))))


@pytest.mark.parametrize("op", [Maximum(), Minimum()])
def test_the_larger_of_a_map_and_a_vector_is_stretched(op):
    net = two_inputs((2, 2, 3), (1, 1, 3))
    larger = net.add(op, net.quantize("x", UINT4, (0.3719,), (5,)), net.quantize("z", INT4, (0.4123,), (1,)))
    check_on_integers(graph_of(net, net.quantize(net.add(Unary("tanh"), larger), INT8, (0.0521,), (3,))))


def test_a_scale_for_each_channel_behind_a_concatenation_stays_there():
    net = two_inputs((2, 2, 1))
    joined = net.add(Concat(-1), net.quantize("x", UINT4, (0.3719,), (5,)), net.quantize("z", INT4, (0.4123,), (1,)))
    quantized = net.quantize(net.add(Unary("tanh"), joined), INT8, (0.0521, 0.07))
    result = net.quantize(net.add(Add(), quantized, quantized), INT8, (0.1,))
    check_on_integers(graph_of(net, result))


def test_layout_does_not_stop_where_a_function_parts():
    """A reshape that went only as far as the bias would stand between real functions."""
    net = Net(4, 6)
    product = net.add(MatMul(), net.quantize("x", UINT4, (0.3719,), (5,)), net.weights(6, 4))
    biased = net.add(Add(), net.add(Reshape((2, 2, 4)), product), net.constant([0.31]))
    result = net.quantize(swish(net, biased), INT8, (0.0521,), (3,))
    check_on_integers(net.graph(net.add(MatMul(), result, net.weights(4, 2))))


def test_without_fusion_an_offset_before_parts_that_meet_stays_with_them():
    net = Net(6)
    product = net.add(MatMul(), net.quantize("x", UINT4), net.weights(6, 4))
    gate = net.add(Unary("clip", (0.0, 3.03)), net.add(Add(), product, net.constant([0.5])))  # whole steps
    quantized = net.quantize(net.add(Mul(), product, gate), UINT4, (2.52,))  # never falls: a staircase
    check_on_integers(net.graph(net.add(MatMul(), quantized, net.weights(4, 2))))


def check_on_integers(graph: Graph) -> None:
    """All of it becomes integers, fused or not, that equal it on samples."""
    feeds = {i.name: sample_input(i, 40, 1) for i in graph.inputs}
    for off in ((), ("activations",)):
        network = split(run_passes(graph, off)[0])
        for name, wanted in graph.run(feeds).items():
            same = np.isclose(network.run(feeds)[name], wanted).reshape(40, -1).all(axis=1)
            assert (same | near_ties(graph, feeds)).all()
