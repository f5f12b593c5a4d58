"""Heaps added up by carry chains over many columns, and the sites that are planned for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.netlist.cells import FALSE, TRUE, Lut, Netlist
from hw.netlist.chains import added
from hw.netlist.cover import chains_of, cover
from hw.netlist.heap import Heap, summed
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
)
def test_the_sum_of_its_bits(bits: Bits, constant: int, width: int, late: int) -> None:
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
    n.output("y", added(n, heap, width))
    x = random_bits(len(inputs))
    assert (number_of(run(n, {"x": x})["y"]) == (x.astype(int) @ weights + constant + 2) % (1 << width)).all()


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


@pytest.mark.parametrize("heights", [[16, 23, 32, 32, 27, 17, 8, 2], [0, 7, 196, 194], [40] * 8], ids=str)
def test_fewer_sites_than_counters_of_four(heights: list[int]) -> None:
    """At most 0.92 of what `summed` takes; half a site a bit that goes is the least there is."""
    found: list[int] = []
    width = len(heights) + 5
    for add in (added, summed):
        n, heap = Netlist(), Heap()
        bits = iter(n.input("x", sum(heights)))
        for power, height in enumerate(heights):
            for _ in range(height):
                heap.add_bit(next(bits), power)
        add(n, heap, width)
        found.append(sites(n))
    assert (sum(heights) - width) / 2 <= found[0] <= 0.92 * found[1]
