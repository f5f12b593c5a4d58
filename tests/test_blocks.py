"""Compact blocks as small networks through the whole path: equal to an independent execution, and to their RTL."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from codesign.cli import main
from tests.models import Model

SAMPLES, SIMULATED = 20, 4
MOST_TIES = 2  # samples in which a float32 executor may round a tie the other way


def image(m: Model, channels: int, seed: int, *, kernel: int = 1, inputs: int = 0, group: int = 1, x: str = "") -> str:
    """A convolution that keeps the size, quantized after a Relu."""
    pad = kernel // 2
    weights = m.weight(channels, inputs // group, kernel, kernel, seed=seed)
    c = m.add("Conv", x, weights, pads=[pad] * 4, group=group, name=f"conv{seed}")
    return m.quant(m.add("Relu", c), 0.5)


def depthwise_separable(m: Model) -> list[str]:
    x = image(m, 4, 0, inputs=2, x=m.quant("x"))
    x = image(m, 4, 1, kernel=3, inputs=4, group=4, x=x)
    return [image(m, 6, 2, inputs=4, x=x)]


def inverted_residual(m: Model) -> list[str]:
    x = m.quant("x", 0.25, signed=1)
    y = image(m, 4, 0, inputs=2, x=x)
    y = image(m, 4, 1, kernel=3, inputs=4, group=4, x=y)
    y = m.quant(m.add("Conv", y, m.weight(2, 4, 1, 1, seed=2), name="project"), 0.37, signed=1)
    return [m.quant(m.add("Add", x, y, name="shortcut"), 0.3, signed=1)]


def fire(m: Model) -> list[str]:
    s = image(m, 2, 0, inputs=2, x=m.quant("x"))
    wide = [image(m, 4, 1, inputs=2, x=s), image(m, 4, 2, kernel=3, inputs=2, x=s)]
    joined = m.add("Concat", *wide, axis=1, name="expand")
    return [image(m, 3, 3, inputs=8, x=joined)]


def shuffle(m: Model) -> list[str]:
    x = image(m, 6, 0, inputs=2, x=m.quant("x"))
    x = image(m, 6, 1, inputs=6, group=2, x=x)
    parts = m.add("Reshape", x, m.constant([1, 2, 3, 4, 4], np.int64))
    mixed = m.add("Transpose", parts, perm=[0, 2, 1, 3, 4], name="shuffle")
    x = m.add("Reshape", mixed, m.constant([1, 6, 4, 4], np.int64))
    return [image(m, 4, 2, inputs=6, group=2, x=x)]


def crelu(m: Model) -> list[str]:
    c = m.add("Conv", m.quant("x"), m.weight(3, 2, 1, 1), name="conv")
    both = m.add("Concat", m.add("Relu", c), m.add("Relu", m.add("Neg", c)), axis=1, name="crelu")
    return [image(m, 3, 1, inputs=6, x=m.quant(both, 0.5))]


def extremes(m: Model) -> list[str]:
    """The larger of two tensors of one scale, and the smaller of two of different scales after a falling function."""
    a = m.quant(m.add("Conv", m.quant("x"), m.weight(3, 2, 1, 1, seed=1)), 0.5, signed=1)
    b = m.quant(m.add("Conv", m.quant("x"), m.weight(3, 2, 1, 1, seed=2)), 0.5, signed=1)
    c = m.quant(m.add("Conv", m.quant("x"), m.weight(3, 2, 1, 1, seed=3)), 0.37, signed=1)
    larger = m.quant(m.add("Max", a, b, name="larger"), 1.0, signed=1)
    smaller = m.quant(m.add("Neg", m.add("Min", larger, c, name="smaller")), 0.5, signed=1)
    return [m.quant(m.add("Conv", smaller, m.weight(2, 3, 1, 1, seed=4)), 0.5, signed=1)]


def pooled_between(m: Model) -> list[str]:
    """Offsets, factors and slopes of both signs, and averages, without a quantizer between."""
    x = m.add("Conv", m.quant("x"), m.weight(3, 2, 1, 1), m.constant([0.21, -0.37, 0.4]), name="conv")
    x = m.add("Mul", x, m.constant(np.reshape([0.7, -0.4, 1.3], (1, 3, 1, 1))))
    x = m.quant(m.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), 0.11, bits=8, signed=1)
    x = m.add("Conv", x, m.weight(4, 3, 1, 1, seed=1), name="conv1")
    x = m.quant(m.add("PRelu", x, m.constant(np.reshape([0.25, -0.5, 0.0, 1.5], (4, 1, 1)))), 0.2, bits=6, signed=1)
    x = m.add("Relu", m.add("Conv", x, m.weight(2, 4, 1, 1, seed=2), name="conv2"))
    return [m.quant(m.add("GlobalAveragePool", x), 0.1, bits=8)]


def squeeze_and_excite(m: Model) -> list[str]:
    x = image(m, 4, 0, inputs=2, x=m.quant("x"))
    mean = m.quant(m.add("GlobalAveragePool", x), 0.25)
    gate = image(m, 2, 1, inputs=4, x=mean)
    gate = m.add("Conv", gate, m.weight(4, 2, 1, 1, seed=2), name="excite")
    gate = m.quant(m.add("Sigmoid", gate), 1 / 16)
    return [m.quant(m.add("Mul", x, gate, name="scale"), 0.5)]


def rotated_filters(m: Model) -> list[str]:
    """Four rotations of one stored filter."""
    stored = np.random.default_rng(5).normal(size=(1, 2, 3, 3)) * 0.5
    bank = np.concatenate([np.rot90(stored, k, axes=(2, 3)) for k in range(4)])
    w = m.quant(m.constant(bank), 0.125, signed=1, narrow=1)
    c = m.add("Conv", m.quant("x"), w, pads=[1, 1, 1, 1], name="bank")
    return [m.quant(m.add("Relu", c), 0.5)]


def two_ways_out(m: Model) -> list[str]:
    """One branch leaves before the other; the second one joins two earlier tensors."""
    a = image(m, 4, 0, inputs=2, x=m.quant("x"))
    b = image(m, 4, 1, kernel=3, inputs=4, x=a)
    return [b, m.quant(m.add("Sub", a, b), 0.25, signed=1)]


def upsampled(m: Model) -> list[str]:
    """A small map, stretched and joined with the large one."""
    x = image(m, 4, 0, inputs=2, x=m.quant("x"))
    low = image(m, 4, 1, inputs=4, x=m.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))
    scales = m.constant([1, 1, 2, 2])
    up = m.add("Resize", low, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric",
               nearest_mode="floor", name="up")  # fmt: skip
    return [image(m, 2, 2, inputs=8, x=m.add("Concat", x, up, axis=1))]


def transposed(m: Model) -> list[str]:
    """Zeros between the pixels of a tensor whose zero is not code 0, and more padding than the kernel reaches."""
    x = m.quant("x", 0.25, signed=0, zero=3)
    c = m.add("ConvTranspose", x, m.weight(2, 3, 3, 2), strides=[2, 3], pads=[1, 0, 3, 1], output_padding=[1, 0],
              name="spread")  # fmt: skip
    c = m.quant(m.add("Relu", c), 0.5)
    d = m.add("ConvTranspose", c, m.weight(3, 1, 2, 2, seed=1), group=3, dilations=[2, 1], pads=[2, 0, 3, 0])
    return [m.quant(d, 0.5, signed=1)]


def padded(m: Model) -> list[str]:
    """The mirror image, the edge and a constant, around rows, columns and channels."""
    x = m.quant("x", 0.25, signed=0, zero=3)
    x = m.add("Pad", x, m.constant([0, 0, 2, 1, 0, 0, 0, 1], np.int64), mode="reflect", name="mirror")
    x = m.quant(m.add("Conv", x, m.weight(2, 2, 3, 3), name="conv"), 0.5, signed=1)
    x = m.add("Pad", x, m.constant([0, 1, 0, 1, 0, 0, 1, 2], np.int64), mode="edge", name="edge")
    x = m.add("Pad", m.quant(x, 0.5), m.constant([0, 1, 0, -1, 0, 2, 0, 0], np.int64), m.constant(1.0))
    return [image(m, 2, 1, inputs=6, x=x)]


def reduced(m: Model) -> list[str]:
    """Sums, means, maxima and minima over channels, rows, columns and everything."""
    x = image(m, 6, 0, inputs=2, x=m.quant("x", 0.25, zero=3))
    mean = m.quant(m.add("ReduceMean", x, axes=[1], name="over_channels"), 0.25)
    y = m.quant(m.add("Mul", x, mean), 0.5)
    rows = m.add("ReduceSum", y, m.constant([2], np.int64), keepdims=0)
    rows = m.quant(m.add("ReduceMax", rows, axes=[2], keepdims=0), 1.0)
    least = m.quant(m.add("ReduceMin", m.add("Neg", y), axes=[1, 2], name="least"), 0.5, signed=1)
    return [rows, least, m.quant(m.add("ReduceMean", y, axes=[1, 2, 3], keepdims=0), 0.125, bits=6)]


def averaged(m: Model) -> list[str]:
    """Means of windows that reach over the edge, where padding does not count."""
    x = m.quant("x", 0.25, zero=3)
    x = m.add("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="inner")
    x = m.quant(m.add("Conv", m.quant(x, 0.125, bits=6), m.weight(3, 2, 1, 1), name="conv"), 0.5, signed=1)
    return [m.quant(m.add("AveragePool", x, kernel_shape=[3, 2], strides=[2, 3], ceil_mode=1), 0.25, bits=6, signed=1)]


def swish(m: Model) -> list[str]:
    """A function whose parts meet again, and constants of every place."""
    x = image(m, 4, 0, inputs=2, x=m.quant("x"))
    y = m.quant(m.add("Mul", x, m.add("Sigmoid", x), name="swish"), 0.25, signed=1)
    places = np.random.default_rng(2).normal(size=(1, 4, 4, 4))
    y = m.quant(m.add("Add", y, m.constant(places), name="positions"), 0.5, signed=1)
    return [image(m, 3, 1, inputs=4, x=y)]


def matrices(m: Model) -> list[str]:
    """Constant matrices from either side, one for each channel or one for all."""
    x = m.quant("x", 0.25, zero=3)
    y = m.quant(m.add("MatMul", x, m.weight(2, 4, 3), name="of_channels"), 0.5, signed=1)
    return [m.quant(m.add("MatMul", m.weight(2, 4, seed=1), y, name="from_left"), 0.5, signed=1)]


BLOCKS = [
    depthwise_separable, inverted_residual, fire, shuffle, crelu, squeeze_and_excite, rotated_filters, two_ways_out,
    upsampled, transposed, padded, reduced, averaged, swish, matrices, extremes, pooled_between,
]  # fmt: skip


def call(*argv: object) -> None:
    assert main([str(a) for a in argv]) == 0


def independent(path: Path, feeds: dict[str, np.ndarray], outputs: list[str]) -> dict[str, np.ndarray]:
    """By the qonnx package's executor, a sample at a time."""
    model = cleanup_model(ModelWrapper(str(path)))
    given, names = [i.name for i in model.graph.input], [o.name for o in model.graph.output]
    count = len(next(iter(feeds.values())))
    runs = [execute_onnx(model, {k: v[n : n + 1] for k, v in zip(given, feeds.values())}) for n in range(count)]
    return {o: np.concatenate([r[name] for r in runs]) for o, name in zip(outputs, names, strict=True)}


def load(path: Path, outputs: list[str]) -> dict[str, np.ndarray]:
    stored = np.load(path)
    return {outputs[0]: stored} if isinstance(stored, np.ndarray) else dict(stored)


def check(path: Path, feeds: dict[str, np.ndarray], outputs: list[str], folder: Path, capsys) -> None:
    """compile, run against the independent execution (ties aside), simulate with stalls against run."""
    build, xs, few, y, z = (folder / n for n in ("build", "x.npz", "few.npz", "y.npz", "z.npz"))
    np.savez(xs, **feeds)
    np.savez(few, **{k: v[:SIMULATED] for k, v in feeds.items()})
    call("compile", path, "-o", build)
    capsys.readouterr()
    call("run", build, "--inputs", xs, "-o", y, "--ties", "--json")
    ties = set(json.loads(capsys.readouterr().out)["ties"])
    expected, got = independent(path, feeds, outputs), load(y, outputs)
    for name in outputs:
        assert np.ptp(expected[name]) > 0, f"{name} is constant: the block tests nothing"
        close = np.isclose(got[name], expected[name], rtol=1e-5, atol=1e-5).reshape(SAMPLES, -1).all(axis=1)
        differing = set(np.flatnonzero(~close).tolist())
        assert differing <= ties and len(differing) <= MOST_TIES
    call("simulate", build, "--inputs", few, "-o", z, "--stall-seed", 5, "--json")
    assert json.loads(capsys.readouterr().out)["mismatches"] == 0
    for name, value in load(z, outputs).items():
        np.testing.assert_array_equal(value, got[name][:SIMULATED])


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.__name__)
def test_block(block: Callable[[Model], list[str]], tmp_path: Path, capsys) -> None:
    m = Model(1, 2, 4, 4)
    outputs = block(m)
    path = m.save(tmp_path / "block.onnx", *outputs)
    x = np.random.default_rng(3).uniform(-2, 4, (SAMPLES, 2, 4, 4)).astype(np.float32)
    check(path, {"x": x}, outputs, tmp_path, capsys)


def test_several_inputs(tmp_path: Path, capsys) -> None:
    m = Model(1, 2, 4, 4)
    m.inputs.append(m.value("z", 1, 2, 4, 4))
    a, b = image(m, 3, 0, inputs=2, x=m.quant("x")), image(m, 3, 1, kernel=3, inputs=2, x=m.quant("z", 0.5))
    outputs = [m.quant(m.add("Mul", a, b), 0.5), m.quant(m.add("Sub", a, b), 0.25, signed=1)]
    path = m.save(tmp_path / "two.onnx", *outputs)
    rng = np.random.default_rng(4)
    feeds = {k: rng.uniform(-2, 4, (SAMPLES, 2, 4, 4)).astype(np.float32) for k in ("x", "z")}
    check(path, feeds, outputs, tmp_path, capsys)
