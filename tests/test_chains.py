"""Heaps added up by carry chains over many columns, and the sites that are planned for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.netlist.cells import FALSE, TRUE, Carry, Lut, Netlist
from hw.netlist.chains import added, popcount
from hw.netlist.cover import chains_of, cover
from hw.netlist.heap import Heap
from hw.netlist.run import run
from tests.test_netlist import number_of, random_bits

Bits = list[tuple[int, bool]]


def sites(n: Netlist) -> int:
    return sum(isinstance(cell, Lut) for cell in n.cells)


@settings(deadline=None, max_examples=100)
@given(
    bits=st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=120),
    constant=st.integers(-300, 300),
    width=st.integers(1, 12),
    late=st.integers(0, 40),
    levels=st.sampled_from([2, 3, 4]),
)
def test_the_sum_of_its_bits(bits: Bits, constant: int, width: int, late: int, levels: float) -> None:
    """Some of them later than the others, some of them one net twice, some constant."""
    n, heap = Netlist(), Heap(constant=constant)
    inputs = n.input("x", len(bits) or 1)
    literals = [n.straight(b ^ 1) ^ 1 if k < late else b for k, b in enumerate(inputs)]
    weights = np.zeros(len(inputs), int)
    for k, (power, negative) in enumerate(bits):
        source = 0 if k % 7 == 3 else k
        heap.add([literals[source]], power, sign=-1 if negative else 1)
        weights[source] += (-1 if negative else 1) << power
    heap.add([TRUE, FALSE], 1)
    n.output("y", added(n, heap, width, levels))
    x = random_bits(len(inputs))
    assert (number_of(run(n, {"x": x})["y"]) == (x.astype(int) @ weights + constant + 2) % (1 << width)).all()


@settings(deadline=None, max_examples=30)
@given(heights=st.lists(st.integers(0, 7), min_size=17, max_size=40), levels=st.sampled_from([2, 3, 4]))
def test_no_chain_is_longer_than_the_clock_allows(heights: list[int], levels: float) -> None:
    n, heap, width = Netlist(), Heap(), len(heights) + 3
    inputs = n.input("x", sum(heights) or 1)
    powers = [p for p, height in enumerate(heights) for _ in range(height)]
    for bit, power in zip(inputs, powers):
        heap.add_bit(bit, power)
    n.output("y", added(n, heap, width, levels))
    x = random_bits(len(inputs))
    assert (number_of(run(n, {"x": x})["y"]) == x[:, : len(powers)].astype(int) @ (1 << np.array(powers, int))).all()
    assert all(len(c.select) <= (32 if levels >= 4 else 16) for c in n.cells if isinstance(c, Carry))


@settings(deadline=None)
@given(heights=st.lists(st.integers(0, 40), min_size=1, max_size=8), constant=st.integers(0, 1 << 12))
def test_as_many_sites_as_planned(heights: list[int], constant: int) -> None:
    """But for a few full adders, where bits did not come in time, and what constants save."""
    width = len(heights) + 5
    ones = tuple(constant >> p & 1 for p in range(width))
    n, heap = Netlist(), Heap(constant=constant)
    bits = iter(n.input("x", sum(heights) or 1))
    for power, height in enumerate(heights):
        for _ in range(height):
            heap.add_bit(next(bits), power)
    padded = [*heights, *[0] * 5]
    planned, columns = cover(tuple(h + one for h, one in zip(padded, ones, strict=True)), ones)
    added(n, heap, width)
    assert planned - width - 2 <= sites(n) <= 1.1 * planned + 4
    chains = chains_of(columns, ones)
    assert sum(1 + six for chain in chains for _, six in chain.columns) <= planned


@pytest.mark.parametrize(
    ("heights", "bar"), [([16, 23, 32, 32, 27, 17, 8, 2], 0.58), ([0, 7, 196, 194], 0.59), ([40] * 8, 0.55)], ids=str
)
def test_little_more_than_half_a_site_a_bit_that_goes(heights: list[int], bar: float) -> None:
    """Half a site is the least there is."""
    width = len(heights) + 5
    n, heap = Netlist(), Heap()
    bits = iter(n.input("x", sum(heights)))
    for power, height in enumerate(heights):
        for _ in range(height):
            heap.add_bit(next(bits), power)
    added(n, heap, width)
    assert (sum(heights) - width) / 2 <= sites(n) <= bar * (sum(heights) - width)


@pytest.mark.parametrize("size", [1, 2, 6, 64, 255])
def test_popcount(size: int) -> None:
    n = Netlist()
    n.output("y", popcount(n, n.input("x", size)))
    x = random_bits(size)
    assert (number_of(run(n, {"x": x})["y"]) == x.sum(1)).all()


@pytest.mark.parametrize(("size", "bar"), [(64, 0.60), (256, 0.61), (576, 0.61), (1024, 0.61)])
def test_popcount_of_literals_stays_below_its_bar(size: int, bar: float) -> None:
    n = Netlist()
    popcount(n, n.input("x", size))
    assert sites(n) <= bar * size
