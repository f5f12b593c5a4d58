"""What quantization says of itself: which layers the error comes from, and how much was looked at to learn it."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.graph import Graph, Input, Node, TensorType
from codesign.ops.conv import Conv
from codesign.ops.matmul import MatMul
from codesign.quantize import quantize, read_precision
from codesign.quantize import statistics as module
from codesign.quantize.calibrate import ROWS, enough
from codesign.quantize.canonical import fold_norms, layers_of
from codesign.quantize.statistics import gather
from tests.quantize_graphs import Net, samples, sequential


@pytest.mark.parametrize("coarse", ["first", "last"])
def test_the_coarsest_layer_brings_most_of_the_noise(tmp_path, coarse):
    graph = sequential()
    labels = [layer.label for layer in layers_of(fold_norms(graph))]
    name = {"first": labels[0], "last": labels[-1]}[coarse]
    path = tmp_path / "p.yaml"
    path.write_text(f"'{name}': {{weights: ternary}}\n'*': {{weights: int8}}\n")
    report = quantize(graph, samples(graph), read_precision(str(path))).report
    assert report.worst(1)[0].layer == name and report.worst(1)[0].noise_share > 0.8
    assert sum(r.noise_share for r in report.layers) + report.input_share == pytest.approx(1)


def test_few_large_images_say_enough_and_all_dense_samples_are_used():
    net = Net(64, 64, 2)
    net.conv("x", 3, 3, 2, 4, name="conv")
    graph = fold_norms(Graph(net.inputs, tuple(net.nodes), (net.nodes[-1].name,)))
    results = [layer.result for layer in layers_of(graph)]
    x = {"x": np.arange(100.0)[:, None, None, None] * np.ones((64, 64, 2))}
    kept = enough(graph, x, results)["x"]
    assert len(kept) * 62 * 62 >= ROWS > (len(kept) - 1) * 62 * 62
    assert kept[0, 0, 0, 0] == 0 and kept[-1, 0, 0, 0] == 99 and len(set(kept[:, 0, 0, 0])) == len(kept)
    dense = sequential()
    assert len(enough(dense, samples(dense), dense.outputs)["x"]) == 64


@pytest.mark.parametrize("op", [MatMul(), Conv(stride=(2, 1)), Conv(groups=4), Conv(groups=2)])
def test_positions_drawn_are_like_all(monkeypatch, op):
    rng = np.random.default_rng(5)
    groups = op.groups if isinstance(op, Conv) else 1
    shape, w_shape = ((40,), (40, 6)) if isinstance(op, MatMul) else ((6, 6, 4), (3, 3, 4 // groups, 8))
    x, w = rng.normal(size=(4000, *shape)), rng.normal(size=w_shape)
    node = Node("y", op, ("x", "w"))
    graph = Graph((Input("x", TensorType(shape)), Input("w", TensorType(w_shape))), (node,), ("y",))
    y = op.run(graph.types["y"], x, w)
    every = gather(node, w_shape, x, y)
    monkeypatch.setattr(module, "ROWS", 2000)
    drawn = gather(node, w_shape, x, y)
    for name in ("xx", "xy", "x", "y"):
        a, b = getattr(every, name), getattr(drawn, name)
        assert a.shape == b.shape and not np.array_equal(a, b)
        assert np.abs(a - b).max() < 0.15 * max(np.abs(every.xx).max(), np.abs(every.xy).max())
    np.testing.assert_allclose(drawn.xy, drawn.xx @ module.by_group(w, groups), atol=1e-9)
