"""Random quantized networks (QDQ and QONNX, one and two dimensions): onnx's own evaluator, float graph and integers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.flow import FUSIONS
from codesign.fusion import switched_off
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.check import near_ties, sample_input
from codesign.passes.split import split
from tests.models import Model
from tests.mutation_reference import reference

SAMPLES = 24
BITS = {"int8": (np.int8, -128, 127), "uint8": (np.uint8, 0, 255)}
FUNCTIONS = ("Relu", "Abs", "Sigmoid", "Tanh", "HardSwish", "Elu", "Softplus")
Run = dict[str, np.ndarray]


@dataclass(frozen=True)
class Tensor:
    """A real tensor (channels first, one sample), and about how large its values are."""

    name: str
    shape: tuple[int, ...]
    size: float


class Network:
    """One random network: quantized tensors, and operators between them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.qonnx, self.axes = bool(self.rng.random() < 0.4), int(self.rng.integers(1, 3))
        shape = (1, int(self.rng.integers(1, 5)), *self.rng.integers(3, 7, self.axes).tolist())
        self.model = Model(*shape, opset=20)
        self.live = [self.quantized(Tensor("x", shape, 4.0))]
        if self.rng.random() < 0.4:
            self.model.inputs.append(self.model.value("z", *shape))
            self.live.append(self.quantized(Tensor("z", shape, 4.0)))
        for _ in range(int(self.rng.integers(2, 6))):
            layer = self.one_of(self.conv, self.conv, self.pooled, self.joined, self.joined, self.gated, self.sliced)
            made = layer(self.one_of(*self.live))
            self.live.append(self.quantized(self.function(made)))

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def save(self, path: Path) -> Path:
        """The last tensor and everything that nothing reads are outputs."""
        read = {i for n in self.model.nodes for i in n.input}
        used = [i for i in self.model.inputs if i.name in read]
        self.model.inputs = used
        return self.model.save(path, *(t.name for t in self.live if t.name not in read))

    def quantized(self, x: Tensor) -> Tensor:
        """Scales that share no step; zero points in the middle, odd, and at the end."""
        scale, m = np.float32(x.size * self.rng.uniform(0.6, 1.3)), self.model
        if self.qonnx:
            bits, signed = int(self.rng.integers(3, 9)), int(self.rng.random() < 0.6)
            zero = float(self.rng.integers(-3, 4)) if signed else 0.0
            return Tensor(m.quant(x.name, scale * 2 / 2**bits, bits, signed, zero=zero), x.shape, x.size)
        kind, lo, hi = BITS[self.one_of("int8", "uint8")]
        zero = self.one_of((lo + hi + 1) // 2, int(self.rng.integers(lo + 40, hi - 40)) | 1, lo)
        step, offset = m.constant(scale / 128), m.constant(zero, kind)
        codes = m.add("QuantizeLinear", x.name, step, offset)
        return Tensor(m.add("DequantizeLinear", codes, step, offset), x.shape, x.size)

    def weights(self, *shape: int) -> str:
        values, m = self.rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])), self.model
        channels = (shape[0], *[1] * (len(shape) - 1)) if self.rng.random() < 0.5 else ()
        scale = (np.abs(values).max() / 127 * self.rng.uniform(0.8, 1.3, channels)).astype(np.float32)
        if self.qonnx:
            bits = int(self.one_of(2, 4, 8))
            return m.quant(m.constant(values), scale * 128 / 2 ** (bits - 1), bits, signed=1, narrow=1)
        codes = np.clip(np.rint(values / scale), -127, 127)
        zero = m.constant(np.zeros(scale.size if channels else ()), np.int8)
        step = m.constant(scale.reshape(-1) if channels else scale)
        return m.add("DequantizeLinear", m.constant(codes, np.int8), step, zero, axis=0)

    def conv(self, x: Tensor) -> Tensor:
        kernel = [int(self.rng.integers(1, min(3, d) + 1)) for d in x.shape[2:]]
        pads = [int(self.rng.integers(0, k)) for k in (*kernel, *kernel)]
        strides = [int(self.rng.integers(1, 3)) for _ in kernel]
        groups = x.shape[1] if self.rng.random() < 0.3 else 1
        channels = groups * int(self.rng.integers(1, 4))
        w = self.weights(channels, x.shape[1] // groups, *kernel)
        bias = self.model.constant(self.rng.normal(size=channels))
        y = self.model.add("Conv", x.name, w, bias, group=groups, kernel_shape=kernel, pads=pads, strides=strides)
        ends = zip(x.shape[2:], kernel, pads, pads[self.axes :], strides)
        return Tensor(y, (1, channels, *((d + p + q - k) // s + 1 for d, k, p, q, s in ends)), x.size)

    def pooled(self, x: Tensor) -> Tensor:
        if min(x.shape[2:]) > 2 and self.rng.random() < 0.5:
            two = [2] * self.axes
            y = self.model.add(self.one_of("MaxPool", "AveragePool"), x.name, kernel_shape=two, strides=two)
            return Tensor(y, (*x.shape[:2], *(d // 2 for d in x.shape[2:])), x.size)
        return Tensor(self.model.add("GlobalAveragePool", x.name), (*x.shape[:2], *[1] * self.axes), x.size)

    def sliced(self, x: Tensor) -> Tensor:
        """All but the first along one axis, then padded to the old size with zeros."""
        axis, zeros = int(self.rng.integers(1, len(x.shape))), [0] * len(x.shape)
        if x.shape[axis] == 1:
            return self.conv(x)
        first, last, axes = (self.model.constant([v], np.int64) for v in (1, x.shape[axis], axis))
        after = [int(k == axis) for k in range(len(zeros))]
        cut = self.model.add("Slice", x.name, first, last, axes)
        padded = self.model.add("Pad", cut, self.model.constant(zeros + after, np.int64)) if axis > 1 else cut
        return Tensor(padded, x.shape if axis > 1 else (1, x.shape[1] - 1, *x.shape[2:]), x.size)

    def joined(self, x: Tensor) -> Tensor:
        """With a tensor of the same shape, or with a convolution of itself."""
        others = [t for t in self.live if t.shape == x.shape and t is not x]
        z = self.one_of(*others) if others else self.quantized(self.pointwise(x))
        op = self.one_of("Add", "Sub", "Mul", "Min", "Max", "Concat")
        if op == "Concat":
            joined = self.model.add(op, x.name, z.name, axis=1)
            return Tensor(joined, (1, 2 * x.shape[1], *x.shape[2:]), max(x.size, z.size))
        return Tensor(self.model.add(op, x.name, z.name), x.shape, x.size * z.size if op == "Mul" else x.size + z.size)

    def pointwise(self, x: Tensor) -> Tensor:
        w = self.weights(x.shape[1], x.shape[1], *[1] * self.axes)
        return Tensor(self.model.add("Conv", x.name, w, kernel_shape=[1] * self.axes), x.shape, x.size)

    def gated(self, x: Tensor) -> Tensor:
        """Squeeze and excite."""
        mean = Tensor(self.model.add("GlobalAveragePool", x.name), (*x.shape[:2], *[1] * self.axes), x.size)
        gate = self.model.add("Sigmoid", self.pointwise(self.quantized(mean)).name)
        quantized = self.quantized(Tensor(gate, mean.shape, 1.0))
        return Tensor(self.model.add("Mul", x.name, quantized.name), x.shape, x.size)

    def function(self, x: Tensor) -> Tensor:
        choice, m = self.rng.random(), self.model
        if choice < 0.25:
            return x
        if choice < 0.4:
            return Tensor(m.add("Mul", x.name, m.add("Sigmoid", x.name)), x.shape, x.size)
        if choice < 0.6:
            slopes = m.constant(self.rng.uniform(-0.3, 0.5, (x.shape[1], *[1] * self.axes)))
            return Tensor(m.add("PRelu", x.name, slopes), x.shape, x.size)
        return Tensor(m.add(self.one_of(*FUNCTIONS), x.name), x.shape, x.size)


def agree(found: Run, wanted: Run, tolerance: float) -> np.ndarray:
    """Which samples do."""
    same = np.ones(SAMPLES, dtype=bool)
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        same &= np.isclose(found[name], value, rtol=tolerance, atol=tolerance).reshape(SAMPLES, -1).all(axis=1)
    return same


def evaluated(path: Path, graph: Graph, feeds: Run) -> Run:
    """By onnx, sample by sample."""
    evaluator, doubles = reference(path, graph.outputs), {k: v.astype(np.float64) for k, v in feeds.items()}
    rows: list[Any] = [evaluator.run(None, {k: v[i : i + 1] for k, v in doubles.items()}) for i in range(SAMPLES)]
    return {name: np.concatenate([np.asarray(row[k]) for row in rows]) for k, name in enumerate(graph.outputs)}


def check(seed: int, folder: Path) -> bool:
    """Whether the network has an integer form; asserts that everything that it becomes is equal but for ties."""
    path = Network(seed).save(folder / "m.onnx")
    graph = import_model(path).graph
    feeds = {i.name: sample_input(i, SAMPLES, seed).astype(np.float32) for i in graph.inputs}
    truth, ties = graph.run(feeds), near_ties(graph, feeds)
    assert (agree(evaluated(path, graph, feeds), truth, 1e-7) | ties).all(), f"seed {seed}: onnx"
    for off in ((), ("all",)):
        try:
            network = split(run_passes(graph, switched_off(off, FUSIONS))[0])
        except UserError as e:
            assert str(e).startswith("node '")
            return False
        assert (agree(network.run(feeds), truth, 1e-9) | ties).all(), f"seed {seed}: integers, without {off}"
    return True


def test_random_networks(tmp_path: Path) -> None:
    """Few are refused: functions of numbers that are too many to evaluate."""
    assert sum(check(seed, tmp_path) for seed in range(40)) >= 34


@pytest.mark.slow
def test_many_random_networks(tmp_path: Path) -> None:
    assert sum(check(seed, tmp_path) for seed in range(1000, 1600)) >= 500
