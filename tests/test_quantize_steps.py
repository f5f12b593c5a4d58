"""What lessens the error: norms folded, channels evened, rounding learned, the mean error taken out."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.layout import Concat
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import MaxPool
from codesign.ops.unary import Unary
from codesign.quantize import STEPS, quantize, read_precision
from codesign.quantize.calibrate import channel_peaks
from codesign.quantize.canonical import fold_norms, layers_of
from codesign.quantize.equalize import equalize
from codesign.quantize.rounding import learn_rounding
from codesign.quantize.statistics import gather
from codesign.quantize.weight_formats import weight_format
from codesign.quantize.weights import nearest_weights
from tests.quantize_graphs import Net, samples, sequential


def test_folded_norms_are_the_same_function():
    n = Net(5, 5, 3)
    t = n.norm(n.conv("x", 3, 3, 3, 4, name="conv"), 4)
    t = n.add(Sub(), n.constant(np.arange(4.0)), t)
    t = n.add(Div(), n.add(Sub(), t, n.constant(1.5)), n.constant([2.0, -4.0, 1.0, 0.5]))
    graph = n.graph(n.relu(t))
    folded = fold_norms(graph)
    feeds, out = samples(graph), graph.outputs[0]
    np.testing.assert_allclose(folded.run(feeds)[out], graph.run(feeds)[out], atol=1e-12)
    assert [type(x.op) for x in folded.nodes if not isinstance(x.op, Constant)] == [Conv, Add, Unary]


def test_a_product_that_is_read_twice_keeps_its_own_result():
    n = Net(4)
    y = n.add(MatMul(), "x", n.constant(np.eye(4)), name="fc")
    z = n.add(Mul(), y, n.constant(3.0))
    graph = n.graph(y, z)
    for name, value in fold_norms(graph).run(samples(graph)).items():
        np.testing.assert_allclose(value, graph.run(samples(graph))[name])


def test_equalization_keeps_the_function_and_evens_the_channels():
    graph = fold_norms(sequential())
    results = [layer.result for layer in layers_of(graph)]
    feeds, out = samples(graph), graph.outputs[0]
    peaks = channel_peaks(graph, feeds, results)
    even = equalize(graph, peaks)
    np.testing.assert_allclose(even.run(feeds)[out], graph.run(feeds)[out], rtol=1e-9, atol=1e-9)
    after = channel_peaks(even, feeds, results)[results[0]]  # a depthwise layer follows: all alike
    assert np.ptp(after) < 1e-9 * after.max() < np.ptp(peaks[results[0]])


def test_equalization_moves_factors_into_dense_weights():
    n = Net(5, 5, 3)
    a = n.add(MaxPool((2, 2), (1, 1)), n.relu(n.norm(n.conv("x", 1, 1, 3, 4, name="first"), 4)))
    graph = fold_norms(n.graph(n.conv(n.add(Pad((1, 1), (1, 1)), a), 3, 3, 4, 2, name="second")))
    feeds, out = samples(graph), graph.outputs[0]
    even = equalize(graph, channel_peaks(graph, feeds, [layer.result for layer in layers_of(graph)]))
    np.testing.assert_allclose(even.run(feeds)[out], graph.run(feeds)[out], rtol=1e-9, atol=1e-9)
    names = [layer.weights for layer in layers_of(graph)]
    assert all(not np.allclose(even.constants[w], graph.constants[w]) for w in names)


def test_equalization_passes_concatenations_and_branches():
    n = Net(6, 6, 3)
    squeeze = n.relu(n.norm(n.conv("x", 1, 1, 3, 4, name="squeeze"), 4))
    left = n.relu(n.norm(n.conv(squeeze, 1, 1, 4, 2, name="left"), 2))
    right = n.relu(n.norm(n.conv(n.add(Pad((1, 1), (1, 1)), squeeze), 3, 3, 4, 3, name="right"), 3))
    joined = n.add(MaxPool((2, 2), (2, 2)), n.add(Concat(2), left, right))
    after = n.relu(n.conv(joined, 1, 1, 5, 2, name="after"))
    # read by an output, too: no factors
    graph = fold_norms(n.graph(n.conv(after, 1, 1, 2, 2, name="last"), after))
    layers, feeds = {layer.label: layer for layer in layers_of(graph)}, samples(graph)
    even = equalize(graph, channel_peaks(graph, feeds, [layer.result for layer in layers.values()]))
    for out in graph.outputs:
        np.testing.assert_allclose(even.run(feeds)[out], graph.run(feeds)[out], rtol=1e-9, atol=1e-9)
    moved = {k for k, v in layers.items() if not np.allclose(even.constants[v.bias], graph.constants[v.bias])}
    assert moved == {"squeeze", "left", "right"}


@pytest.mark.parametrize("op", [MatMul(), Conv(), Conv(stride=(2, 2)), Conv(groups=4), Conv(groups=2)])
@pytest.mark.parametrize("levels", ["int4", "ternary", "pow2(4)", "uint3", "bfp(3, block=4)", "int4 per-tensor"])
def test_learned_rounding_errs_less_than_nearest(op, levels):
    rng = np.random.default_rng(5)
    groups = op.groups if isinstance(op, Conv) else 1
    shape, w_shape = ((40,), (40, 6)) if isinstance(op, MatMul) else ((6, 6, 4), (3, 3, 4 // groups, 8))
    x = np.maximum(rng.normal(size=(50, *shape)) + rng.normal(size=(50, *([1] * len(shape)))), 0)
    w = rng.normal(size=w_shape)
    node = Node("y", op, ("x", "w"))
    graph = Graph((Input("x", TensorType(shape)), Input("w", TensorType(w_shape))), (node,), ("y",))
    y = op.run(graph.types["y"], x, w)
    start = nearest_weights(w, weight_format(levels))
    learned = learn_rounding(w, start, gather(node, w_shape, x, y))
    assert (learned.codes == start.format.levels.nearest(learned.codes, start.local)).all()
    assert learned.codes.shape == w.shape and (np.ptp(learned.scale) == 0) == ("per-tensor" in levels)

    def error(real: np.ndarray) -> float:
        gap = op.run(graph.types["y"], x, real) - y
        return float((gap - gap.mean(axis=tuple(range(gap.ndim - 1)))).var())

    assert error(learned.real) < 0.9 * error(start.real)


def test_bias_correction_takes_the_mean_error_out():
    graph = fold_norms(sequential())
    feeds = samples(graph)
    result = quantize(graph, feeds, read_precision("w4a8"), steps=("bias",)).graph
    first = layers_of(graph)[0].result
    wanted, got = graph.run(feeds, [first])[first], result.run(feeds, [first])[first]
    assert np.abs((wanted - got).mean(axis=(0, 1, 2))).max() < 1e-9


def test_every_step_helps_at_four_bits():
    graph, out = sequential(), sequential().outputs[0]
    noise = [quantize(graph, samples(graph), read_precision("w4a8"), steps=s).report.outputs[out] for s in ((), STEPS)]
    assert noise[1] > noise[0] + 3
