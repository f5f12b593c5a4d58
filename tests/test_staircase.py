"""Counts of reached thresholds in look-up tables and carry chains, over every number of the range."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hw.netlist.cells import Netlist
from hw.netlist.matrix import Number
from hw.netlist.run import run
from hw.netlist.staircase import Stairs, count

TIES = {"late": 1, "early": -1, "none": 0}  # every other threshold, where half goes to even


@st.composite
def rows(draw: st.DrawFn) -> list[int]:
    """Thresholds, ascending: as requantization makes them, or any."""
    if draw(st.booleans()):
        return sorted(draw(st.lists(st.integers(-40, 90), min_size=1, max_size=9, unique=True)))
    step, tie = 1 << draw(st.integers(1, 4)), TIES[draw(st.sampled_from(sorted(TIES)))]
    first, odd = draw(st.integers(-30, 30)), draw(st.booleans())
    return [first + k * step + tie * (k % 2 == odd) for k in range(draw(st.integers(1, 17)))]


@settings(deadline=None, max_examples=300)
@given(row=rows(), lo=st.integers(-50, 20), size=st.integers(1, 300))
@example(row=[-18, 3, 12], lo=-7, size=26)  # the third would be reached at 19: half goes to even, one early
def test_a_count_is_right_at_every_number(row: list[int], lo: int, size: int) -> None:
    hi = lo + size
    stairs = Stairs.of(row, lo, hi)
    if not stairs.takes:
        return
    offset, values = stairs.offset(), np.arange(lo, hi + 1)
    n = Netlist()
    width = (hi - offset).bit_length()
    x = Number(tuple(n.input("x", width)), offset, lo, hi)
    n.output("y", count(n, x, stairs))
    bits = (values[:, None] - offset >> np.arange(width) & 1).astype(np.uint8)
    found = run(n, {"x": bits})["y"].astype(np.int64)
    wanted = (values[:, None] >= np.array(stairs.thresholds, np.int64)).sum(1)
    assert (found @ (1 << np.arange(found.shape[1])) == wanted).all()
