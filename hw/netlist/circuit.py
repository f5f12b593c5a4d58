"""A netlist inside an Amaranth design: an instance of its Verilog module, or for simulation its cells as statements."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from amaranth.hdl import Cat, ClockSignal, Const, EnableInserter, Instance, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.netlist.cells import Carry, Cell, Literal, Lut, Netlist, Register
from hw.netlist.verilog import module, run_bits


class Modules:
    """The platform that asks for instances, and the texts of their modules by name, which go with the design."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def instance(self, stem: str, text: str, ports: Mapping[str, Value]) -> Instance:
        """Of a module written under any name: it gets one by its text, so that equal ones are one."""
        name = f"{stem}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        _, behind = text.split("(", 1)
        self.texts[name] = f"module {name}({behind}"
        return Instance(name, i_aclk=ClockSignal("sync"), **ports)


class Circuit(wiring.Component):
    """Ports as the netlist's inputs and outputs; its registers are in the `sync` domain, never reset.

    `enabled`: they stand still while the port `run` is down, all its bits at once; else they never stop.
    """

    def __init__(self, netlist: Netlist, enabled: bool = False) -> None:
        self.netlist, self.enabled = netlist, enabled
        inputs = {name: In(len(nets)) for name, nets in netlist.inputs.items()} | (
            {"run": In(run_bits(netlist))} if enabled else {}
        )
        super().__init__({**inputs, **{name: Out(len(bits)) for name, bits in netlist.outputs.items()}})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if isinstance(platform, Modules):
            text = module(self.netlist, "netlist", self.enabled)
            m.submodules.netlist = platform.instance("netlist", text, self._pins())
        else:
            cells = Module()
            self._statements(cells)
            m.submodules.cells = EnableInserter(self.run[0])(cells) if self.enabled else cells  # type: ignore[attr-defined]
        return m

    def _pins(self) -> dict[str, Value]:
        ports = {f"i_{name}": getattr(self, name) for name in self.netlist.inputs}
        if self.enabled:
            ports["i_run"] = self.run  # type: ignore[attr-defined]
        return ports | {f"o_{name}": getattr(self, name) for name in self.netlist.outputs}

    def _statements(self, m: Module) -> None:
        nets: dict[int, Value] = {0: Const(0, 1)}
        for name, inputs in self.netlist.inputs.items():
            nets.update(zip(inputs, getattr(self, name), strict=True))
        for cell in self.netlist.cells:
            _add(m, cell, nets)
        for name, bits in self.netlist.outputs.items():
            m.d.comb += getattr(self, name).eq(Cat(_value(nets, bit) for bit in bits))


def _value(nets: dict[int, Value], bit: Literal) -> Value:
    return ~nets[bit >> 1] if bit & 1 else nets[bit >> 1]


def _add(m: Module, cell: Cell, nets: dict[int, Value]) -> None:
    """One cell's outputs."""
    if isinstance(cell, Register):
        nets[cell.output] = held = Signal(reset_less=True)
        m.d.sync += held.eq(nets[cell.input])
    elif isinstance(cell, Lut):
        row = Cat(nets[net] for net in cell.inputs)
        for table, net in zip(cell.tables, cell.outputs, strict=True):
            nets[net] = made = Signal()
            m.d.comb += made.eq(Const(table, 1 << len(cell.inputs)).bit_select(row, 1))
    else:
        _add_carry(m, cell, nets)


def _add_carry(m: Module, cell: Carry, nets: dict[int, Value]) -> None:
    carry: Value = Const(cell.carry_in, 1)
    for k, (select, data) in enumerate(zip(cell.select, cell.data, strict=True)):
        total, following = Signal(), Signal()
        chosen = _value(nets, select)
        m.d.comb += [total.eq(chosen ^ carry), following.eq(Mux(chosen, carry, _value(nets, data)))]
        nets[cell.outputs[k]], carry = total, following
    nets[cell.outputs[-1]] = carry
