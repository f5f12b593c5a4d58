"""Post-training quantization of small networks: where quantizers stand, what they cost, and that integers come out."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.formats import Int
from codesign.graph import Constant, Graph, Input, Node, TensorType
from codesign.ops.conv import Conv
from codesign.ops.elementwise import Add, Div, Mul, Sub
from codesign.ops.layout import Concat, Reshape
from codesign.ops.matmul import MatMul
from codesign.ops.pad import Pad
from codesign.ops.pool import GlobalAveragePool, MaxPool
from codesign.ops.quantize import Quantize
from codesign.ops.unary import Unary
from codesign.passes import run_passes
from codesign.passes.split import split
from codesign.quantize import STEPS, is_quantized, quantize, read_precision
from codesign.quantize.calibrate import channel_peaks
from codesign.quantize.canonical import fold_norms, layers_of
from codesign.quantize.equalize import equalize
from codesign.quantize.insert import quantized_name
from codesign.quantize.observers import OBSERVERS, Histogram, codes_for, related
from codesign.quantize.points import quantization_points
from codesign.quantize.precision import activations
from codesign.quantize.rounding import learn_rounding
from codesign.quantize.statistics import gather
from codesign.quantize.weight_formats import weight_format
from codesign.quantize.weights import nearest_weights


class Net:
    """Builds a graph node after node; every method gives the name of its result."""

    def __init__(self, *shape: int) -> None:
        self.inputs = (Input("x", TensorType(shape)),)
        self.nodes: list[Node] = []
        self.rng = np.random.default_rng(3)

    def add(self, op, *inputs: str, name: str = "") -> str:
        self.nodes.append(Node(name or f"t{len(self.nodes)}", op, inputs, origin=name))
        return self.nodes[-1].name

    def constant(self, value) -> str:
        return self.add(Constant.real(value))

    def conv(self, x: str, *shape: int, name: str, groups: int = 1) -> str:
        w = self.constant(self.rng.normal(size=shape) * self.rng.uniform(0.1, 2.0, shape[3]))
        return self.add(Conv(groups=groups), x, w, name=name)

    def norm(self, x: str, channels: int) -> str:
        scaled = self.add(Mul(), x, self.constant(self.rng.uniform(0.5, 1.5, channels)))
        return self.add(Add(), scaled, self.constant(self.rng.normal(size=channels)))

    def relu(self, x: str) -> str:
        return self.add(Unary("relu"), x)

    def graph(self, *outputs: str) -> Graph:
        return Graph(self.inputs, tuple(self.nodes), outputs)


def sequential() -> Graph:
    """conv + norm + relu + pool, a depthwise conv + relu, a mean, a dense layer without bias."""
    n = Net(8, 8, 2)
    a = n.relu(n.norm(n.conv(n.add(Pad((1, 1), (1, 1)), "x"), 3, 3, 2, 4, name="conv"), 4))
    p = n.add(MaxPool((2, 2), (2, 2)), a)
    d = n.relu(n.norm(n.conv(n.add(Pad((1, 1), (1, 1)), p), 3, 3, 1, 4, name="depthwise", groups=4), 4))
    m = n.add(Reshape((4,)), n.add(GlobalAveragePool(), d))
    return n.graph(n.add(MatMul(), m, n.constant(n.rng.normal(size=(4, 3))), name="fc"))


def residual() -> Graph:
    """Two convolutions whose sum a third reads; a concatenation for a fourth."""
    n = Net(6, 6, 3)
    a = n.norm(n.conv("x", 1, 1, 3, 4, name="first"), 4)
    b = n.norm(n.conv(n.relu(a), 1, 1, 4, 4, name="second"), 4)
    s = n.relu(n.add(Add(), a, b))
    c = n.add(Concat(2), n.relu(n.conv(s, 1, 1, 4, 2, name="left")), n.conv(s, 1, 1, 4, 3, name="right"))
    return n.graph(n.conv(c, 1, 1, 5, 2, name="last"))


def samples(graph: Graph, count: int = 64) -> dict[str, np.ndarray]:
    x = np.random.default_rng(4).normal(size=(count, *graph.inputs[0].type.shape))
    return {"x": x.astype(np.float32)}


NETWORKS = [sequential, residual]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", ["int8", "w4a4"])
def test_the_result_becomes_integers_that_equal_it(network, precision):
    graph = network()
    feeds = samples(graph)
    quantized = quantize(graph, feeds, read_precision(precision)).graph
    model = split(run_passes(quantized)[0])
    out = graph.outputs[0]
    np.testing.assert_allclose(model.run(feeds)[out], quantized.run(feeds)[out], rtol=1e-9, atol=1e-9)
    assert all(t.is_integer for t in model.core.types.values())
    assert not any(isinstance(n.op, Conv) for g in (model.before, model.after) for n in g.nodes)


@pytest.mark.parametrize("network", NETWORKS)
def test_eight_bits_keep_30_db_and_four_keep_less(network):
    graph = network()
    found = [quantize(graph, samples(graph), read_precision(p)).report for p in ("int8", "w4a4")]
    assert found[0].outputs[graph.outputs[0]] > 30 > found[1].outputs[graph.outputs[0]] > 8
    assert [r.layer for r in found[0].layers] == [layer.label for layer in layers_of(fold_norms(graph))]


def test_noise_in_the_report_is_that_of_other_samples_too():
    graph = sequential()
    result = quantize(graph, samples(graph), read_precision("int8"))
    fresh = {"x": np.random.default_rng(9).normal(size=(200, 8, 8, 2))}
    out = graph.outputs[0]
    wanted, got = graph.run(fresh)[out], result.graph.run(fresh)[out]
    measured = 10 * np.log10((wanted**2).sum() / ((wanted - got) ** 2).sum())
    assert abs(measured - result.report.outputs[out]) < 3


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


def test_the_last_layer_stays_an_accumulator():
    result = quantize(sequential(), samples(sequential()), read_precision("int8"))
    assert result.report.layers[-1].activations == "accumulator"
    assert quantized_name("fc") not in result.graph.types


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {}, "no samples for input 'x'"),
        (lambda x: {"x": x[:, :4]}, r"has shape \(64, 4, 8, 2\); it must be \(samples, 8, 8, 2\)"),
        (lambda x: {"x": x[0]}, "it must be"),
        (lambda x: {"x": x[:0]}, "holds no sample"),
        (lambda x: {"x": np.where(x > 2, np.nan, x)}, "NaN"),
        (lambda x: {"x": x * 0}, "collapses"),
        (lambda x: {"x": x * 0 + 3}, "'x' is 3 everywhere"),
        (lambda x: {"x": x.astype(str)}, "no numbers"),
        (lambda x: {"x": x * 1e-30}, "collapses|so much alike"),
        (lambda x: {"x": np.repeat(x[:1], 9, axis=0)}, "so much alike"),
        (lambda x: {"x": np.where(x > 2, np.inf, x)}, "infinity"),
    ],
)
def test_bad_calibration_is_refused_in_one_line(change, message):
    with pytest.raises(UserError, match=message) as e:
        quantize(sequential(), change(samples(sequential())["x"]), read_precision("int8"))
    assert "\n" not in str(e.value)


def test_networks_that_cannot_be_quantized():
    n = Net(4)
    with pytest.raises(UserError, match="no product"):
        quantize(n.graph(n.relu("x")), samples(n.graph("x")), read_precision("int8"))
    result = quantize(sequential(), samples(sequential()), read_precision("int8")).graph
    assert is_quantized(result) and not is_quantized(sequential())
    with pytest.raises(UserError, match="quantized already"):
        quantize(result, samples(sequential()), read_precision("int8"))


def test_progress_names_every_layer():
    said: list[str] = []
    quantize(sequential(), samples(sequential()), read_precision("int8"), progress=said.append)
    assert [s for s in said if "depthwise" in s] == ["fitting layer 2 of 3: depthwise"]


def test_each_layer_gets_its_own_format(tmp_path):
    path = tmp_path / "mixed.yaml"
    path.write_text("depthwise: {weights: ternary, activations: uint2}\n'*': {weights: 'posit(8, 0)'}\n")
    result = quantize(sequential(), samples(sequential()), read_precision(str(path)))
    assert [(r.weights, r.activations) for r in result.report.layers] == [
        ("posit(8, 0)", "uint8"), ("ternary", "uint2"), ("posit(8, 0)", "accumulator"),
    ]  # fmt: skip
    formats = [n.op.format for n in result.graph.nodes if isinstance(n.op, Quantize)]
    assert [f.hi for f in formats if isinstance(f, Int)] == [255, 255, 3, 3]
    split(run_passes(result.graph)[0])
