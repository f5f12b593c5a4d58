"""The whole programmable logic as Verilog: GP0 slave, HP masters, and the accelerator between them."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib.wiring import connect

from hw.axi.bridge import Bridge
from hw.axi.shell import Port, Shell, refuse_too_many
from hw.axi.signatures import bring_out
from hw.pipeline import Pipeline
from hw.rtl import TOP, port_bits, port_prefixes
from hw.rtlil import to_rtlil
from hw.stream import StreamType
from hw.yosys import verilog_from_rtlil

SYSTEM = "system"


def system_verilog(pipeline: Pipeline, identity: int) -> str:
    """Module `system`, which instantiates module `accelerator` (hw.rtl.verilog); same arguments, same bytes."""
    refuse_too_many(len(pipeline.inputs), len(pipeline.outputs))
    top = System(pipeline, identity)
    return verilog_from_rtlil(to_rtlil(top, SYSTEM, top.ports, None))


def memory_port(s: StreamType) -> Port:
    """How a stream lies in memory."""
    return Port(s.beats, port_bits(s) // 8)


class System(Elaboratable):
    """Pins: aclk, aresetn, irq, s_axi_gp0_*; m_axi_hp{k}_* with channels ar, r of input k and aw, w, b of output k."""

    def __init__(self, pipeline: Pipeline, identity: int) -> None:
        self.pipeline = pipeline
        self.shell = Shell(
            [memory_port(s) for _, s in pipeline.inputs], [memory_port(s) for _, s in pipeline.outputs], identity
        )
        self.bridge = Bridge()
        self.aclk, self.aresetn, self.irq = Signal(name="aclk"), Signal(name="aresetn"), Signal(name="irq")
        self._module = Module()
        self.ports = [self.aclk, self.aresetn, self.irq, *self._pins(self._module)]

    def _pins(self, m: Module) -> list[Signal]:
        shell = self.shell
        pins = bring_out(m, "s_axi_gp0", self.bridge.axi)
        for k in range(len(shell.inputs)):
            pins += bring_out(m, f"m_axi_hp{k}", getattr(shell, f"read{k}"))
        for k in range(len(shell.outputs)):
            pins += bring_out(m, f"m_axi_hp{k}", getattr(shell, f"write{k}"))
        return pins

    def elaborate(self, platform: object) -> Module:
        m = self._module
        m.submodules.bridge, m.submodules.shell = self.bridge, self.shell
        connect(m, self.bridge.lite, self.shell.lite)
        m.domains.sync = sync = ClockDomain("sync")
        m.domains.raw = ClockDomain("raw", reset_less=True)
        reset, awake = Signal(init=1), Signal(init=0)  # registered, because they reach everywhere
        m.d.comb += [sync.clk.eq(self.aclk), ClockSignal("raw").eq(self.aclk), sync.rst.eq(reset)]
        m.d.comb += self.irq.eq(self.shell.irq)
        m.d.raw += [reset.eq(~self.aresetn), awake.eq(self.aresetn & ~self.shell.clear)]
        m.submodules.accelerator = Instance(TOP, i_aclk=self.aclk, i_aresetn=awake, **self._streams(m))
        return m

    def _streams(self, m: Module) -> dict[str, object]:
        """The accelerator's AXI4-Stream pins."""
        pins: dict[str, object] = {}
        inputs, outputs = self.shell.inputs, self.shell.outputs
        for k, prefix in enumerate(port_prefixes("s", len(inputs))):
            s = getattr(self.shell, f"s{k}")
            pins |= {f"i_{prefix}_tdata": s.payload, f"i_{prefix}_tvalid": s.valid, f"o_{prefix}_tready": s.ready}
            pins |= {f"i_{prefix}_tlast": getattr(self.shell, f"ends{k}")}
        for k, prefix in enumerate(port_prefixes("m", len(outputs))):
            s = getattr(self.shell, f"m{k}")
            pins |= {f"o_{prefix}_tdata": s.payload, f"o_{prefix}_tvalid": s.valid, f"i_{prefix}_tready": s.ready}
            pins |= {f"o_{prefix}_tlast": getattr(self.shell, f"last{k}")}
        return pins
