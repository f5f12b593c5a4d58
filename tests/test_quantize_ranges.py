"""Where quantizers stand, and the ranges and scales that they get: each by itself, and those that belong together."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.formats import Int
from codesign.graph import Graph, Input
from codesign.ops.elementwise import Add, Mul
from codesign.ops.layout import Concat
from codesign.ops.matmul import MatMul
from codesign.ops.pool import GlobalAveragePool
from codesign.ops.unary import Unary
from codesign.quantize import quantize, read_precision
from codesign.quantize.canonical import fold_norms
from codesign.quantize.observers import OBSERVERS, Histogram, codes_for, related
from codesign.quantize.points import quantization_points
from codesign.quantize.precision import activations
from tests.quantize_graphs import Net, residual, samples, sequential


def test_no_quantizer_stands_between_a_product_and_its_activation():
    graph = fold_norms(sequential())
    points = quantization_points(graph)
    kinds = [type(graph.by_name[t].op) if t in graph.by_name else Input for p in points for t in p.tensors]
    assert kinds == [Input, Unary, Unary, GlobalAveragePool]
    assert all(len(p.tensors) == 1 for p in points)


def test_parts_of_a_concatenation_share_a_scale_and_summands_differ_by_powers_of_two():
    graph = fold_norms(residual())
    points = quantization_points(graph)
    (total,) = (n for n in graph.nodes if isinstance(n.op, Add) and not any(i in graph.constants for i in n.inputs))
    (joined,) = (n for n in graph.nodes if isinstance(n.op, Concat))
    assert [p.tensors for p in points if len(p.tensors) > 1] == [tuple(t for t in graph.types if t in joined.inputs)]
    assert len({p.family for p in points if set(p.tensors) & set(total.inputs)}) == 1
    result = quantize(residual(), samples(residual()), read_precision("int8")).graph
    assert len({result.by_name[f"{t}.codes"].op for t in joined.inputs}) == 1  # type: ignore[arg-type]
    a, b = (result.types[f"{t}.codes"].scale[0] for t in total.inputs)
    assert abs(np.log2(a / b)) in range(9)


@pytest.mark.parametrize("name", ["uint8", "int8"])
@pytest.mark.parametrize("ratio", [1.0, 1.9, 2.0, 7.0, 1e6])
def test_a_related_scale_spans_at_least_the_same_range(name, ratio):
    codes = codes_for(activations(name), -1.0, 3.0)
    found = related(codes, codes.scale * ratio)
    halvings = np.log2(codes.scale * ratio / found.scale)
    assert halvings == int(halvings) <= 8 and (codes.scale * 0.999 <= found.scale)
    assert found.scale < 2 * codes.scale or halvings == 8
    assert abs(found.rounded(np.array([-1.0, 0.0, 3.0])) - [-1, 0, 3]).max() <= found.scale * 0.51


def test_a_branch_much_smaller_than_the_other_keeps_its_precision():
    """x * 100 + conv(x): the convolution reads x, and one scale for both would leave it nothing."""
    net = Net(8, 8, 4)
    big = net.add(Unary("relu"), net.conv("x", 1, 1, 4, 4, name="wide"))
    big = net.add(Mul(), big, net.constant(np.full(4, 300.0)))
    small = net.relu(net.conv("x", 1, 1, 4, 4, name="narrow"))
    total = net.add(Add(), big, small)
    y = net.conv(small, 1, 1, 4, 4, name="reader")
    end = net.add(Concat(axis=2), total, y)
    graph = Graph(net.inputs, tuple(net.nodes), (end, y))
    report = quantize(graph, samples(graph), read_precision("int8")).report
    assert report.outputs[y] > 30


def test_ranges_are_chosen_by_what_they_cost_at_the_outputs():
    """Four channels share a scale; the first is rare and large. Where only it is read, nothing may be cut off."""
    rng = np.random.default_rng(6)
    x = rng.uniform(0, 1, (400, 4))
    x[:, 0] = np.where(rng.uniform(size=400) < 0.03, rng.uniform(6, 8, 400), 0)

    def observer(weights: list[float], samples: np.ndarray) -> str:
        n = Net(4)
        hidden = n.relu(n.add(MatMul(), "x", n.constant(np.eye(4)), name="first"))
        graph = n.graph(n.add(MatMul(), hidden, n.constant(np.diag(weights)), name="last"))
        return quantize(graph, {"x": samples}, read_precision("w8a3"), steps=()).report.observer

    assert observer([1, 1e-3, 1e-3, 1e-3], x) == "min-max"
    assert observer([1e-3, 1, 1, 1], x) == "mse"
    assert observer([1, 1e-3, 1e-3, 1e-3], x[:20]) == "mse"  # too few to judge by


def histogram(values: np.ndarray) -> Histogram:
    return Histogram(*np.histogram(values, 2048))


@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("name", ["uint8", "int8", "uint4", "int4"])
def test_observers_hold_zero_exactly_and_most_of_what_they_saw(observer, name):
    values = np.random.default_rng(6).normal(0.5, 1.0, 20_000)
    codes = OBSERVERS[observer](histogram(values), activations(name))
    fmt = codes.activations.format
    assert fmt.lo <= codes.zero_point <= fmt.hi and codes.rounded(np.zeros(1))[0] == 0
    assert codes.activations.affine or codes.zero_point == 0
    error = ((codes.rounded(values) - values) ** 2).mean()
    assert error < (0.05 if "4" in name else 0.002)


def test_observers_differ_where_they_should():
    values = np.abs(np.random.default_rng(7).normal(size=50_000))
    values[0] = 40.0
    spans = {k: OBSERVERS[k](histogram(values), activations("uint4")).scale * 15 for k in OBSERVERS}
    assert spans["min-max"] == pytest.approx(40, rel=1e-6)
    assert all(spans[k] < 20 for k in ("percentile", "mse", "entropy"))
    fine = OBSERVERS["mse"](histogram(values), activations("uint4"))
    for other in (OBSERVERS[k](histogram(values), activations("uint4")) for k in OBSERVERS):
        assert ((fine.rounded(values) - values) ** 2).sum() <= ((other.rounded(values) - values) ** 2).sum() * 1.01


def test_codes_span_the_range():
    codes = codes_for(activations("uint8"), -1.0, 3.0)
    assert codes.zero_point == 64 and codes.scale == pytest.approx(4 / 255)
    assert codes_for(activations("int4"), -1.0, 3.0).scale == pytest.approx(3 / 7)
    assert codes.activations.format == Int(0, 255)
