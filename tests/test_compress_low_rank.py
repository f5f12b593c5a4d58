"""Low-rank steps: at full rank every layer answers as before; ranks, refusals; what compiles is simulated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codesign.compress.block_term import BlockTerm
from codesign.compress.cp import Cp
from codesign.compress.kronecker import Kronecker
from codesign.compress.low_rank import LowRank, kernel_of
from codesign.compress.step import Data, chosen, single, with_weights
from codesign.compress.svd import Svd
from codesign.compress.tensor_ring import TensorRing
from codesign.compress.tensor_train import TensorTrain
from codesign.compress.tidy import folded
from codesign.compress.tucker import Tucker
from codesign.errors import UserError
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
    after, notes = replace(step, layers="conv").apply(graph, None)
    same(graph, after)
    assert notes[0].startswith("conv: rank ") and len(after.nodes) > len(graph.nodes)


@pytest.mark.parametrize("step", DENSE, ids=str)
@pytest.mark.parametrize("layer", ["fc", "last"])
def test_a_matrix_product_at_full_rank_is_itself(step, layer):
    graph = network()
    after, notes = replace(step, layers=layer).apply(graph, None)
    same(graph, after)
    assert notes[0].startswith(f"{layer}: rank ")


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("step", [*WINDOWED, *DENSE], ids=str)
def test_the_layers_of_a_chain_multiply_back_into_one(step, rank):
    """At any rank the chain answers as the one layer whose kernel its factors make."""
    graph, layer = folded(network((1, 2))), "conv" if step in WINDOWED else "fc"
    small = replace(step, rank=rank, layers=layer)
    (product,) = chosen(graph, layer)
    method = small.method(product)
    ranks = [min(rank, len(s)) for s in method.spectra(kernel_of(product))]
    factors = tuple(single(f) for f in method.factors(kernel_of(product), ranks))
    whole = with_weights(graph, {product.weights: method.kernel(factors).reshape(product.value.shape)})
    same(whole, small.apply(graph, None)[0])
    assert method.count(ranks) == sum(w.size for w in method.weights(factors))


@pytest.mark.parametrize("step", [replace(s, rank=2, layers="conv") for s in WINDOWED], ids=str)
def test_answers_are_kept_better_than_weights_keep_them(step):
    """Held-out samples; the same ranks, fitted to what the layer answers instead of its weights."""
    graph, x, unseen = network(), samples(150), samples(100, seed=2)
    plain, _ = step.apply(graph, None)
    aware, _ = replace(step, responses=True).apply(graph, Data(x))
    assert [n.name for n in plain.nodes] == [n.name for n in aware.nodes]
    wanted = graph.run(unseen)["y"]
    errors = [float(((g.run(unseen)["y"] - wanted) ** 2).mean()) for g in (plain, aware)]
    assert errors[1] < 0.95 * errors[0]


def test_ranks_follow_energy_error_and_share():
    graph = network()
    kernel = graph.constants["w"].reshape(-1, 6)
    limits: list[dict[str, float]] = [{"energy": 0.8}, {"error": 0.5}, {"share": 0.5}]
    for given in limits:
        small, notes = replace(Svd(rank=1, layers="conv"), rank=0, **given).apply(graph, None)
        first, second = (small.constants[small.by_name[n].inputs[1]] for n in ("conv.1", "conv"))
        rank, left = first.shape[-1], first.reshape(-1, first.shape[-1]) @ second[0, 0] - kernel
        energy = 1 - (left**2).sum() / (kernel**2).sum()
        assert energy >= given.get("energy", 0) and 1 - energy <= given.get("error", 1) ** 2
        assert first.size + second.size <= given.get("share", 1) * kernel.size
        assert notes == (f"conv: rank {rank}, {first.size + second.size} of {kernel.size} weights",)


def test_layers_that_a_step_cannot_help_say_why():
    graph = network()
    _, notes = Tucker(share=0.6).apply(graph, None)
    assert notes[0].startswith("conv: rank") and "no window of several taps" in notes[1]
    same(graph, Svd(energy=0.9999, layers="point").apply(graph, None)[0])
    assert "are not fewer" in Svd(energy=0.9999, layers="point").apply(graph, None)[1][0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Svd, "needs one of rank, energy, error and share, not 0"),
        (lambda: Svd(rank=2, energy=0.5), "not 2 of them"),
        (lambda: Svd(energy=1.5), "energy is 1.5; it must be from 0 to 1"),
        (lambda: Svd(rank=2, form="odd"), "form 'odd' is unknown"),
        (lambda: Cp(energy=0.5), "give rank or share"),
        (lambda: Svd(rank=2, responses=True).apply(network(), None), "--calibration"),
        (lambda: Svd(rank=2, layers="none*").apply(network(), None), "match no layer"),
    ],
)
def test_what_a_step_refuses(make, words):
    with pytest.raises(UserError, match=words):
        make()
