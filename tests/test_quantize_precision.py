"""Number formats for weights, and who gets which."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.errors import UserError
from codesign.formats import BlockFloat
from codesign.quantize import quantize
from codesign.quantize.canonical import fold_norms, layers_of
from codesign.quantize.levels import Members
from codesign.quantize.precision import activations, precision_of, read_precision
from codesign.quantize.weight_formats import weight_format
from codesign.quantize.weights import nearest_weights
from tests.quantize_graphs import samples, sequential

NAMES = ("int4", "int8", "ternary", "binary", "pow2(4)", "csd(8, digits=2)", "fp8_e4m3", "fp8_e5m2", "posit(8, 0)")
PLACED = ("uint4", "uint8", "bfp(8, block=16)", "bfp(4, block=5)")  # levels that depend on the place of a weight


def members_of(name: str) -> np.ndarray:
    """The levels of a format that are the same everywhere."""
    levels = weight_format(name).levels
    assert isinstance(levels, Members)
    return levels.members


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("int3", [-3, -2, -1, 0, 1, 2, 3]),
        ("ternary", [-1, 0, 1]),
        ("binary", [-1, 1]),
        ("pow2(3)", [-4, -2, -1, 0, 1, 2, 4]),
        ("csd(5, 1)", [-8, -4, -2, -1, 0, 1, 2, 4, 8]),
        ("fp4_e2m1", [-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12]),
        ("posit(4, 0)", [-16, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 16]),  # quarters
    ],
)
def test_members_of_a_format(name, members):
    assert members_of(name).tolist() == members


def test_csd_counts_signed_digits():
    members = set(members_of("csd(8, digits=2)").tolist())
    powers = [0] + [s << k for k in range(8) for s in (1, -1)]
    assert members == {a + b for a in powers for b in powers if abs(a + b) <= 127}


def test_small_floats_end_where_their_standard_says():
    assert members_of("fp8_e4m3").max() == 448 * 512 and len(members_of("fp8_e4m3")) == 253
    assert members_of("fp8_e5m2").max() == 57344 << 16 and len(members_of("fp8_e5m2")) == 247


def test_full_scale_is_the_largest_level_but_of_posits_that_where_steps_widen():
    for name in ("int8", "fp8_e4m3", "fp4_e2m1", "pow2(4)", "csd(8, 2)", "ternary", "binary"):
        assert weight_format(name).levels.full_scale(np.array([[members_of(name).max()]]))[0] == 1.0
    assert weight_format("posit(8, 2)").levels.full_scale(np.array([[15.0 * 2**24 + 0.0]]))[0] == pytest.approx(
        1, abs=0.1
    )


def test_numbers_in_brackets_go_by_order_or_name():
    assert members_of("csd(8, 2)").tolist() == members_of("csd(digits=2, bits=8)").tolist()
    assert weight_format("bfp(8,16)").levels == weight_format("bfp(8, block=16)").levels
    assert weight_format("int4 per-tensor").per_tensor and not weight_format("int4").per_tensor


UNKNOWN = (
    "int",
    "float",
    "pow2",
    "csd(8)",
    "csd(8, digit=2)",
    "csd(8, bits=8)",
    "bfp(8, 16, 2)",
    "int8(4)",
    "int8(",
    "",
)
NONSENSE = (
    "int1", "int17", "uint1", "pow2(9)", "csd(8, 0)", "csd(8, 9)", "fp8_e5m3", "fp8_e0m7", "bfp(1, 16)", "bfp(8, 0)",
    "posit(1, 0)", "posit(16, 1)", "posit(8, 4)", "posit(12, 3)", "int0", "bfp(8, 9999)",
)  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN + NONSENSE)
def test_unknown_formats_are_refused_in_one_line(name):
    with pytest.raises(UserError, match="known are int2..int16" if name in UNKNOWN else "have|has|spans|are") as e:
        weight_format(name)
    assert "\n" not in str(e.value) and f"weight format '{name}'" in str(e.value)


@given(st.sampled_from(NAMES), st.floats(-300.0, 300.0))
def test_nearest_is_nearest(name, value):
    levels, members = weight_format(name).levels, members_of(name)
    found = float(levels.nearest(np.array([value]), np.zeros(1, np.int64))[0])
    assert found in members and abs(found - value) == np.abs(members - value).min()


@given(st.integers(2, 8), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_block_floats_take_the_least_shift_that_holds_a_block(bits, block, seed):
    rng = np.random.default_rng(seed)
    fmt = BlockFloat(bits, block)
    x = rng.normal(size=(11, 2)) * 2.0 ** rng.integers(-3, 10, (11, 2))
    shifts = fmt.shifts(x)
    codes = fmt.encode(x, shifts)
    got = fmt.to_int(codes, shifts)
    assert codes.max() < 1 << bits and (fmt.encode(got, shifts) == codes).all()
    for k in range(0, 11, block):
        s, part = shifts[k : k + block], x[k : k + block]
        assert (s == s[0]).all() and s.min() >= 0 and s.max() <= fmt.MOST_SHIFT
        held = np.rint(np.abs(part) / 2.0**s).max(axis=0) <= fmt.mantissa.hi
        assert (held | (s[0] == fmt.MOST_SHIFT)).all()
        tight = np.rint(np.abs(part) / 2.0 ** (s - 1.0)).max(axis=0) > fmt.mantissa.hi
        assert (tight | (s[0] == 0)).all()
        error = np.abs(got[k : k + block] - part)
        assert (error[:, held] <= 2.0 ** s[:, held] / 2).all()


@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_affine_weights_span_a_column_and_hold_zero(bits, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(rng.uniform(-2, 2), 1.0, (40, 3))
    found = nearest_weights(w, weight_format(f"uint{bits}"))
    low = found.local[0]
    assert (low <= 0).all() and (low + 2**bits > 0).all() and (found.local == low).all()
    assert (found.codes >= low).all() and (found.codes < low + 2**bits).all()


def test_affine_weights_err_less_where_they_lean_to_one_side():
    w = np.abs(np.random.default_rng(1).normal(size=(100, 4)))
    errors = [((nearest_weights(w, weight_format(f)).real - w) ** 2).mean() for f in ("int4", "uint4")]
    assert errors[1] < 0.3 * errors[0]


def test_one_scale_for_a_tensor_errs_more():
    w = np.random.default_rng(1).normal(size=(100, 4)) * [1, 2, 4, 8]
    found = [nearest_weights(w, weight_format(f)) for f in ("int4", "int4 per-tensor")]
    assert len(set(found[1].scale)) == 1 < len(set(found[0].scale))
    errors = [((f.real - w) ** 2).mean() for f in found]
    assert errors[0] < errors[1] < 10 * errors[0]


@pytest.mark.parametrize("name", NAMES + PLACED)
def test_weights_take_levels_with_a_scale_a_channel(name):
    w = np.random.default_rng(1).normal(size=(3, 3, 4, 5)) * np.array([1.0, 0.1, 10.0, 0.0, 3.0])
    fmt = weight_format(name)
    found = nearest_weights(w, fmt)
    assert (found.codes == fmt.levels.nearest(found.codes, found.local)).all()
    assert (found.scale > 0).all() and len(found.scale) == 5
    if name != "binary":
        assert not found.real[..., 3].any()


def test_more_bits_err_less():
    w = np.random.default_rng(2).normal(size=(64, 8))
    errors = [((nearest_weights(w, weight_format(f"int{b}")).real - w) ** 2).mean() for b in (2, 3, 4, 6, 8)]
    assert all(a > 2 * b for a, b in pairwise(errors))


@pytest.mark.parametrize(("name", "weights", "bits"), [("w4a4", "int4", 4), ("int8", "int8", 8), ("w1a2", "binary", 2)])
def test_presets_keep_the_input_at_8_bits(name, weights, bits):
    p = read_precision(name)
    assert p.rule_for("any").weights.name == weights and p.rule_for("any").activations.format.bits == bits
    assert p.inputs.format.hi == 255


def test_a_file_gives_each_layer_its_first_match(tmp_path):
    path = tmp_path / "mixed.yaml"
    path.write_text("'fc*': {weights: ternary, activations: uint4}\n'*': {weights: 'pow2(4)'}\ninputs: int8\n")
    p = read_precision(str(path))
    assert p.rule_for("fc2").weights.name == "ternary" and p.rule_for("conv").weights.name == "pow2(4)"
    assert p.rule_for("conv").activations.name == "uint8" and not p.inputs.affine
    p.check_used(["fc1", "conv"])
    with pytest.raises(UserError, match=r"'fc\*' matches no layer"):
        p.check_used(["conv"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "must map layer patterns"),
        ("'*': int8", "an entry is"),
        ("'*': {weight: int8}", "an entry is"),
        ("'*': {weights: int99}", "'\\*': weight format 'int99'"),
        ("'*': {activations: ternary}", "activation format 'ternary' is unknown"),
        ("'*': {weights: [int8]}", "weight format '\\['int8'\\]' is unknown"),
        ("a: [", "not a YAML file"),
        ("a: {weights: int8}\n'*': {weights: int8}\na: {weights: int4}", "'a' stands there twice"),
        ("inputs: int8", "must map layer patterns"),
        ("inputs: int99\n'*': {weights: int8}", "'inputs': activation format 'int99'"),
    ],
)
def test_faulty_files(tmp_path, text, message):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_precision(str(path))


def test_unknown_precisions_and_missing_files(tmp_path):
    with pytest.raises(UserError, match="precision 'int5' is unknown; give int8"):
        read_precision("int5")
    with pytest.raises(UserError, match=r"w99a8, .*weight format 'int99'"):
        read_precision("w99a8")
    with pytest.raises(UserError, match="cannot read"):
        read_precision(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="no pattern matches layer 'b'"):
        path = tmp_path / "a.yaml"
        path.write_text("a: {weights: int8}")
        read_precision(str(path)).rule_for("b")


def test_activation_formats():
    assert activations("uint8").affine and not activations("int8").affine
    assert (activations("int8").format.lo, activations("int8").format.hi) == (-127, 127)


@pytest.mark.parametrize("name", (*NAMES, *PLACED, "posit(8, 2)", "fp4_e2m1", "int4 per-tensor"))
def test_the_graph_holds_the_quantized_weights_exactly(name):
    """As integers of the fewest bits, whatever power of two they share."""
    graph = sequential()
    precision = precision_of("p", f"'*': {{weights: '{name}'}}")
    found = quantize(graph, samples(graph), precision, steps=()).graph
    for layer in layers_of(fold_norms(graph)):
        wanted = nearest_weights(fold_norms(graph).constants[layer.weights], weight_format(name))
        codes = found.by_name[layer.weights].inputs[0]
        integers = found.constants[codes].astype(np.int64)
        assert np.array_equal(found.types[codes].to_real(integers), wanted.real)
        assert np.bitwise_or.reduce(np.abs(integers), axis=None) & 1
