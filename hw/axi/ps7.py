"""The top of the chip as Verilog: the processing system's ports (primitive PS7) wired to module `system`."""

from __future__ import annotations

from collections.abc import Iterator

from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.axi.registers import MOST_PORTS
from hw.axi.shell import refuse_too_many
from hw.axi.signatures import GP, HP_ID_BITS, HP_READ, HP_WRITE, axi3_read, axi3_write, both
from hw.axi.system import SYSTEM

CHIP_TOP = "top"
CLOCK_NET, CLOCK_PIN = "fclk0", "ps7/FCLKCLK[0]"  # what a clock constraint names: the net, or the pin that drives it

_SIZE_BITS = 2  # of the PS7's pins; three in AXI3's own numbering, whose codes above 3 no port here needs
_HP = both(HP_READ, HP_WRITE)
_GP_SLAVE = both(axi3_read(HP_ID_BITS, 32), axi3_write(HP_ID_BITS, 32))
_ACP = both(axi3_read(3, 64), axi3_write(3, 64))


def chip_top(inputs: int, outputs: int) -> str:
    """Module `top`, without pins: PS7, clock buffer, reset, and `system` with so many inputs and outputs.

    Every input of the PS7 that has no driver is tied to zero, as by the vendor's wrapper: an open one reads as one.
    """
    refuse_too_many(inputs, outputs)
    used = [("s_axi_gp0", GP)]
    used += [(f"m_axi_hp{k}", _halves(k < inputs, k < outputs)) for k in range(max(inputs, outputs))]
    declared = [f"  wire {_range(_top_bits(prefix, pin, bits))}{pin};" for prefix, pin, bits, _ in _all_pins(used)]
    to_system = [f".{pin}({_system_side(prefix, pin)})" for prefix, pin, _, _ in _all_pins(used)]
    to_ps7 = {_ps7_pin(pin): _ps7_side(prefix, pin) for prefix, pin, _, _ in _all_pins(used)}
    clocks = {f"{port}ACLK": "aclk" for port in ("MAXIGP0", *(f"SAXIHP{k}" for k in range(max(inputs, outputs))))}
    outside = {"FCLKCLK": f"{{fclk_others, {CLOCK_NET}}}", "FCLKRESETN": "fclk_resetn", "IRQF2P": "{19'd0, irq}"}
    ties = {name: f"{bits}'d0" for name, bits in ps7_inputs().items()}
    connected = [f".{name}({net})" for name, net in {**ties, **outside, **clocks, **to_ps7}.items()]
    return _TEXT.format(
        top=CHIP_TOP, system=SYSTEM, wires="\n".join(declared), ps7=",\n    ".join(connected),
        pins=",\n    ".join(to_system), clock=CLOCK_NET,
    )  # fmt: skip


def ps7_inputs() -> dict[str, int]:
    """Every input of primitive PS7 and its width (UG953)."""
    found = dict(_PLAIN)
    for port, axi, master in _PORTS:
        found |= {f"{port}ACLK": 1}
        found |= {
            f"{port}{channel.upper()}{field.upper()}": _SIZE_BITS if field == "size" else bits
            for channel, field, bits, sent in _fields(axi)
            if sent != master
        }
        if not master:  # a quality of service, which no channel of ours has
            found |= {f"{port}ARQOS": 4, f"{port}AWQOS": 4}
    return found


def _halves(reads: bool, writes: bool) -> wiring.Signature:
    """The channels of an HP port that the system has."""
    if reads and writes:
        return _HP
    return HP_READ if reads else HP_WRITE


def _fields(axi: wiring.Signature) -> Iterator[tuple[str, str, int, bool]]:
    """Channel, field, bits, and whether the master sends it; valid and ready among them."""
    for channel, member in axi.members.items():
        sends = member.flow == Out
        yield channel, "valid", 1, sends
        yield channel, "ready", 1, not sends
        for field, layout in member.signature.members["payload"].shape:
            yield channel, field, layout.width, sends


def _all_pins(ports: list[tuple[str, wiring.Signature]]) -> Iterator[tuple[str, str, int, bool]]:
    """Prefix, pin of `system`, bits, and whether the master sends it."""
    for prefix, axi in ports:
        for channel, field, bits, sent in _fields(axi):
            yield prefix, f"{prefix}_{channel}{field}", bits, sent


def _top_bits(prefix: str, pin: str, bits: int) -> int:
    """A net is as wide as what drives it."""
    return _SIZE_BITS if pin.endswith("size") and prefix == "s_axi_gp0" else bits


def _system_side(prefix: str, pin: str) -> str:
    return f"{{1'b0, {pin}}}" if pin.endswith("size") and prefix == "s_axi_gp0" else pin


def _ps7_side(prefix: str, pin: str) -> str:
    return f"{pin}[{_SIZE_BITS - 1}:0]" if pin.endswith("size") and prefix != "s_axi_gp0" else pin


def _ps7_pin(pin: str) -> str:
    """s_axi_gp0_araddr -> MAXIGP0ARADDR, m_axi_hp1_wdata -> SAXIHP1WDATA: the other side of each."""
    side, _, port, signal = pin.split("_")
    return ("M" if side == "s" else "S") + f"AXI{port}{signal}".upper()


def _range(bits: int) -> str:
    return "" if bits == 1 else f"[{bits - 1}:0] "


def _each(prefix: str, count: int, **widths: int) -> dict[str, int]:
    return {f"{prefix}{k}{name}": bits for k in range(count) for name, bits in widths.items()}


# Ports of the PS7: their name, channels, and whether the PS7 is their master.
_PORTS = (
    ("MAXIGP0", GP, True), ("MAXIGP1", GP, True), ("SAXIGP0", _GP_SLAVE, False), ("SAXIGP1", _GP_SLAVE, False),
    *((f"SAXIHP{k}", _HP, False) for k in range(MOST_PORTS)), ("SAXIACP", _ACP, False),
)  # fmt: skip

_PLAIN = {
    **_each("DMA", 4, ACLK=1, DAREADY=1, DRLAST=1, DRVALID=1, DRTYPE=2),
    **_each("EMIOCAN", 2, PHYRX=1),
    **_each("EMIOENET", 2, EXTINTIN=1, GMIICOL=1, GMIICRS=1, GMIIRXCLK=1, GMIIRXDV=1, GMIIRXER=1, GMIITXCLK=1),
    **_each("EMIOENET", 2, MDIOI=1, GMIIRXD=8),
    **_each("EMIOI2C", 2, SCLI=1, SDAI=1),
    **_each("EMIOSDIO", 2, CDN=1, CLKFB=1, CMDI=1, WP=1, DATAI=4),
    **_each("EMIOSPI", 2, MI=1, SCLKI=1, SI=1, SSIN=1),
    **_each("EMIOTTC", 2, CLKI=3),
    **_each("EMIOUART", 2, CTSN=1, DCDN=1, DSRN=1, RIN=1, RX=1),
    **_each("EMIOUSB", 2, VBUSPWRFAULT=1),
    **_each("SAXIHP", MOST_PORTS, RDISSUECAP1EN=1, WRISSUECAP1EN=1),
    "EMIOGPIOI": 64, "EMIOPJTAGTCK": 1, "EMIOPJTAGTDI": 1, "EMIOPJTAGTMS": 1, "EMIOSRAMINTIN": 1,
    "EMIOTRACECLK": 1, "EMIOWDTCLKI": 1, "EVENTEVENTI": 1, "FCLKCLKTRIGN": 4, "FPGAIDLEN": 1,
    "FTMDTRACEINATID": 4, "FTMDTRACEINCLOCK": 1, "FTMDTRACEINDATA": 32, "FTMDTRACEINVALID": 1, "FTMTF2PDEBUG": 32,
    "FTMTF2PTRIG": 4, "FTMTP2FTRIGACK": 4, "DDRARB": 4, "IRQF2P": 20, "SAXIACPARUSER": 5, "SAXIACPAWUSER": 5,
}  # fmt: skip

# The reset comes at once and goes with the clock; it also holds for the first clocks after configuration.
_TEXT = """\
// Generated by codesign. Zynq-7000: the processing system's ports around module `{system}`; clocked by FCLK0.
module {top}();
  (* keep *) wire {clock};
  wire [2:0] fclk_others;
  wire [3:0] fclk_resetn;
  wire aclk, aresetn, irq;
{wires}

  BUFG clock_buffer(.I({clock}), .O(aclk));

  (* ASYNC_REG = "TRUE" *) reg [1:0] awake = 2'b00;
  always @(posedge aclk or negedge fclk_resetn[0])
    if (!fclk_resetn[0]) awake <= 2'b00;
    else awake <= {{awake[0], 1'b1}};
  assign aresetn = awake[1];

  (* keep *) PS7 ps7(
    {ps7});

  {system} logic_system(
    .aclk(aclk),
    .aresetn(aresetn),
    .irq(irq),
    {pins});
endmodule
"""
