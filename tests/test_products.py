"""Products of one clock as netlists: sums, sizes, both written forms."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.formats import Binary, Format, Int
from hw.arith.powers import Powers, powers_of
from hw.arith.product import Place, Product
from hw.arith.sums import Sums, product_cost, stored, sums_of
from hw.fitted import fitted
from hw.netlist.run import run
from hw.netlist.verilog import module
from hw.stream import StreamType, pack, words_to_bits
from hw.yosys import run_yosys
from tests.miter import MITER

BINARY, TERNARY = Binary(), Int(-1, 1)
U2, U4, U8, I2, I4, I8 = (Int.of(bits, signed) for signed in (False, True) for bits in (2, 4, 8))
WIDE = 40  # bits of accumulators that never wrap here


def product(x: Format, w: Format, folds: int, neurons: int, synapses: int, banks: int = 1, seed: int = 0) -> Product:
    rng = np.random.default_rng(seed)
    shape = folds, neurons, synapses
    weights = rng.choice([-1, 1], shape) if w == BINARY else rng.integers(w.lo, w.hi + 1, shape)
    return Product(x, w, weights.astype(np.int64), banks)


def bits_of(values: np.ndarray, fmt: Format) -> np.ndarray:
    """(samples, elements) -> their codes' bits as a stream carries them."""
    stream = StreamType(values.shape[1:], fmt, values.shape[1])
    return words_to_bits(pack(values, stream)[:, 0])[:, : stream.beat_bits]


def numbers_of(bits: np.ndarray, formats: tuple[Int, ...]) -> np.ndarray:
    """Bits (samples, all) -> the sums (samples, neurons)."""
    ends = np.cumsum([0, *(f.bits for f in formats)])
    parts = [bits[:, a:b].astype(np.uint64) for a, b in pairwise(ends)]
    codes = [(part << np.arange(part.shape[1], dtype=np.uint64)).sum(1) for part in parts]
    return np.stack([f.to_int(code) for f, code in zip(formats, codes, strict=True)], axis=1)


def found_sums(p: Product, sums: Sums, x: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """What the netlist gives for inputs (samples, lanes) and folds (samples,)."""
    if p.place is not Place.MEMORY:
        inputs = {"x": bits_of(x, p.x)}
        if p.place is not Place.CONSTANT:
            inputs["fold"] = (fold[:, None] >> np.arange(len(sums.netlist.inputs["fold"])) & 1).astype(np.uint8)
        return numbers_of(run(sums.netlist, inputs)["y"], sums.formats)
    banks = x.reshape(len(x), p.banks, -1)
    each = [
        run(
            sums.netlist,
            {
                "x": bits_of(banks[:, k // p.size], p.x),
                "w": bits_of(p.w.encode(p.weights[fold, k]).astype(np.int64), Int.of(p.w.bits, False)),
            },
        )["y"]
        for k in range(p.weights.shape[1])
    ]
    return np.concatenate([numbers_of(y, sums.formats) for y in each], axis=1)


def check(p: Product, seed: int = 0, samples: int = 24) -> None:
    """Sums and what they leave out are the plain product, for the extremes and random inputs."""
    rng = np.random.default_rng(seed)
    shape = samples, p.banks * p.synapses
    x = rng.choice([-1, 1], shape) if p.x == BINARY else rng.integers(p.x.lo, p.x.hi + 1, shape)
    x[0], x[1] = p.x.lo, p.x.hi
    fold = rng.integers(0, len(p.weights), samples)
    sums = sums_of(p, WIDE)
    got = (found_sums(p, sums, x, fold) << p.unit_bits) + p.correction[fold]
    split = np.repeat(x.reshape(samples, p.banks, 1, -1), p.size, axis=2).reshape(samples, -1, p.synapses)
    assert np.array_equal(got, (split * p.weights[fold]).sum(-1))


formats = st.sampled_from([BINARY, TERNARY, U2, U4, I2, I4, Int(2, 5), Int(-5, -1)])


@settings(deadline=None, max_examples=80)
@given(
    x=formats, w=formats, folds=st.sampled_from([1, 2, 3, 4, 5, 8, 9, 33, 64, 65]), banks=st.integers(1, 2),
    size=st.integers(1, 5), synapses=st.integers(1, 20), seed=st.integers(0, 1 << 16),
)  # fmt: skip
def test_sums_and_corrections_are_the_product(
    x: Format, w: Format, folds: int, banks: int, size: int, synapses: int, seed: int
) -> None:  # fmt: skip
    check(product(x, w, folds, banks * size, synapses, banks, seed), seed)


@pytest.mark.parametrize("folds", [1, 4, 8, 32, 100])
@pytest.mark.parametrize("w", [BINARY, I8], ids=str)
def test_wide_products(w: Format, folds: int) -> None:
    check(product(U8, w, folds, 2, 30))


def test_sums_wrap_as_accumulators_do() -> None:
    p = product(BINARY, BINARY, 4, 3, 40)
    x = np.random.default_rng(0).choice([-1, 1], (9, 40))
    fold = np.arange(9) % 4
    assert np.array_equal(found_sums(p, sums_of(p, 3), x, fold), found_sums(p, sums_of(p, WIDE), x, fold) % 8)


@pytest.mark.parametrize(
    ("x", "w", "folds", "place"),
    [
        (BINARY, BINARY, 1, Place.CONSTANT), (U4, I4, 4, Place.CHOSEN), (U4, I4, 5, Place.TABLE),
        (U4, BINARY, 8, Place.CHOSEN), (BINARY, I4, 8, Place.CHOSEN), (BINARY, BINARY, 9, Place.TABLE),
        (U4, I4, 64, Place.TABLE), (U4, I4, 65, Place.MEMORY),
    ],
)  # fmt: skip
def test_few_folds_need_no_memory(x: Format, w: Format, folds: int, place: Place) -> None:
    assert product(x, w, folds, 2, 4).place is place


@pytest.mark.parametrize(
    ("folds", "neurons", "bar"),
    [(2, 16, 0.53), (4, 16, 0.59), (8, 16, 0.84), (32, 4, 1.34), (64, 4, 1.84), (65, 4, 0.84)],
)
def test_sites_of_a_binary_synapse(folds: int, neurons: int, bar: float) -> None:
    """The weights included up to 64 folds: in the gates for nothing, then half a site and one a synapse."""
    p = product(BINARY, BINARY, folds, neurons, 576)
    each = 576 if p.place is Place.MEMORY else 576 * neurons
    assert sums_of(p, WIDE).luts <= bar * each


@pytest.mark.parametrize(
    ("x", "w", "bar"), [(U2, I2, 3.25), (U4, I2, 6.35), (U4, I4, 12.7), (U8, I4, 25.1), (U8, I8, 50.0)], ids=str
)
def test_sites_of_a_product_with_a_signal(x: Format, w: Format, bar: float) -> None:
    assert sums_of(product(x, w, 65, 1, 64), WIDE).luts <= bar * 64


@pytest.mark.parametrize("folds", [1, 2, 4, 5, 8, 20, 64, 65])
@pytest.mark.parametrize(("x", "w"), [(BINARY, BINARY), (U4, BINARY), (BINARY, I4), (U4, I4)], ids=str)
def test_size_is_counted_without_building(x: Format, w: Format, folds: int) -> None:
    """But for what neurons of one fold have in common, which is found only by building them."""
    p = product(x, w, folds, 6, 60)
    built, cost = sums_of(p, WIDE), product_cost(p, WIDE)
    copies = 6 if p.place is Place.MEMORY else 1
    counted = cost.lut / fitted(f"product.{p.place.name.lower()}")  # the share that synthesis leaves
    assert counted == pytest.approx(copies * built.luts, rel={1: 0.6, 2: 0.1}.get(folds, 0.03))


@pytest.mark.parametrize(
    "p",
    [
        product(BINARY, BINARY, 4, 3, 7), product(U2, I4, 3, 2, 4),
        product(U2, I2, 9, 1, 3), product(I2, I2, 65, 1, 4),
    ],
    ids=lambda p: p.place.name,
)  # fmt: skip
def test_primitives_equal_the_plain_expressions(p: Product) -> None:
    """Proven by SAT in Yosys for all inputs and enables, on Yosys' own simulation models of the primitives."""
    sums = sums_of(replace(p, levels=3), WIDE)
    script = f"""
{MITER}sat -verify -prove trigger 0 -seq {sums.latency + 1} -set-init-zero miter
"""
    files = {name: module(sums.netlist, name, enabled=True) for name in ("primitives", "plain")}
    run_yosys(script, {f"{name}.v": text for name, text in files.items()}, timeout_s=120)  # YosysError unless proven
    assert "LUT6_2" in files["primitives"]


# --- powers of two -----------------------------------------------------------------------------------------------


def shifting(x: Format, count: int, zero: bool, folds: int, neurons: int, synapses: int, seed: int = 0) -> Product:
    """Random weights +-2^e with so many exponents, and 0 where `zero`, as they are stored by sign and exponent."""
    rng, w = np.random.default_rng(seed), Powers(count, zero)
    levels = w.to_int(np.arange(1 << w.bits, dtype=np.uint64))
    weights = rng.choice(levels[np.abs(levels) <= w.hi], (folds, neurons, synapses))
    weights[0, 0, 0] = w.hi
    return Product(x, w, weights)


@given(count=st.integers(1, 16), zero=st.booleans())
def test_powers_are_codes_and_back(count: int, zero: bool) -> None:
    w, sizes = Powers(count, zero), 1 << np.arange(count)
    values = np.concatenate([-sizes, sizes, np.zeros(int(zero), int)])
    codes = w.encode(values)
    assert len(np.unique(codes)) == len(values) and codes.max() < 1 << w.bits
    assert w.contains(values) and np.array_equal(w.to_int(codes), values)
    assert powers_of(values) == w and powers_of(np.append(values, 3)) is None
    assert not w.contains(np.array([2 * w.hi])) and zero == w.contains(np.array([0]))


@settings(deadline=None, max_examples=60)
@given(
    x=st.sampled_from([U2, U4, U8, I2, I4, I8, Int(-5, -1)]), count=st.integers(1, 16), zero=st.booleans(),
    folds=st.sampled_from([5, 9, 65]), neurons=st.integers(1, 3), synapses=st.integers(1, 6),
    seed=st.integers(0, 1 << 16),
)  # fmt: skip
def test_shifted_sums_and_corrections_are_the_product(
    x: Format, count: int, zero: bool, folds: int, neurons: int, synapses: int, seed: int
) -> None:  # fmt: skip
    check(shifting(x, count, zero, folds, neurons, synapses, seed), seed)


@pytest.mark.parametrize(("x", "count"), [(U2, 3), (I2, 5)], ids=str)
def test_shifts_equal_the_plain_expressions(x: Format, count: int) -> None:
    test_primitives_equal_the_plain_expressions(shifting(x, count, True, 65, 1, 3))


@pytest.mark.parametrize("folds", [9, 65])
@pytest.mark.parametrize("count", [3, 7, 8, 15])
def test_size_of_shifts_is_counted_without_building(count: int, folds: int) -> None:
    p = shifting(U8, count, True, folds, 4, 16)
    counted = product_cost(p, WIDE).lut / fitted(f"product.{p.place.name.lower()}")
    assert counted == pytest.approx((4 if p.place is Place.MEMORY else 1) * sums_of(p, WIDE).luts, rel=0.03)


def test_weights_are_stored_as_powers_where_that_takes_less() -> None:
    """At most 0.6 of the sites of 8 bit weights, at half the bits; not where one weight is no power of two."""
    p = shifting(U8, 7, True, 65, 1, 16)
    plain = replace(p, w=I8)
    chosen = stored(plain, WIDE)
    assert chosen.w == p.w and p.w.bits == 4
    assert sums_of(chosen, WIDE).luts < 0.6 * sums_of(plain, WIDE).luts
    tables = shifting(U8, 7, True, 16, 4, 1)
    plain = replace(tables, w=I8)
    assert stored(plain, WIDE).w == tables.w and sums_of(tables, WIDE).luts < 0.6 * sums_of(plain, WIDE).luts
    other = replace(plain, weights=np.where(tables.weights == 2, 3, tables.weights))
    assert stored(other, WIDE) is other
