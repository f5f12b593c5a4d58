"""Passes on small graphs: what they do, and that the function stays the same."""

import numpy as np
import pytest

from codesign.errors import CheckFailed, UserError
from codesign.formats import Binary, Int
from codesign.fusion import switched_off
from codesign.graph import Graph, GraphError, Input, Node, TensorType
from codesign.ops.argmax import ArgMax
from codesign.ops.conv import Conv
from codesign.ops.depth import DepthToSpace, SpaceToDepth
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.layout import Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Slice, Upsample
from codesign.ops.pad import Pad
from codesign.ops.pool import AveragePool, MaxPool, SumPool
from codesign.ops.quantize import Quantize
from codesign.ops.softmax import Softmax
from codesign.ops.unary import Unary
from codesign.passes import PASSES, run_passes
from codesign.passes.check import check_equal
from codesign.passes.split import split
from tests.pass_graphs import UINT4, Net, kinds


def test_what_is_computed_twice_is_computed_once_and_what_does_nothing_vanishes():
    net = Net(6)
    a, b = (net.add(MatMul(), net.quantize("x"), net.weights(6, 4)) for _ in range(2))
    same = net.add(Slice((0,), (4,), (1,)), net.add(Mul(), b, net.constant([1.0])))
    total = net.quantize(net.add(Add(), a, same), UINT4, (3.7,))
    other = net.add(MatMul(), total, net.weights(4, 2, seed=1))
    graph, checks = run_passes(net.graph(other))
    assert kinds(graph) == ["Threshold", "MatMul", "Add", "Threshold", "MatMul", "Dequantize"]
    notes = {c.name: [n.layers for n in c.notes if n.applied] for c in checks}
    assert notes["common-subexpressions"] == [("n0", "n5"), ("n4", "n9")]
    assert notes["identity"] == [("n11",), ("n12",)]


@pytest.mark.parametrize("factor", [0.3, -0.3])
def test_pools_sink_below_the_quantizer(factor):
    net = Net(6, 6, 2)
    conv = net.add(Conv(), net.quantize("x"), net.weights(3, 3, 2, 4))
    pooled = net.add(MaxPool((3, 3), (2, 2)), net.add(Pad((1, 1), (1, 1), -np.inf), net.add(Unary("tanh"), conv)))
    scaled = net.add(Mul(), pooled, net.constant(factor))
    graph, _ = run_passes(net.graph(net.quantize(scaled, Int.of(4, True))))
    assert kinds(graph) == ["Threshold", "Conv", "Threshold", "Pad", "MaxPool", "Dequantize"]
    pool = next(n.op for n in graph.nodes if isinstance(n.op, MaxPool))
    assert pool.least == (factor < 0)


@pytest.mark.parametrize("move", [Upsample((2, 2, 1)), DepthToSpace(2, True), SpaceToDepth(2)])
@pytest.mark.parametrize("channels", [1, 4])
def test_layout_sinks_below_functions_that_are_the_same_everywhere(move, channels):
    """So that they run inside the stage before it, and its memory holds few bits; not where channels differ."""
    net = Net(6, 6, 2)
    conv = net.add(Conv(), net.quantize("x"), net.weights(3, 3, 2, 4))
    moved = net.add(move, conv)
    count = {Upsample: 4, DepthToSpace: 1, SpaceToDepth: 16}[type(move)]
    factors = 0.3 * np.ones(1) if channels == 1 else 0.1 + 0.05 * np.arange(count)
    graph, _ = run_passes(net.graph(net.quantize(net.add(Mul(), moved, net.constant(factors)), Int.of(4, True))))
    sinks = channels == 1 or isinstance(move, Upsample) or count == 1
    ends = ["Threshold", type(move).__name__] if sinks else [type(move).__name__, "Threshold"]
    assert kinds(graph)[-3:-1] == ends


def test_zero_points_padding_and_averages_stay_exact():
    net = Net(5, 5, 2)
    data = net.quantize("x", Int.of(8, signed=False), (0.1,), (17,))
    conv = net.add(Conv(), net.add(Pad((1, 1), (1, 1)), data), net.weights(3, 3, 2, 3))
    mean = net.add(AveragePool((2, 2)), net.quantize(conv, Int.of(8, True), (3.0,), (-5,)))
    graph, _ = run_passes(net.graph(mean))
    assert {"Pad", "Center", "SumPool"} <= set(kinds(graph))
    assert next(n.op.value for n in graph.nodes if isinstance(n.op, Pad)) == 17
    assert next(graph.types[n.name].scale for n in graph.nodes if isinstance(n.op, SumPool)) == (3.0 / 4,)


def test_padding_with_a_value_of_the_format_keeps_it():
    """Windows of a maximum over signs: the padding is the lowest of them, hence still one bit."""
    net = Net(4, 4, 1)
    pooled = net.add(
        MaxPool((3, 3), (2, 2)), net.add(Pad((1, 1), (1, 1), -np.inf), net.quantize("x", Binary(), (1.0,)))
    )
    graph, _ = run_passes(net.graph(net.add(Conv(), pooled, net.weights(2, 2, 1, 3))))
    assert next(graph.types[n.name].format for n in graph.nodes if isinstance(n.op, Pad)) == Binary()


def test_an_input_without_a_quantizer_is_padded_behind_the_one_it_gets():
    net = Net(4, 4, 2)
    padded = [net.add(Pad((1, 1), (1, 1)), "x") for _ in range(2)]
    convs = [net.add(Conv(), p, net.weights(3, 3, 2, 3, seed=k)) for k, p in enumerate(padded)]
    graph, _ = run_passes(net.graph(*convs))
    assert [n.inputs for n in graph.nodes if isinstance(n.op, Quantize)] == [("x",)]
    assert all(graph.types[n.name].is_integer for n in graph.nodes if isinstance(n.op, Pad))


def test_a_transpose_before_a_product_goes_into_its_weights():
    net = Net(3, 4, 2)
    flat = net.add(Reshape((24,)), net.add(Transpose((2, 0, 1)), net.quantize("x")))
    graph, _ = run_passes(net.graph(net.add(MatMul(), flat, net.weights(24, 5))))
    assert "Transpose" not in kinds(graph)


def test_argmax_runs_on_integers_below_scalar_factors_and_softmax():
    net = Net(4)
    product = net.add(MatMul(), net.quantize("x"), net.weights(4, 6))
    logits = net.add(Div(), net.add(Sub(), product, net.constant(0.3)), net.constant(2.5))
    graph, _ = run_passes(net.graph(net.add(ArgMax(), net.add(Softmax(), logits))))
    assert kinds(graph) == ["Threshold", "MatMul", "ArgMax"]


def test_binary_padding_with_zero_is_ternary():
    net = Net(4, 4, 1)
    padded = net.add(Pad((1, 1), (1, 1)), net.quantize("x", Binary(), (1.0,)))
    graph, _ = run_passes(net.graph(net.add(Conv(), padded, net.weights(3, 3, 1, 2, fmt=Binary()))))
    assert next(graph.types[n.name].format for n in graph.nodes if isinstance(n.op, Pad)) == Int(-1, 1)


@pytest.mark.parametrize("function", [Unary("relu"), Unary("clip", (-0.25, 0.5)), None])
def test_averages_run_on_integers_whatever_offsets_and_factors_are_before_them(function):
    net = Net(4, 4, 2)
    x = net.add(Conv(), net.quantize("x"), net.weights(3, 3, 2, 3))
    if function is None:
        x = net.add(Sub(), net.constant([0.3, -0.11, 0.0]), net.add(Mul(), x, net.constant([0.7, -0.2, 0.0])))
    else:
        x = net.add(function, x)
    x = net.quantize(net.add(AveragePool((2, 2), (1, 1)), x), Int.of(8, signed=True), (0.07,))
    last = net.add(Conv(), x, net.weights(1, 1, 3, 2))
    before = net.graph(last)
    network, feeds = split(run_passes(before)[0]), {"x": np.random.default_rng(1).normal(size=(20, 4, 4, 2))}
    assert any(isinstance(n.op, SumPool) for n in network.core.nodes)
    expected = before.run({"x": feeds["x"].astype(np.float32)})[last]
    np.testing.assert_allclose(network.run(feeds)[last], expected, atol=1e-12)


def test_an_unquantized_input_is_taken_as_fixed_point():
    net = Net(4)
    graph, _ = run_passes(net.graph(net.add(MatMul(), "x", net.weights(4, 3))))
    assert graph.types[split(graph).core.inputs[0].name].format == Int.of(16, signed=True)


def test_fusions_are_switched_off_by_name():
    assert switched_off(["sink,argmax", "input"], PASSES) == {"sink", "argmax", "input"}
    assert switched_off(["all"], PASSES) == {p.name for p in PASSES if not p.needed}
    with pytest.raises(UserError, match=r"everything: fusions that can be switched off are .*sink.*; or all"):
        switched_off(["everything"], PASSES)
    with pytest.raises(UserError, match="integerize: it cannot be switched off: hardware computes with integers only"):
        switched_off(["integerize"], PASSES)


def test_switching_fusions_off_changes_no_result():
    net = Net(6, 6, 1)
    conv = net.add(Conv(), net.quantize("x"), net.weights(3, 3, 1, 2))
    pooled = net.add(MaxPool((2, 2), (2, 2)), net.quantize(conv, UINT4, (1.7,)))
    graph = net.graph(net.add(ArgMax(), net.add(MatMul(), net.add(Reshape((8,)), pooled), net.weights(8, 3))))
    x = np.random.default_rng(3).uniform(0, 4, (50, 6, 6, 1)).astype(np.float32)
    results = [run_passes(graph, off)[0].run({"x": x})[graph.outputs[0]] for off in ((), ("argmax",), ("input",))]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_the_check_sees_a_wrong_rewrite():
    net = Net(4)
    product = net.add(MatMul(), net.quantize("x"), net.weights(4, 3, seed=1))
    other = Net(4)
    wrong = other.add(MatMul(), other.quantize("x"), other.weights(4, 3, seed=2))
    with pytest.raises(CheckFailed, match="pass 'made up' changed the result of sample"):
        check_equal("made up", net.graph(product), other.graph(wrong))


def test_an_invalid_graph_cannot_exist():
    with pytest.raises(GraphError, match="reads 'nowhere' before"):
        Graph((Input("x", TensorType((2,))),), (Node("y", Unary("relu"), ("nowhere",)),), ("y",))
    with pytest.raises(GraphError, match="multiplies shapes"):
        net = Net(4)
        net.graph(net.add(MatMul(), "x", net.constant(np.zeros((3, 2)))))
