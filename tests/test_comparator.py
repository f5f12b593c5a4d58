"""The comparison of two variables against numbers, all of them where they are small."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import Module, Shape, Signal
from amaranth.sim import Simulator, SimulatorContext

from hw.netlist.comparator import at_least_netlist
from hw.netlist.run import run
from hw.stages.lanes import reached


def bits_of(values: np.ndarray, bits: int) -> np.ndarray:
    return (values[:, None] >> np.arange(bits) & 1).astype(np.uint8)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6])
def test_every_pair(bits: int, signed: bool) -> None:
    low = -(1 << (bits - 1)) * signed
    x, t = np.meshgrid(*[np.arange(low, low + (1 << bits))] * 2)
    inputs = {name: bits_of(v.reshape(-1), bits) for name, v in (("x", x), ("t", t))}
    assert (run(at_least_netlist(bits, signed), inputs)["y"][:, 0] == (x >= t).reshape(-1)).all()


@pytest.mark.parametrize("shapes", [(4, True, 4, True), (5, False, 4, False), (5, False, 4, True), (3, True, 5, False)])
def test_numbers_of_different_kinds(shapes: tuple[int, bool, int, bool]) -> None:
    m, x, t, y = Module(), Signal(Shape(*shapes[:2])), Signal(Shape(*shapes[2:])), Signal()
    m.d.comb += y.eq(reached(m, x, t))

    async def compare(context: SimulatorContext) -> None:
        for a in range(1 << shapes[0]):
            for b in range(1 << shapes[2]):
                context.set(x, a - (1 << shapes[0]) * (shapes[1] and a >= 1 << (shapes[0] - 1)))
                context.set(t, b - (1 << shapes[2]) * (shapes[3] and b >= 1 << (shapes[2] - 1)))
                assert context.get(y) == (context.get(x) >= context.get(t))

    simulator = Simulator(m)
    simulator.add_testbench(compare)
    simulator.run()
