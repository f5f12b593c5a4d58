"""Registers of a netlist keep the clock's levels and the readers of a net, whatever the layer."""

from __future__ import annotations

import pytest

from codesign.formats import Binary, Format, Int
from hw.netlist import fanout, pipeline
from hw.netlist.cells import Carry, Lut, Netlist, Register
from hw.netlist.clock import LEVELS, levels_at, net_ps
from hw.netlist.fanout import MOST_READERS, readers, wide_nets
from hw.netlist.pipeline import pipelined
from hw.netlist.run import run
from hw.netlist.tables import depends
from hw.netlist.verilog import module
from hw.yosys import run_yosys
from tests.miter import MITER
from tests.test_netlist import built, codes, random_layer, samples

CHAIN_BITS = 16  # the longest carry chain of the pipeline rule


def longest_path(netlist: Netlist, ternary: int, chain: float) -> float:
    """Look-up tables and carry chains (each `chain`) on the longest path between registers.

    A ternary adder alone counts `ternary`.
    """
    depth: dict[int, float] = {}
    saved: dict[int, float] = {}  # by look-up table outputs: the depth without the carries that a ternary adder saves
    chains = {bit >> 1 for cell in netlist.cells if isinstance(cell, Carry) for bit in cell.select}
    for cell in netlist.cells:
        if isinstance(cell, Lut):
            for table, output in zip(cell.tables, cell.outputs, strict=True):
                nets = [net for j, net in enumerate(cell.inputs) if depends(table, len(cell.inputs), j)]
                depth[output] = 1 + max((depth.get(net, 0) for net in nets), default=0)
                inner = [net for net in nets if cell.outputs[0] in chains and net in saved]
                saved[output] = 1 + max((depth.get(net, 0) for net in nets if net not in inner), default=0)
        elif isinstance(cell, Carry):
            nets = [bit >> 1 for bit in (*cell.select, *cell.data)]
            whole = chain + max(depth.get(net, 0) for net in nets)
            alone = ternary - 1 + max(saved.get(net, depth.get(net, 0)) for net in nets)
            depth.update(dict.fromkeys(cell.outputs, min(whole, alone) if ternary < 3 else whole))
    return max(depth.values())


def longest_ps(netlist: Netlist, long: float) -> float:
    """Of all paths between registers, with wires `long` times those of a small circuit."""
    late: dict[int, float] = {}
    count = readers(netlist)
    made = {net: cell.outputs for cell in netlist.cells if isinstance(cell, Lut) for net in cell.outputs}

    def arrival(net: int) -> float:
        return late.get(net, pipeline.START_PS) + long * net_ps(count[net])

    for cell in netlist.cells:
        if isinstance(cell, Lut):
            for table, output in zip(cell.tables, cell.outputs, strict=True):
                nets = [net for j, net in enumerate(cell.inputs) if depends(table, len(cell.inputs), j)]
                late[output] = pipeline.LUT_PS + max(map(arrival, nets), default=0)
        elif isinstance(cell, Carry):
            own = {net for bit in cell.select for net in made.get(bit >> 1, ())}  # in the same sites
            nets = [bit >> 1 for bit in (*cell.select, *cell.data) if bit > 1]
            on = pipeline.CHAIN_PS + (pipeline.CHAIN_ON_PS if len(cell.select) > 4 else 0)
            late.update(dict.fromkeys(cell.outputs, on + max(late[k] if k in own else arrival(k) for k in nets)))
    return max(late.values())


def most_readers(netlist: Netlist) -> int:
    count: dict[int, int] = {}
    for cell in netlist.cells:
        if isinstance(cell, Register):
            nets = {cell.input}
        elif isinstance(cell, Lut):
            nets = set(cell.inputs)
        else:
            nets = {bit >> 1 for bit in (*cell.select, *cell.data)}
        for net in nets - {0}:
            count[net] = count.get(net, 0) + 1
    for bits in netlist.outputs.values():
        for bit in bits:
            count[bit >> 1] = count.get(bit >> 1, 0) + 1
    return max(count.values())


@pytest.mark.parametrize("clock_mhz", [most for most, _ in LEVELS])
@pytest.mark.parametrize(("x", "shape"), [(Int(0, 15), (24, 10)), (Binary(), (90, 80))], ids=["codes", "bits"])
def test_every_path_and_every_net_keep_the_rule(clock_mhz: float, x: Format, shape: tuple[int, int]) -> None:
    """Up to 4 levels at 100 MHz (where a chain counts half), 3 at 200, 2 at 250 (a ternary adder 2), and 64 readers."""
    plain = built(random_layer(x, shape, 1, "any", 3), x)
    levels = levels_at(clock_mhz)
    staged, latency = pipelined(plain, levels)
    assert longest_path(staged, 2 if levels == 2 else 3, 0.5 if levels == 4 else 1) <= levels
    assert most_readers(staged) <= MOST_READERS and not wide_nets(staged)
    assert max(len(c.select) for c in staged.cells if isinstance(c, Carry)) <= CHAIN_BITS
    drawn = codes(samples(x, shape[0], 1), x)
    assert (run(staged, {"x": drawn})["y"] == run(plain, {"x": drawn})["y"]).all() and latency > 1


@pytest.mark.parametrize("long", [3.0, 4.0])
def test_long_wires_leave_fewer_levels(long: float) -> None:
    """As if in a far larger circuit: a stage of the clock's levels would take longer than its period."""
    plain = built(random_layer(Int(0, 15), (24, 10), 1, "any", 3), Int(0, 15))
    most = pipeline.Depth(4, 11_000)
    (short, few), (staged, more) = (pipeline._within(plain, most, k) for k in (1.0, long))
    assert longest_ps(short, 1.0) <= most.ps < longest_ps(short, long)
    assert longest_ps(staged, long) <= most.ps and more > few
    drawn = codes(samples(Int(0, 15), 24, 1), Int(0, 15))
    assert (run(staged, {"x": drawn})["y"] == run(plain, {"x": drawn})["y"]).all()


def test_where_registers_run_short_the_period_is_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = built(random_layer(Int(0, 15), (24, 10), 1, "any", 3), Int(0, 15))
    monkeypatch.setattr(pipeline, "stretch", lambda luts: 4.0)
    latencies, slowest = [], []
    for each in (float("inf"), 0):
        monkeypatch.setattr(pipeline, "REGISTERS", each)
        staged, latency = pipelined(plain, 4)
        latencies.append(latency)
        slowest.append(longest_ps(staged, 4.0))
    assert latencies[0] > latencies[1] and slowest[0] <= 11_000 < slowest[1] <= 20_000


def test_the_bits_layer_would_have_wide_nets() -> None:
    """So that the test above tests something."""
    plain = built(random_layer(Binary(), (90, 80), 1, "any", 3), Binary())
    staged, _ = pipelined(plain, 4)
    assert most_readers(plain) > MOST_READERS and any(isinstance(c, Register) and c.copy for c in staged.cells)


def test_copied_registers_in_verilog_are_one_register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proven by SAT over all inputs, on Yosys' models of the primitives; synthesis keeps them apart."""
    monkeypatch.setattr(pipeline, "FEWEST_READERS", 3)
    for where in (fanout, pipeline):
        monkeypatch.setattr(where, "MOST_READERS", 3)
    netlist, latency = pipelined(built(random_layer(Int(0, 3), (3, 6), 3, "any", 1), Int(0, 3)), 3)
    copies = sum(isinstance(c, Register) and c.copy for c in netlist.cells)
    script = f"""
{MITER}sat -verify -prove trigger 0 -seq {latency + 1} -set-init-zero miter
design -reset
read_verilog primitives.v
synth_xilinx -family xc7 -flatten -top primitives
select -assert-count {sum(isinstance(c, Register) for c in netlist.cells)} t:FD*
"""
    files = {"primitives.v": module(netlist, "primitives"), "plain.v": module(netlist, "plain")}
    run_yosys(script, files, timeout_s=300)  # YosysError unless proven
    assert copies > 1
