"""Fusions of whole networks: results equal with each of them on and off; what each says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost import Budget
from codesign.errors import UserError
from codesign.flow import inspect
from codesign.formats import Binary, Format, Int
from codesign.graph import Graph
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Mul
from codesign.ops.layout import Concat, Reshape, Transpose
from codesign.ops.matmul import MatMul
from codesign.ops.moves import Slice
from codesign.ops.pad import Pad
from codesign.ops.pool import MaxPool
from codesign.ops.unary import Unary
from codesign.passes import PASSES, run_passes
from codesign.passes.split import split
from hw.compare import Compare
from tests.models import Model
from tests.pass_graphs import Net, kinds

UINT4, INT4 = Int.of(4, signed=False), Int.of(4, signed=True)
BUDGET = Budget(37_240, 63_840, 209, 126)
FREE = [p.name for p in PASSES if not p.needed]


def conv(net: Net, x: str, channels: int, filters: int, kernel: int = 1, seed: int = 0, fmt: Format = INT4) -> str:
    """A padded convolution that keeps rows and columns."""
    border = (kernel // 2, kernel // 2)
    padded = net.add(Pad(border, border), x) if kernel > 1 else x
    return net.add(Conv(), padded, net.weights(kernel, kernel, channels, filters, fmt=fmt, seed=seed))


def relu(net: Net, x: str, fmt: Format = UINT4, scale: float = 2.3719, zero: int = 0) -> str:
    return net.quantize(net.add(Unary("relu"), x), fmt, (scale,), (zero,))


def samples(graph: Graph, count: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {i.name: rng.normal(0, 3, (count, *i.type.shape)).astype(np.float32) for i in graph.inputs}


def check_equal(before: Graph, after: Graph) -> None:
    """Real outputs are equal but for the rounding of float64."""
    got, expected = (g.run(samples(before)) for g in (after, before))
    for name in before.outputs:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12, atol=1e-12)


def notes(graph: Graph, name: str, compare: Compare | None = None) -> list[str]:
    """What a fusion says of a network."""
    _, checks = run_passes(graph, compare=compare)
    return [n.text for c in checks if c.name == name for n in c.notes]


def branches(*kernels: int, fmt: Format = INT4, zero: int = 0) -> Graph:
    """Convolutions of several kernels that read one tensor and meet in a concatenation, which a last one reads."""
    net = Net(6, 6, 2)
    x = net.quantize("x", UINT4, (1.0937,), (zero,))
    parts = [relu(net, conv(net, x, 2, 2 + k, kernel, k, fmt), zero=zero) for k, kernel in enumerate(kernels)]
    joined = net.add(Concat(-1), *parts)
    return net.graph(conv(net, joined, sum(2 + k for k in range(len(kernels))), 2, seed=9))


@pytest.mark.parametrize("zero", [0, 3])
@pytest.mark.parametrize("kernels", [(1, 1), (3, 3, 3), (1, 3), (3, 1, 5)])
def test_branches_of_one_tensor_become_one_product_without_a_concat(kernels: tuple[int, ...], zero: int) -> None:
    graph = branches(*kernels, zero=zero)
    after, _ = run_passes(graph)
    assert [k for k in kinds(after) if k not in ("Pad", "Center")] == [
        "Threshold", "Conv", "Threshold", "Conv", "Dequantize",
    ]  # fmt: skip
    check_equal(graph, after)


def test_binary_branches_of_two_kernels_are_ternary_around_the_smaller() -> None:
    graph = branches(1, 3, fmt=Binary())
    after, _ = run_passes(graph)
    assert Int(-1, 1) in {after.types[n].format for n in after.constants}


def test_siblings_that_part_again_are_split_behind_their_activation() -> None:
    net = Net(5)
    x = net.quantize("x", UINT4)
    heads = [relu(net, net.add(MatMul(), x, net.weights(5, 4, seed=k)), scale=1.0 + k) for k in range(3)]
    graph = net.graph(*(net.add(MatMul(), h, net.weights(4, 2, seed=7 + k)) for k, h in enumerate(heads)))
    after, _ = run_passes(graph)
    assert kinds(after).count("Threshold") == 2 and kinds(after).count("Slice") == 3
    check_equal(graph, after)


def test_weights_of_other_widths_and_groups_are_refused_with_the_reason() -> None:
    net = Net(5)
    x = net.quantize("x", UINT4)
    wide = [net.add(MatMul(), x, net.weights(5, 4, fmt=f, seed=3)) for f in (INT4, Int.of(8, signed=True))]
    assert notes(net.graph(*wide), "horizontal") == ["weights of 4 and 8 bits would all be stored in 8"]


def test_the_cost_model_decides_whether_zeros_around_a_small_kernel_pay() -> None:
    (serial,) = notes(branches(3, 3), "horizontal", Compare(BUDGET))
    assert "2 products of" in serial and "cheaper at equal rates" in serial
    refusals = notes(branches(1, 9), "horizontal", Compare(BUDGET, 3_000))
    assert any("more at equal rates" in r for r in refusals)


class Growing:
    """A network that grows by random blocks; `tensors`: quantized images of 4 x 4 with their channels."""

    def __init__(self) -> None:
        self.net, self.seed = Net(4, 4, 2), 0
        self.tensors = [(self.net.quantize("x", UINT4, (1.0937,)), 2)]

    def conv(self, x: str, channels: int, filters: int, kernel: int) -> str:
        self.seed += 1
        made = conv(self.net, x, channels, filters, kernel, self.seed)
        return relu(self.net, made, scale=2.3719 + 0.0131 * (self.seed))

    def grow(self, block: str, pick: int, size: int) -> None:
        x, channels = self.tensors[pick % len(self.tensors)]
        net, kernel = self.net, (1, 3)[size % 2]
        if block == "conv":
            made = [(self.conv(x, channels, size, kernel), size)]
        elif block == "fire":
            parts = [(self.conv(x, channels, n, k), n) for n, k in ((size, 1), (2, kernel), (1, 3))]
            made = [(net.quantize(net.add(Concat(-1), *(p for p, _ in parts)), UINT4, (2.4127,)), size + 3)]
        elif block == "residual":
            total = net.add(Add(), x, self.conv(x, channels, channels, kernel))
            made = [(relu(net, total, scale=2.7137), channels)]
        elif block == "twice":
            again = [relu(net, conv(net, x, channels, size, kernel, seed=5), scale=2.3719) for _ in range(2)]
            made = [(again[0], size), (again[1], size)]
        elif block == "split" and channels > 1:
            cuts = [((0, 0, 0), 1), ((0, 0, 1), channels - 1)]
            made = [(net.add(Slice(start, (4, 4, n), (1, 1, 1)), x), n) for start, n in cuts]
        else:
            same = net.add(
                Transpose((1, 0, 2)), net.add(Transpose((1, 0, 2)), net.add(Mul(), x, net.constant([[[1.0]]])))
            )
            made = [(net.quantize(net.add(MaxPool((1, 1)), same), UINT4, (2.3719,)), channels)]
        self.tensors += made

    def graph(self, outputs: int) -> Graph:
        flat = [self.net.add(Reshape((16 * c,)), x) for x, c in self.tensors[-outputs:]]
        sizes = [16 * c for _, c in self.tensors[-outputs:]]
        return self.net.graph(*(self.net.add(MatMul(), f, self.net.weights(n, 3, seed=n)) for f, n in zip(flat, sizes)))


KINDS = ["conv", "fire", "residual", "twice", "split", "join", "identity"]
BLOCKS = st.tuples(st.sampled_from(KINDS), st.integers(0, 9), st.integers(1, 3))


@settings(max_examples=40, deadline=None)
@given(st.lists(BLOCKS, min_size=1, max_size=4), st.integers(1, 2), st.sets(st.sampled_from(FREE)))
def test_random_networks_are_equal_with_fusions_on_and_off(
    blocks: list[tuple[str, int, int]], outputs: int, off: set[str]
) -> None:
    growing = Growing()
    for block in blocks:
        growing.grow(*block)
    graph = growing.graph(outputs)
    fused, _ = run_passes(graph)  # which compares with the graph itself, up to rounding ties
    plain, _ = run_passes(graph, off)
    check_equal(plain, fused)
    assert all(split(g).core.nodes for g in (fused, plain))


def test_a_fusion_says_what_it_did_at_a_layer_and_what_it_saves(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    m = Model(1, 6, 6, 2)
    x = m.quant("x", 1.0937)
    parts = [
        m.quant(m.add("Relu", m.add("MatMul", x, m.weight(2, 4, seed=k), name=f"branch{k}")), 2.37) for k in (1, 2)
    ]
    m.save(path, m.add("MatMul", m.add("Concat", *parts, axis=-1), m.weight(8, 1024), name="last"))
    found = inspect(path, [], with_savings=True, layer="branch1")
    told = {f["name"]: f for f in found["why"]["fusions"]}
    assert told["horizontal"]["applied"] and "(with branch2)" in told["horizontal"]["said"][0]
    assert not told["sink"]["applied"] and told["sink"]["said"][0].startswith("found nothing to do here")
    saved = next(f["saved"] for f in found["fusions"] if f["name"] == "horizontal")
    assert saved["stages"] >= 3 and saved["lut"] > 0
    with pytest.raises(UserError, match="--why brunch1: no such layer; near are branch1"):
        inspect(path, [], with_savings=False, layer="brunch1")
    off = inspect(path, ["horizontal"], with_savings=False, layer="branch1")["why"]["fusions"]
    assert {"name": "horizontal", "applied": False, "said": ["switched off"]} in off


def test_parts_that_meet_again_and_parts_of_joined_tensors_take_no_stages() -> None:
    net = Net(4, 6)
    x, y = net.quantize("x", UINT4), net.quantize(net.add(Mul(), "x", net.constant([[0.3]])), UINT4)

    def part(of: str, start: int, size: int) -> str:
        return net.add(Slice((0, start), (4, size), (1, 1)), of)

    nested = net.add(Concat(-1), net.add(Concat(-1), part(x, 0, 2), part(x, 2, 4)), y)
    results = [net.add(MatMul(), t, net.weights(n, 3, seed=n)) for t, n in ((nested, 12), (part(nested, 7, 4), 4))]
    graph = net.graph(*results)
    fused, checks = run_passes(graph)
    plain, _ = run_passes(graph, FREE)
    assert [kinds(fused).count(k) for k in ("Concat", "Slice")] == [1, 1]
    assert [kinds(plain).count(k) for k in ("Concat", "Slice")] == [2, 3]
    check_equal(plain, fused)
    assert {c.name for c in checks if c.notes} >= {"split", "concat"}


def test_without_vertical_fusion_bias_and_relu_are_operators_of_their_own() -> None:
    net = Net(5)
    product = net.add(MatMul(), net.quantize("x", UINT4), net.weights(5, 4))
    biased = net.add(Add(), product, net.constant([0.125, -0.5, 1.0, 0.0]))  # whole steps of 0.125
    scaled = net.add(Mul(), net.add(Unary("relu"), biased), net.constant([0.9137]))
    graph = net.graph(net.add(MatMul(), net.quantize(scaled, UINT4, (0.871,)), net.weights(4, 2, seed=1)))
    plain, _ = run_passes(graph, ["activations"])
    fused, _ = run_passes(graph)
    assert [kinds(g).count("Requant") for g in (plain, fused)] == [2, 0]
    check_equal(plain, fused)


def test_savings_of_a_network_that_is_faster_than_its_folding_counts(tmp_path: Path) -> None:
    """A window makes the border of its image, which folding takes for beats."""
    m = Model(1, 2, 4, 4)
    squeezed = m.quant(m.add("Relu", m.add("Conv", m.quant("x"), m.weight(2, 2, 1, 1))), 0.5)
    wide = [m.add("Conv", squeezed, m.weight(4, 2, k, k, seed=k), pads=[k // 2] * 4) for k in (1, 3)]
    path = m.save(tmp_path / "fire.onnx", m.quant(m.add("Relu", m.add("Concat", *wide, axis=1)), 0.5))
    found = {f["name"]: f for f in inspect(path, [], with_savings=True, layer=None)["fusions"]}
    assert found["horizontal"]["saved"]
