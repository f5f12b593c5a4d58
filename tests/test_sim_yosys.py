"""Edge wires keep their names in Verilog that Yosys wrote from Amaranth, so that taps reach them."""

from __future__ import annotations

import numpy as np
from amaranth import Elaboratable, Module, Signal
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, ClockSignal, ResetSignal

from hw.yosys import verilog_from_rtlil
from sim.design import Design, EdgePort, Elements, StreamPort
from sim.stalls import Stalls
from sim.verilator import build
from tests.sim_designs import BEATS, random_frames, words_of

BYTE = Elements(1, 8)


class Register(Elaboratable):
    """A register stage that adds one."""

    def __init__(self) -> None:
        self.i_data, self.i_valid, self.i_ready = Signal(8), Signal(), Signal()
        self.o_data, self.o_valid, self.o_ready = Signal(8), Signal(), Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.i_ready.eq(~self.o_valid | self.o_ready)
        with m.If(self.i_ready):
            m.d.sync += [self.o_valid.eq(self.i_valid), self.o_data.eq(self.i_data + 1)]
        return m


def _accelerator() -> str:
    """Two Registers in a row as a hierarchy, with edge wires and AXI4-Stream ports, in Verilog."""
    m = Module()
    ports = {n: Signal(w, name=n) for n, w in {
        "aclk": 1, "aresetn": 1, "s_axis_tdata": 8, "s_axis_tvalid": 1, "s_axis_tlast": 1, "s_axis_tready": 1,
        "m_axis_tdata": 8, "m_axis_tvalid": 1, "m_axis_tlast": 1, "m_axis_tready": 1,
    }.items()}  # fmt: skip
    m.domains += ClockDomain("sync")
    m.d.comb += [ClockSignal().eq(ports["aclk"]), ResetSignal().eq(~ports["aresetn"])]
    edges = [
        {s: Signal(w, name=f"edge{k}_{s}") for s, w in (("data", 8), ("valid", 1), ("ready", 1))} for k in range(3)
    ]
    for name, edge in (("s_axis_t", edges[0]), ("m_axis_t", edges[2])):
        for signal, wire in edge.items():
            port = ports[name + signal]
            drives = (name[0] == "s") != (signal == "ready")
            m.d.comb += wire.eq(port) if drives else port.eq(wire)
    for k in range(2):
        stage = m.submodules[f"stage{k}"] = Register()
        before, after = edges[k], edges[k + 1]
        m.d.comb += [stage.i_data.eq(before["data"]), stage.i_valid.eq(before["valid"])]
        m.d.comb += [before["ready"].eq(stage.i_ready), stage.o_ready.eq(after["ready"])]
        m.d.comb += [after["data"].eq(stage.o_data), after["valid"].eq(stage.o_valid)]
    count = Signal(range(BEATS))
    m.d.comb += ports["m_axis_tlast"].eq(count == BEATS - 1)
    with m.If(ports["m_axis_tvalid"] & ports["m_axis_tready"]):
        m.d.sync += count.eq(count + 1)
        with m.If(ports["m_axis_tlast"]):
            m.d.sync += count.eq(0)
    return verilog_from_rtlil(rtlil.convert(m, name="accelerator", ports=list(ports.values())))


def test_edges_of_yosys_written_verilog_are_tapped() -> None:
    names = ["x", "stage0", "stage1", "y"]
    edges = tuple(EdgePort(k, names[k], names[k + 1], 8, BEATS, BYTE) for k in range(3))
    port_in, port_out = StreamPort("x", "s_axis", 8, BEATS, BYTE), StreamPort("y", "m_axis", 8, BEATS, BYTE)
    design = Design(_accelerator(), "accelerator", (port_in,), (port_out,), edges)
    x = random_frames(10, 1)
    result = build(design, taps=True).run([words_of(x)], 10, Stalls(4), reset_after=13)
    assert result.edges is not None
    for k in range(3):
        assert np.array_equal(result.edges[k], words_of(x + np.uint8(k)))
