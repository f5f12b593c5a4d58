"""Every weight format on its way: integer emulator, RTL and simulation, against plain arithmetic in float64.

A convolution, ReLU and a dense layer in each format, side by side in one design: one C++ build a circuit. That the
weights are of their format is checked by definitions written here once more, not by the quantizer's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign import serialize
from codesign.cli import main
from codesign.flow import Build
from codesign.formats import Int, of_values
from codesign.graph import Graph
from codesign.quantize.weight_formats import weight_format
from codesign.quantize.weights import nearest_weights
from hw.arith.product import Place, Product
from hw.arith.sums import stored, sums_of
from hw.pipeline import Pipeline
from hw.stages.matvec import MatVec
from hw.stages.unrolled import Unrolled
from tests.models import Model

SAMPLES = 60
ACTIVATIONS, HIGHEST = "uint3", 7


@dataclass(frozen=True)
class Circuit:
    """What the compiler is told, the outputs of the dense layer, and places where weights must then be."""

    arguments: tuple[str, ...]
    classes: int
    places: frozenset[Place]


CIRCUITS = {
    "unrolled": Circuit(("--style", "unrolled"), 2, frozenset()),
    "folded": Circuit(("--style", "folded"), 3, frozenset({Place.CHOSEN})),
    "one at a time": Circuit(("--style", "folded", "--target-fps", "1e6"), 17, frozenset({Place.TABLE, Place.MEMORY})),
}


# --- the formats' definitions ----------------------------------------------------------------------------------


def signed(positive: list[float]) -> set[float]:
    return {0.0, *positive, *(-p for p in positive)}


def integers(bits: int) -> set[float]:
    return signed([float(k) for k in range(1, 1 << (bits - 1))])


def signed_digits(bits: int, digits: int) -> set[float]:
    """Sums of so many powers of two with a sign."""
    sums = {0.0}
    for _ in range(digits):
        sums |= {s + sign * 2.0**k for s in sums for k in range(bits) for sign in (-1, 1)}
    return sums


def small_floats(exponent: int, mantissa: int, largest: float) -> set[float]:
    """With subnormals, no infinities: significand times power of two."""
    significands = [(0, k) for k in range(1 << mantissa)]
    significands += [(e - 1, k + (1 << mantissa)) for e in range(1, 1 << exponent) for k in range(1 << mantissa)]
    unit = 2.0 ** (1 - ((1 << (exponent - 1)) - 1) - mantissa)
    return {v for v in signed([unit * k * 2.0**e for e, k in significands]) if abs(v) <= largest}


def posits(bits: int, es: int) -> set[float]:
    """The values between two posits of fewer bits: arithmetic means, or geometric ones where exponents are cut off."""
    values = [2.0 ** (-((bits - 2) << es)), 1.0, 2.0 ** ((bits - 2) << es)]
    known = [0.0, 1.0, np.inf]
    for size in range(3, bits + 1):
        ends = {0.0: values[0] * 2.0 ** ((bits - size) << es), np.inf: values[2] / 2.0 ** ((bits - size) << es)}
        between = []
        for low, high in pairwise(known):
            if low == 0.0 or high == np.inf:
                between.append(ends[low] if low == 0.0 else ends[high])
            else:
                between.append(np.sqrt(low * high) if high / low > 2 else (low + high) / 2)
        known = sorted([*known, *between])
    return signed([float(v) for v in known[1:-1]])


SETS = {
    "binary": {-1.0, 1.0},
    "ternary": signed([1.0]),
    **{f"int{bits}": integers(bits) for bits in (2, 3, 4, 6, 8, 12, 16)},
    "pow2(4)": signed([2.0**k for k in range(7)]),
    "csd(8, digits=2)": signed_digits(8, 2),
    "fp8_e4m3": small_floats(4, 3, 448.0),
    "fp8_e5m2": small_floats(5, 2, 57344.0),
    "fp6_e3m2": small_floats(3, 2, 28.0),
    "posit(8, 0)": posits(8, 0),
}
BLOCK, MANTISSA = 4, 127


def affine(codes: np.ndarray) -> bool:
    """(K, N): of every column, sixteen integers in a row, 0 among them."""
    return bool((np.maximum(codes.max(0), 0) - np.minimum(codes.min(0), 0) <= 15).all())


def in_blocks(codes: np.ndarray) -> bool:
    """(K, N): of every block of inputs, mantissas of 8 bits and one shift."""
    blocks = [codes[k : k + BLOCK].reshape(-1, codes.shape[1]) for k in range(0, len(codes), BLOCK)]
    units = [np.bitwise_or.reduce(np.abs(b), axis=0) for b in blocks]
    return all((np.abs(b) <= MANTISSA * (u & -u)).all() for b, u in zip(blocks, units, strict=True))


PLACED = {"uint4": affine, f"bfp(8, block={BLOCK})": in_blocks}
FORMATS = (*SETS, *PLACED)


def belongs(codes: np.ndarray, name: str) -> bool:
    """Whether weights (K, N) are of the format, for some power of two that they have in common."""
    if name in PLACED:
        return PLACED[name](codes)
    found = np.unique(codes).astype(np.float64)
    return any(set((found * 2.0**k).tolist()) <= SETS[name] for k in range(-24, 24))


# --- the networks ----------------------------------------------------------------------------------------------


def network(folder: Path, classes: int) -> Path:
    """One output a format."""
    m, rng, outputs = Model("batch", 2, 3, 3), np.random.default_rng(0), []

    def normal(*shape: int) -> str:
        return m.constant(rng.normal(size=shape))

    for k in range(len(FORMATS)):
        c = m.add("Relu", m.add("Conv", "x", normal(2, 2, 2, 2), normal(2), name=f"conv_{k}"))
        flat = m.add("Flatten", c, axis=1)
        outputs.append(m.add("Gemm", flat, normal(8, classes), normal(classes), name=f"fc_{k}"))
    rows = [f"{layer}_{k}: {{weights: '{f}', activations: {ACTIVATIONS}}}\n" for k, f in enumerate(FORMATS)
            for layer in ("conv", "fc")]  # fmt: skip
    (folder / "p.yaml").write_text("".join(rows) + f"inputs: {ACTIVATIONS}\n")
    np.save(folder / "x.npy", rng.normal(size=(SAMPLES, 2, 3, 3)).astype(np.float32))
    return m.save(folder / "net.onnx", *outputs)


@dataclass(frozen=True)
class Ran:
    """A circuit's design, and what its simulation gave, by output."""

    pipeline: Pipeline
    source: Graph
    x: np.ndarray
    y: dict[str, np.ndarray]
    mismatches: int


@pytest.fixture(scope="module", params=["unrolled", "one at a time", pytest.param("folded", marks=pytest.mark.slow)])
def ran(request, tmp_path_factory) -> tuple[Circuit, Ran]:
    """Compiled (siblings apart, each with its own weights) and simulated under stalls."""
    circuit, folder = CIRCUITS[request.param], tmp_path_factory.mktemp("formats")
    build, x, y = folder / "b", folder / "x.npy", folder / "y.npz"
    told = ["--calibration", x, "--precision", folder / "p.yaml", "--without", "rounding", "--no-fuse", "horizontal"]
    call("compile", network(folder, circuit.classes), "-o", build, *told, *circuit.arguments)
    shown = folder / "shown.json"
    with shown.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", file)
        call("simulate", build, "--inputs", x, "-o", y, "--stall-seed", 5, "--json")
    mismatches = json.loads(shown.read_text())["mismatches"]
    source = serialize.load(build / "source.npz")
    return circuit, Ran(Build.open(build).pipeline, source, np.load(x), dict(np.load(y)), mismatches)


def call(*argv: object) -> None:
    assert main([str(a) for a in argv]) == 0


@dataclass(frozen=True)
class Layer:
    """Integers (K, N) of the weights, their scale and the bias, both (N,) and real."""

    codes: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


def layers_of(graph: Graph, output: str) -> list[Layer]:
    """The layers on the way to an output."""
    name, found = output, list[Layer]()
    while name in graph.by_name:
        node = graph.by_name[name]
        if node.op.__class__.__name__ == "Add":
            product = graph.by_name[node.inputs[0]]
            codes = graph.by_name[product.inputs[1]].inputs[0]
            w = graph.constants[codes].astype(np.int64)
            scale = np.asarray(graph.types[codes].scale)
            found.insert(0, Layer(w.reshape(-1, w.shape[-1]), scale, graph.constants[node.inputs[1]]))
            name = product.inputs[0]
        else:
            name = node.inputs[0]
    return found


def steps_of(graph: Graph, output: str) -> list[tuple[float, int]]:
    """Scale and zero point of the quantizers on the way to an output."""
    name, found = output, list[tuple[float, int]]()
    while name in graph.by_name:
        node = graph.by_name[name]
        if node.op.__class__.__name__ == "Quantize":
            op: Any = node.op
            found.insert(0, (op.scale[0], op.zero_point[0]))
        product = node.op.__class__.__name__ == "Add"
        name = node.inputs[0]
        name = graph.by_name[name].inputs[0] if product else name
    return found


def evaluated(ran: Ran, output: str) -> np.ndarray:
    """The codes of an output in float64: quantized real numbers through real weights, rounded once at the end."""
    (first, second), (s_x, s_h) = layers_of(ran.source, output), steps_of(ran.source, output)
    x = quantized(ran.x.astype(np.float64).transpose(0, 2, 3, 1), *s_x)
    taps = [x[:, r : r + 2, c : c + 2].reshape(SAMPLES, -1) for r in range(2) for c in range(2)]
    image = np.stack([t @ (first.codes * first.scale) + first.bias for t in taps], axis=-1)  # (samples, filter, place)
    hidden = quantized(np.maximum(image, 0).reshape(SAMPLES, -1), *s_h)
    return hidden @ (second.codes * second.scale) / (second.scale * s_h[0])


def quantized(x: np.ndarray, scale: float, zero: int) -> np.ndarray:
    return (np.clip(np.rint(x / scale) + zero, 0, HIGHEST) - zero) * scale


@pytest.mark.parametrize("name", FORMATS)
def test_emulator_rtl_and_simulation_give_the_codes_of_plain_arithmetic(ran, name):
    circuit, run = ran
    output = run.source.outputs[FORMATS.index(name)]
    first, second = layers_of(run.source, output)
    assert belongs(first.codes, name) and belongs(second.codes, name)
    assert run.mismatches == 0  # every word of the RTL is the emulator's
    codes = (run.y[output] - second.bias) / (second.scale * steps_of(run.source, output)[1][0])
    wanted = evaluated(run, output)
    np.testing.assert_allclose(codes, np.rint(codes), atol=0.01)
    np.testing.assert_array_equal(np.rint(codes), np.rint(wanted))
    assert len(np.unique(codes)) > 2 * circuit.classes


def test_the_circuits_are_those_meant(ran):
    circuit, run = ran
    found = {p.stage.folded.product.place for p in run.pipeline.stages if isinstance(p.stage, MatVec)}
    gates = [p for p in run.pipeline.stages if isinstance(p.stage, Unrolled)]
    assert circuit.places <= found and len(gates) == (0 if circuit.places else 2 * len(FORMATS))


# --- what shifts save ------------------------------------------------------------------------------------------


def luts(name: str, folds: int) -> int:
    """Of products of uint8 with the same 16 by 8 random weights in a format, as constants or chosen from folds."""
    codes = nearest_weights(np.random.default_rng(0).normal(size=(16, 8)), weight_format(name)).codes.astype(np.int64)
    codes //= int(np.gcd.reduce(codes, axis=None))  # as integers of the fewest bits
    weights = codes.reshape(folds, -1, 8).swapaxes(1, 2)
    return sums_of(stored(Product(Int.of(8, signed=False), of_values(codes), weights), 24), 24).luts


@pytest.mark.parametrize("folds", [1, 4])
def test_shifts_and_few_digits_cost_less_than_integers_as_wide(folds):
    """Powers of two up to 64 and sums of two, beside all integers up to 127: where gates know the weights."""
    integers, digits, powers = (luts(name, folds) for name in ("int8", "csd(8, digits=2)", "pow2(4)"))
    assert powers < 0.6 * integers and digits < 0.95 * integers


def test_shifts_cost_less_where_weights_are_in_tables():
    assert luts("pow2(4)", 16) < 0.4 * luts("int8", 16)
