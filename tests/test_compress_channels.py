"""Channels removed: what is left gives what the whole network gives with those channels at zero."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.compress.channels import Channels
from codesign.compress.contributions import Reader
from codesign.compress.filter_norm import FilterNorm
from codesign.compress.geometric_median import GeometricMedian, distances
from codesign.compress.lasso import Lasso, entered
from codesign.compress.remove import remove
from codesign.compress.slimming import Slimming
from codesign.compress.step import Data
from codesign.compress.surgeon import Surgeon, losses
from codesign.compress.thinet import ThiNet, greedy
from codesign.errors import UserError
from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Mul
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Slice
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalAveragePool, MaxPool
from codesign.ops.softmax import Softmax
from codesign.ops.unary import Unary


class Net:
    """Builds a graph of 6 x 6 pixels and 3 channels, node after node."""

    def __init__(self, seed: int = 0) -> None:
        self.rng, self.nodes, self.shapes = np.random.default_rng(seed), [], {"x": (6, 6, 3)}

    def put(self, name: str, op, *inputs: str) -> str:
        self.nodes.append(Node(name, op, inputs))
        return name

    def constant(self, *shape: int) -> str:
        return self.put(f"c{len(self.nodes)}", Constant.real(self.rng.normal(size=shape)))

    def conv(self, name: str, data: str, inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> str:
        """A convolution, its bias, and a rectifier."""
        if kernel > 1:
            data = self.put(f"{name}.pad", Pad((1, 1), (1, 1)), data)
        weights = self.constant(kernel, kernel, inputs // groups, outputs)
        self.put(name, Conv(groups=groups), data, weights)
        total = self.put(f"{name}.sum", Add(), name, self.constant(outputs))
        return self.put(f"{name}.relu", Unary("relu"), total)

    def done(self, output: str) -> Graph:
        return Graph((Input("x", TensorType((6, 6, 3))),), tuple(self.nodes), (output,))


def residual() -> Graph:
    """Two layers tied by a sum, a depthwise layer between, pooled into a product."""
    n = Net()
    a = n.conv("a", "x", 3, 8, 3)
    b = n.conv("d", n.conv("b", a, 8, 12), 12, 12, 3, groups=12)
    total = n.put("total", Add(), n.conv("c", b, 12, 8), a)
    flat = n.put("flat", Reshape((8,)), n.put("pool", GlobalAveragePool(), total))
    return n.done(n.put("y", MatMul(), flat, n.constant(8, 5)))


def joined() -> Graph:
    """A concatenation of two branches, one sliced, transposed and flattened into a product; a grouped layer."""
    n = Net(1)
    a, b = n.conv("a", "x", 3, 6), n.conv("b", "x", 3, 4, 3)
    g = n.conv("g", n.put("both", Concat(2), a, b), 10, 8, 3, groups=2)
    cut = n.put("cut", Slice((0, 0, 2), (6, 6, 6), (1, 1, 1)), g)
    turned = n.put("turned", Transpose((2, 0, 1)), n.put("pool", MaxPool((3, 3), (3, 3)), cut))
    flat = n.put("flat", Reshape((24,)), turned)
    return n.done(n.put("y", MatMul(), flat, n.constant(24, 5)))


def silenced(graph: Graph, channels: Channels, gone: set[int]) -> Graph:
    """The whole graph with zeros where channels go: behind every rectifier and sum."""
    nodes = []
    for node in graph.nodes:
        nodes.append(node)
        labels = channels.labels.get(node.name)
        if labels is not None and isinstance(node.op, Unary) and np.isin(labels, list(gone)).any():
            mask = Constant.real((~np.isin(labels, list(gone))).astype(float))
            nodes[-1] = Node(f"{node.name}.all", node.op, node.inputs)
            nodes += [
                Node(f"{node.name}.mask", mask),
                Node(node.name, Mul(), (f"{node.name}.all", f"{node.name}.mask")),
            ]
    return graph.replace(nodes)


@pytest.mark.parametrize("make", [residual, joined])
def test_removed_is_the_same_as_silent(make):
    graph, rng = make(), np.random.default_rng(5)
    channels = Channels(graph)
    families = channels.families()
    x = {"x": rng.normal(size=(4, 6, 6, 3))}
    for _ in range(8):
        gone = {int(i) for f in families for i in rng.choice(f.labels, rng.integers(0, len(f.labels)), replace=False)}
        gone -= {int(labels.min()) for labels in channels.labels.values()}  # something must stay of every tensor
        small = remove(channels, gone).graph
        np.testing.assert_allclose(small.run(x)["y"], silenced(graph, channels, gone).run(x)["y"], atol=1e-9)
        sizes = [sum(c.size for c in g.constants.values()) for g in (small, graph)]
        assert sizes[0] < sizes[1] or not gone


def test_families_follow_the_graph():
    found = {f.layers: len(f.labels) for f in Channels(residual()).families()}
    assert found == {("a", "c"): 8, ("b",): 12}
    found = {f.layers: len(f.labels) for f in Channels(joined()).families()}
    # what a layer in two groups reads is tied pairwise, which ties both branches; so is what it makes
    assert found == {("a", "b"): 5, ("g",): 4}


def test_what_cannot_go_says_why():
    n = Net()
    a = n.conv("a", "x", 3, 4)
    graph = n.done(n.put("y", Softmax(), n.conv("b", a, 4, 5)))
    small, notes = FilterNorm(0.5).apply(graph, None)
    assert notes == ("b keeps its channels: 'y' (Softmax) needs all of them", "a: 2 of 4 channels stay")
    assert small.types["a"].shape == (6, 6, 2) and small.types["b"].shape == (6, 6, 5)


def test_a_branch_keeps_its_best_channel():
    small, _ = FilterNorm(1.0).apply(joined(), None)
    assert [small.types[n].shape[-1] for n in ("a", "b", "both")] == [1, 1, 2]


def test_as_many_stay_as_make_a_multiple():
    small, _ = FilterNorm(0.6, layers="b", multiple=4).apply(residual(), None)
    assert small.types["b"].shape[-1] == 8 and small.types["d"].shape[-1] == 8


def test_norms_and_distances_choose_what_they_say():
    n = Net()
    graph = n.done(n.put("y", GlobalAveragePool(), n.conv("b", n.conv("a", "x", 3, 3), 3, 2)))
    w = np.zeros((1, 1, 3, 3))
    w[0, 0] = np.array([[5, 0, 0], [5.1, 0, 0], [0, 1, 1]]).T
    graph = graph.replace(Node(n.name, Constant.real(w)) if n.name == "c0" else n for n in graph.nodes)
    by_norm, _ = FilterNorm(1 / 3, layers="a").apply(graph, None)
    by_median, _ = GeometricMedian(1 / 3, layers="a").apply(graph, None)
    left = [sorted(np.abs(g.constants[g.by_name["a"].inputs[1]]).sum(axis=(0, 1, 2))) for g in (by_norm, by_median)]
    np.testing.assert_allclose(left, [[5, 5.1], [2, 5.1]], rtol=1e-6)
    assert np.argmin(distances(w[0, 0].T)) == 0


def test_slimming_measures_the_scale_of_a_normalization():
    """A layer whose normalization scales one channel by 0.01; the other has none, and is named."""
    n, x = Net(), np.random.default_rng(0).normal(size=(50, 6, 6, 3))
    n.put("a", Conv(), "x", n.constant(1, 1, 3, 3))
    gain = np.array([1.0, 0.01, 1.0])
    n.nodes += [Node("gain", Constant.real(gain)), Node("shift", Constant.real(np.ones(3)))]
    normed = n.put("normed", Add(), n.put("scaled", Mul(), "a", "gain"), "shift")
    graph = n.done(n.conv("b", n.put("r", Unary("relu"), normed), 3, 2))
    small, _ = Slimming(1 / 3, layers="a").apply(graph, Data({"x": x}))
    kept = small.constants[small.by_name["a"].inputs[1]]
    assert kept.shape == (1, 1, 3, 2) and np.abs(kept).sum(axis=(0, 1, 2)).min() > 0.1
    with pytest.raises(UserError, match="no batch normalization follows 'a'"):
        Slimming(0.5, layers="a").apply(residual(), Data({"x": x}))


@pytest.mark.parametrize("worth", [greedy, entered])
def test_selection_lets_go_what_others_make_up_for(worth):
    """Channel 2 contributes little; 0 and 1 cancel each other out, so they go together or stay together."""
    v = np.random.default_rng(0).normal(size=(1000, 2))
    contributions = np.stack([v[:, 0], v[:, 1], 0.01 * v[:, 0]], axis=1)
    found = worth(contributions.T @ contributions / 1000)
    assert found.argmin() == 2 and found[[0, 1]].min() > 10 * found[2]


def test_the_surgeon_knows_what_refitting_leaves():
    """Its losses are the errors of least squares on what is left, channel after channel."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(6, 3))
    x -= x.mean(axis=0)
    found = losses([Reader(x.T @ x / 500, w, np.array([0, 0, 1, 1, 2, 2]))], 3)
    for k in range(3):
        left = np.flatnonzero(np.repeat(found > found[k], 2))
        answer = x @ w
        fitted = x[:, left] @ np.linalg.lstsq(x[:, left], answer, rcond=None)[0] if len(left) else 0 * answer
        assert abs(found[k] - ((answer - fitted) ** 2).sum() / (answer**2).sum()) < 1e-9


@pytest.mark.parametrize("step", [FilterNorm, ThiNet, Lasso, Surgeon])
def test_refitted_layers_answer_better(step):
    rng = np.random.default_rng(1)
    mixed = rng.normal(size=(3, 3))
    x, unseen = ({"x": rng.normal(size=(100, 6, 6, 3)) @ mixed} for _ in range(2))
    graph = residual()
    wanted, errors = graph.run(unseen)["y"], []
    for responses in (False, True):
        small, _ = step(0.25, responses=responses).apply(graph, Data(x))
        errors.append(float(((small.run(unseen)["y"] - wanted) ** 2).mean()))
    assert errors[1] < 0.7 * errors[0]


def test_what_works_on_samples_asks_for_them():
    with pytest.raises(UserError, match="--calibration"):
        ThiNet(0.5).apply(residual(), None)
