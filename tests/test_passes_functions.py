"""Chains of functions become one staircase or table, found by complete evaluation or by bisection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.errors import UserError
from codesign.formats import Int
from codesign.ops.elementwise import Add, Mul, Sub
from codesign.ops.matmul import MatMul
from codesign.ops.table import Table
from codesign.ops.threshold import Threshold
from codesign.ops.unary import Unary
from codesign.passes import run_passes
from tests.pass_graphs import Net, kinds


def test_a_chain_of_functions_becomes_one_threshold():
    net = Net(8)
    product = net.add(MatMul(), net.quantize("x"), net.weights(8, 4))
    scaled = net.add(Mul(), product, net.constant(np.array([0.3, -0.2, 0.1, 0.7])))
    shifted = net.add(Add(), scaled, net.constant(np.array([0.1, 0.2, -3.0, 0.0])))
    result = net.quantize(net.add(Unary("relu"), shifted))
    graph, _ = run_passes(net.graph(result))
    assert kinds(graph) == ["Threshold", "MatMul", "Threshold", "Dequantize"]


def test_a_function_that_bends_becomes_a_table():
    net = Net(4)
    product = net.add(MatMul(), net.quantize("x"), net.weights(4, 3))
    result = net.quantize(net.add(Unary("abs"), product))
    graph, _ = run_passes(net.graph(result))
    assert isinstance(graph.by_name[graph.by_name[result].inputs[0]].op, Table)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["relu", "neg", "scale", "shift", "tanh", "abs", "sigmoid", "from"]), max_size=4),
    st.integers(0, 1000),
)
def test_any_chain_equals_its_fusion_on_every_integer(functions, seed):
    rng = np.random.default_rng(seed)
    net = Net(3)
    x = net.add(MatMul(), net.quantize("x", Int.of(3, signed=True)), net.weights(3, 2, seed=seed))
    for function in functions:
        if function in ("scale", "shift", "from"):
            c = net.constant(rng.normal(size=rng.choice([1, 2])))
            op = {"scale": Mul(), "shift": Add(), "from": Sub()}[function]
            x = net.add(op, *((c, x) if function == "from" else (x, c)))
        else:
            x = net.add(Unary(function), x)
    before = net.graph(net.quantize(x, Int.of(3, signed=bool(seed % 2)), (0.37,)))
    after, _ = run_passes(before)
    every = np.stack(np.meshgrid(*[np.arange(-4, 4) * 0.25] * 3), axis=-1).reshape(-1, 3).astype(np.float32)
    np.testing.assert_array_equal(
        before.run({"x": every})[before.outputs[0]], after.run({"x": every})[after.outputs[0]]
    )


def test_bisection_agrees_with_complete_evaluation(monkeypatch):
    net = Net(16)
    product = net.add(MatMul(), net.quantize("x", Int.of(8, signed=False)), net.weights(16, 4))
    scaled = net.add(Mul(), product, net.constant(np.array([0.013, -0.02, 0.5, 0.0])))
    graph = net.graph(net.quantize(scaled, Int.of(4, signed=True)))
    complete, _ = run_passes(graph)
    monkeypatch.setattr("codesign.passes.staircase.MOST_EVALUATIONS", 0)
    bisected, _ = run_passes(graph)
    thresholds = [next(n.op for n in reversed(g.nodes) if isinstance(n.op, Threshold)) for g in (complete, bisected)]
    for name in ("thresholds", "base", "step"):
        np.testing.assert_array_equal(getattr(thresholds[0], name), getattr(thresholds[1], name))


def test_a_monotone_function_of_a_wide_accumulator_is_bisected():
    net = Net(40)
    product = net.add(MatMul(), net.quantize("x", Int.of(12, True)), net.weights(40, 1, fmt=Int.of(8, True)))
    graph, _ = run_passes(net.graph(net.quantize(net.add(Sub(), net.constant(0.3), product))))
    assert kinds(graph) == ["Quantize", "MatMul", "Threshold", "Dequantize"]
    with pytest.raises(UserError, match="not known to rise or fall"):
        run_passes(net.graph(net.quantize(net.add(Unary("wrap", (0.0, 9.0)), product))))


BENDS = [[Unary(f)] for f in ("abs", "hard_swish", "gelu", "gelu_tanh", "mish")]


@pytest.mark.parametrize(
    "functions", [*BENDS, [Unary("leaky_relu", (-0.3,))], [op for (op,) in BENDS[::2]]], ids=lambda ops: ops[0].function
)
def test_a_function_that_bends_is_bisected_between_its_turns(functions, monkeypatch):
    net = Net(2)
    x = net.add(Mul(), net.quantize("x", Int.of(14, True), (1.0,)), net.constant([-0.0009, 0.0004]))
    for function in functions:
        x = net.add(function, x)
    before = net.graph(net.quantize(x, Int.of(8, True), (0.011,)))
    complete, _ = run_passes(before)
    monkeypatch.setattr("codesign.passes.staircase.MOST_EVALUATIONS", 0)
    bisected, _ = run_passes(before)
    every = np.arange(-(1 << 13), 1 << 13)[:, None].repeat(2, axis=1).astype(np.float32)
    wanted = before.run({"x": every})[before.outputs[0]]
    for graph in (complete, bisected):
        np.testing.assert_array_equal(wanted, graph.run({"x": every})[graph.outputs[0]])
