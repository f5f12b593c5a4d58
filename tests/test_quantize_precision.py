"""Number formats for weights, and who gets which."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.errors import UserError
from codesign.quantize.levels import weight_levels
from codesign.quantize.precision import activations, read_precision
from codesign.quantize.weights import nearest_weights

NAMES = ("int4", "int8", "ternary", "binary", "pow2(4)", "csd(8, digits=2)", "fp8_e4m3", "posit(8, 0)")


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
    assert weight_levels(name).members.tolist() == members


def test_csd_counts_signed_digits():
    members = set(weight_levels("csd(8, digits=2)").members.tolist())
    powers = [0] + [s << k for k in range(8) for s in (1, -1)]
    assert members == {a + b for a in powers for b in powers if abs(a + b) <= 127}


def test_fp8_e4m3_ends_at_448():
    levels = weight_levels("fp8_e4m3")
    assert levels.largest == 448 * 512 and len(levels.members) == 253


UNKNOWN = ("int1", "int17", "float", "pow2", "pow2(9)", "csd(8)", "csd(8, 0)", "fp8_e5m3", "int8(", "bfp(8, block=16)")
TOO_WIDE = ("fp8_e5m2", "posit(16, 1)", "posit(12, 3)")


@pytest.mark.parametrize("name", UNKNOWN + TOO_WIDE)
def test_unknown_formats_are_refused_in_one_line(name):
    with pytest.raises(UserError, match="weight format") as e:
        weight_levels(name)
    assert "\n" not in str(e.value)


@given(st.sampled_from(NAMES), st.floats(-300.0, 300.0))
def test_nearest_is_nearest(name, value):
    levels = weight_levels(name)
    found = float(levels.nearest(np.array([value]))[0])
    assert found in levels.members and abs(found - value) == np.abs(levels.members - value).min()


@pytest.mark.parametrize("name", NAMES)
def test_weights_take_levels_with_a_scale_a_channel(name):
    w = np.random.default_rng(1).normal(size=(3, 3, 4, 5)) * np.array([1.0, 0.1, 10.0, 0.0, 3.0])
    found = nearest_weights(w, weight_levels(name))
    assert np.isin(found.codes, found.levels.members).all() and (found.scale > 0).all() and len(found.scale) == 5
    if name != "binary":
        assert not found.real[..., 3].any()


def test_more_bits_err_less():
    w = np.random.default_rng(2).normal(size=(64, 8))
    errors = [((nearest_weights(w, weight_levels(f"int{b}")).real - w) ** 2).mean() for b in (2, 3, 4, 6, 8)]
    assert all(a > 2 * b for a, b in pairwise(errors))


def test_presets_keep_the_input_at_8_bits():
    p = read_precision("w4a4")
    assert p.rule_for("any").weights.name == "int4" and p.rule_for("any").activations.format.hi == 15
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
        ("a: [", "not a YAML file"),
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
    with pytest.raises(UserError, match="cannot read"):
        read_precision(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="no pattern matches layer 'b'"):
        path = tmp_path / "a.yaml"
        path.write_text("a: {weights: int8}")
        read_precision(str(path)).rule_for("b")


def test_activation_formats():
    assert activations("uint8").affine and not activations("int8").affine
    assert (activations("int8").format.lo, activations("int8").format.hi) == (-127, 127)
