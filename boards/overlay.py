"""The `.hwh` beside a bitstream: what `pynq.Overlay` reads to find the registers, their addresses and the clocks."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from boards.board import Board, Fclk
from hw.axi.registers import Field, Register

# The name under which the overlay has the registers: `Overlay("accelerator.bit").accelerator`.
INSTANCE = "accelerator"
VLNV = "codesign:hw:accelerator:1.0"
BASE_ADDRESS, RANGE_BYTES = 0x43C0_0000, 0x1000  # within what M_AXI_GP0 reaches; one page

_PS = "processing_system7_0"
_SLAVE, _MASTER, _BUS = "s_axi_gp0", "M_AXI_GP0", "gp0"
_AXI = "xilinx.com:interface:aximm:1.0"
_CLOCKS = 4  # FCLK0..3, of which the design uses the first


def hwh(registers: Sequence[Register], board: Board, clock_hz: float) -> str:
    """The overlay's description as XML: the registers at BASE_ADDRESS, and FCLK0 as `board.fclk(clock_hz)` sets it."""
    root = Element("EDKSYSTEM", EDWVERSION="1.2", VIVADOVERSION="none")
    device = board.part[len("xc") : board.part.index(board.package)]
    info = {"ARCH": "zynq", "BOARD": board.name, "DEVICE": device, "NAME": "system", "PACKAGE": board.package}
    SubElement(root, "SYSTEMINFO", info, SPEEDGRADE=board.speed_grade)
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    _accelerator(modules, registers)
    _processing_system(modules, board.fclk(clock_hz))
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _accelerator(modules: Element, registers: Sequence[Register]) -> None:
    module = _module(modules, INSTANCE, VLNV)
    blocks = SubElement(module, "ADDRESSBLOCKS")
    attributes = {"INTERFACE": _SLAVE, "NAME": "reg0", "RANGE": str(RANGE_BYTES), "USAGE": "register"}
    block = SubElement(blocks, "ADDRESSBLOCK", attributes, ACCESS="")
    listed = SubElement(block, "REGISTERS")
    for register in registers:
        _register(listed, register)
    _parameters(module, {"C_BASEADDR": f"{BASE_ADDRESS:#010X}".replace("X", "x")})
    _bus(module, _SLAVE, "SLAVE")


def _register(listed: Element, register: Register) -> None:
    entry = SubElement(listed, "REGISTER", NAME=register.name)
    access = "read-only" if register.access == "read-only" else "read-write"
    _properties(
        entry, DESCRIPTION=register.text, ADDRESS_OFFSET=f"{register.offset:#x}", SIZE="32", ACCESS=access,
        IS_ENABLED="true", RESET_VALUE="0",
    )  # fmt: skip
    fields = SubElement(entry, "FIELDS")
    for f in register.fields or (Field("value", 0, 32, register.text),):
        bits = {"BIT_OFFSET": str(f.low), "BIT_WIDTH": str(f.bits)}
        _properties(SubElement(fields, "FIELD", NAME=f.name), DESCRIPTION=f.text, ACCESS=access, **bits)


def _processing_system(modules: Element, fclk: Fclk) -> None:
    module = _module(modules, _PS, "xilinx.com:ip:processing_system7:5.5")
    parameters: dict[str, str] = {}
    for k in range(_CLOCKS):
        parameters |= _clock(k, fclk if k == 0 else None)
    _parameters(module, parameters)
    _bus(module, _MASTER, "MASTER")
    spans = {"BASEVALUE": BASE_ADDRESS, "HIGHVALUE": BASE_ADDRESS + RANGE_BYTES - 1}
    SubElement(
        SubElement(module, "MEMORYMAP"), "MEMRANGE", {k: f"0x{v:08X}" for k, v in spans.items()},
        ADDRESSBLOCK="reg0", BASENAME="C_BASEADDR", HIGHNAME="C_HIGHADDR", INSTANCE=INSTANCE, IS_DATA="TRUE",
        IS_INSTRUCTION="FALSE", MASTERBUSINTERFACE=_MASTER, MEMTYPE="REGISTER", SLAVEBUSINTERFACE=_SLAVE,
    )  # fmt: skip


def _clock(index: int, fclk: Fclk | None) -> dict[str, str]:
    """PYNQ up to 3.1 takes the divisors, 4.0 a frequency: under a name of another chip, as it has none for this one."""
    set_to, mhz = fclk or Fclk(1, 1, 0.0), f"{fclk.hz / 1e6:.6f}" if fclk else ""
    found = {f"PCW_ACT_FPGA{index}_PERIPHERAL_FREQMHZ": mhz, f"PSU__CRL_APB__PL{index}_REF_CTRL__ACT_FREQMHZ": mhz}
    return {
        f"PCW_FPGA_FCLK{index}_ENABLE": "1" if fclk else "0",
        f"PCW_FCLK{index}_PERIPHERAL_DIVISOR0": str(set_to.divisor0),
        f"PCW_FCLK{index}_PERIPHERAL_DIVISOR1": str(set_to.divisor1),
        f"PCW_FCLK{index}_PERIPHERAL_CLKSRC": "IO PLL",
        **(found if fclk else {}),
    }


def _module(modules: Element, instance: str, vlnv: str) -> Element:
    _, _, name, version = vlnv.split(":")
    names = {"INSTANCE": instance, "FULLNAME": f"/{instance}", "MODTYPE": name, "NAME": name, "VLNV": vlnv}
    fixed = {"COREREVISION": "1", "HWVERSION": version, "IPTYPE": "PERIPHERAL", "IS_ENABLE": "1"}
    return SubElement(modules, "MODULE", names, MODCLASS="PERIPHERAL", **fixed)


def _parameters(module: Element, values: dict[str, str]) -> None:
    """Also the empty list of ports, which readers look for behind it."""
    listed = SubElement(module, "PARAMETERS")
    for name, value in values.items():
        SubElement(listed, "PARAMETER", NAME=name, VALUE=value)
    SubElement(module, "PORTS")


def _properties(entry: Element, **values: str) -> None:
    for name, value in values.items():
        SubElement(entry, "PROPERTY", NAME=name, VALUE=value)


def _bus(module: Element, name: str, kind: str) -> None:
    buses = SubElement(module, "BUSINTERFACES")
    bus = SubElement(buses, "BUSINTERFACE", BUSNAME=_BUS, DATAWIDTH="32", NAME=name, TYPE=kind, VLNV=_AXI)
    SubElement(bus, "PORTMAPS")
