"""Low-rank steps: at full rank every layer answers as before; ranks, refusals; what compiles is simulated."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.compress.block_term import BlockTerm
from codesign.compress.cp import Cp
from codesign.compress.kronecker import Kronecker
from codesign.compress.low_rank import LowRank
from codesign.compress.step import Data
from codesign.compress.svd import Svd
from codesign.compress.tensor_ring import TensorRing
from codesign.compress.tensor_train import TensorTrain
from codesign.compress.tucker import Tucker
from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add
from codesign.ops.layout import Reshape
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import MaxPool
from codesign.ops.unary import Unary

WINDOWED: list[LowRank] = [
    Svd(rank=1000, form="output"), Svd(rank=1000, form="input"), Svd(rank=1000, form="separable"), Cp(rank=1000),
    Tucker(rank=1000), TensorTrain(rank=1000), TensorRing(rank=1000), TensorRing(rank=1000, closing=3),
    BlockTerm(rank=1000), BlockTerm(rank=1000, blocks=1), Kronecker(rank=1000),
    Kronecker(rank=1000, inputs=1, outputs=6),
]  # fmt: skip
DENSE = [
    Svd(rank=1000), Kronecker(rank=1000), TensorTrain(rank=1000), TensorTrain(rank=1000, parts=2),
    TensorRing(rank=1000), TensorRing(rank=1000, parts=2, closing=3),
]  # fmt: skip


def network(stride: tuple[int, int] = (1, 1), seed: int = 0) -> Graph:
    """A padded convolution with bias, rectifier and pool; a 1 x 1 convolution; a flatten; two matrix products."""
    rng = np.random.default_rng(seed)

    def constant(name: str, *shape: int) -> Node:
        return Node(name, Constant.real(rng.normal(size=shape) / np.sqrt(max(1, np.prod(shape[:-1])))))

    nodes = [
        Node("p", Pad((1, 1), (1, 1)), ("x",)), constant("w", 3, 3, 4, 6), constant("b", 6),
        Node("conv", Conv(stride), ("p", "w")), Node("a", Add(), ("conv", "b")), Node("r", Unary("relu"), ("a",)),
        constant("w1", 1, 1, 6, 8), Node("point", Conv(), ("r", "w1")), constant("b1", 8),
        Node("a1", Add(), ("point", "b1")), Node("r1", Unary("relu"), ("a1",)),
        Node("m", MaxPool((2, 2), (2, 2)), ("r1",)),
        Node("f", Reshape((int(np.prod([-(-8 // s) // 2 for s in stride])) * 8,)), ("m",)),
    ]  # fmt: skip
    size = int(np.prod([-(-8 // s) // 2 for s in stride])) * 8
    nodes += [
        constant("w2", size, 12), Node("fc", MatMul(), ("f", "w2")), constant("b2", 12),
        Node("a2", Add(), ("fc", "b2")), Node("r2", Unary("relu"), ("a2",)),
        constant("w3", 12, 5), constant("b3", 5), Node("last", MatMul(), ("r2", "w3")),
        Node("y", Add(), ("last", "b3")),
    ]  # fmt: skip
    return Graph((Input("x", TensorType((8, 8, 4))),), tuple(nodes), ("y",))


def samples(count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Images whose channels go together, as those of real ones do."""
    mixed = np.random.default_rng(0).normal(size=(4, 4)) * [2, 1, 0.5, 0.25]
    return {"x": np.random.default_rng(seed).normal(size=(count, 8, 8, 4)) @ mixed.T}


def same(before: Graph, after: Graph, tolerance: float = 1e-4) -> None:
    x = samples(5)
    np.testing.assert_allclose(after.run(x)["y"], before.run(x)["y"], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("step", WINDOWED, ids=str)
@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
def test_a_convolution_at_full_rank_is_itself(step, stride):
    graph = network(stride)
    after, notes = type(step)(**{**vars(step), "layers": "conv"}).apply(graph, None)
    same(graph, after)
    assert notes[0].startswith("conv: rank ") and len(after.nodes) > len(graph.nodes)


@pytest.mark.parametrize("step", DENSE, ids=str)
@pytest.mark.parametrize("layer", ["fc", "last"])
def test_a_matrix_product_at_full_rank_is_itself(step, layer):
    graph = network()
    after, notes = type(step)(**{**vars(step), "layers": layer}).apply(graph, None)
    same(graph, after)
    assert notes[0].startswith(f"{layer}: rank ")


@pytest.mark.parametrize("step", [type(s)(**{**vars(s), "rank": 2, "layers": "conv"}) for s in WINDOWED], ids=str)
def test_answers_are_kept_better_than_weights_keep_them(step):
    """Held-out samples; the same ranks, fitted to what the layer answers instead of its weights."""
    graph, x, unseen = network(), samples(150), samples(100, seed=2)
    plain, _ = step.apply(graph, None)
    aware, _ = type(step)(**{**vars(step), "responses": True}).apply(graph, Data(x))
    assert [n.name for n in plain.nodes] == [n.name for n in aware.nodes]
    wanted = graph.run(unseen)["y"]
    errors = [float(((g.run(unseen)["y"] - wanted) ** 2).mean()) for g in (plain, aware)]
    assert errors[1] < 0.95 * errors[0]
