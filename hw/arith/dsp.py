"""Chains of DSP48E1: instances for synthesis, plain expressions for all else; every register of the slice in use.

`run` gates all registers. A multiplier's operands are registered, then the product, then the sum: `PRODUCT_CLOCKS`.
"""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.packing import FACTOR_BITS, SUM_BITS, WORD_BITS
from hw.netlist.circuit import Modules
from hw.netlist.verilog import PRIMITIVES

PRODUCT_CLOCKS = 2  # from a multiplier's operands to its product


class Cascade(wiring.Component):
    """p = offset + sum over k of a[k] * b[k] as they were length + 2 - k clocks ago, by `length` slices in a row.

    a, b: signed operands of every slice beside each other, the first lowest.
    """

    run: Signal
    a: Signal
    b: Signal
    p: Signal

    def __init__(self, length: int, offset: int) -> None:
        self.length, self.offset = length, offset
        ports = {"a": In(length * WORD_BITS), "b": In(length * FACTOR_BITS), "p": Out(SUM_BITS)}
        super().__init__({"run": In(1), **ports})

    @property
    def latency(self) -> int:
        """Clocks from the first slice's operands to the sum."""
        return PRODUCT_CLOCKS + self.length

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if isinstance(platform, Modules):
            ports = {"i_run": self.run, "i_a": self.a, "i_b": self.b, "o_p": self.p}
            m.submodules.slices = platform.instance("dsp_cascade", _cascade(self.length, self.offset), ports)
            return m
        total: Value = Const(self.offset, SUM_BITS)
        with m.If(self.run):
            for k in range(self.length):
                word, factor = self.a.word_select(k, WORD_BITS), self.b.word_select(k, FACTOR_BITS)
                total = _added(m, _product(m, word, factor), total)
        m.d.comb += self.p.eq(total)
        return m


class Accumulator(wiring.Component):
    """p += a * b of three clocks ago where `go`; p = start + that where `first`. They and `start` come a clock before.

    So `go` loads p a clock after it was up; `start` and `first` are registered in the slice.
    """

    run: Signal
    a: Signal
    b: Signal
    first: Signal
    start: Signal
    go: Signal
    p: Signal

    def __init__(self) -> None:
        operands = {"a": In(WORD_BITS), "b": In(FACTOR_BITS), "first": In(1), "start": In(SUM_BITS)}
        super().__init__({"run": In(1), **operands, "go": In(1), "p": Out(SUM_BITS)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if isinstance(platform, Modules):
            names = ("run", "a", "b", "first", "start", "go")
            ports = {f"i_{name}": getattr(self, name) for name in names} | {"o_p": self.p}
            m.submodules.slice = platform.instance("dsp_accumulator", _ACCUMULATOR, ports)
            return m
        total, begin, first = Signal(SUM_BITS), Signal(SUM_BITS), Signal()
        with m.If(self.run):
            product = _product(m, self.a, self.b)
            m.d.sync += [begin.eq(self.start), first.eq(self.first)]
            with m.If(self.go):
                m.d.sync += total.eq(Mux(first, begin, total) + product)
        m.d.comb += self.p.eq(total)
        return m


def _product(m: Module, a: Value, b: Value) -> Signal:
    """Of signed operands, PRODUCT_CLOCKS later."""
    word, factor = Signal(len(a), reset_less=True), Signal(len(b), reset_less=True)
    product = Signal(len(a) + len(b), reset_less=True)
    m.d.sync += [word.eq(a), factor.eq(b), product.eq(word.as_signed() * factor.as_signed())]
    return product


def _added(m: Module, product: Signal, to: Value) -> Signal:
    total = Signal(SUM_BITS, reset_less=True)
    m.d.sync += total.eq(product.as_signed() + to)
    return total


# --- the same as Verilog -----------------------------------------------------------------------------------------


_CHOICE = f"{PRIMITIVES}\n`ifdef CODESIGN_PRIMITIVES\n"
_SET = (
    "AREG(1), .ACASCREG(1), .BREG(1), .BCASCREG(1), .MREG(1), .PREG(1), .ADREG(0), .DREG(0), .INMODEREG(0), "
    '.ALUMODEREG(0), .CARRYINREG(0), .CARRYINSELREG(0), .USE_DPORT("FALSE")'
)
_OFF = (
    "CARRYIN(1'b0), .CARRYINSEL(3'b0), .CARRYCASCIN(1'b0), .MULTSIGNIN(1'b0), .INMODE(5'b0), .ALUMODE(4'b0), "
    ".D(25'b0), .ACIN(30'b0), .BCIN(18'b0), .CEAD(1'b0), .CED(1'b0), .CEINMODE(1'b0), .CEALUMODE(1'b0), "
    ".CECARRYIN(1'b0), .RSTA(1'b0), .RSTB(1'b0), .RSTC(1'b0), .RSTD(1'b0), .RSTM(1'b0), .RSTP(1'b0), "
    ".RSTCTRL(1'b0), .RSTALLCARRYIN(1'b0), .RSTALUMODE(1'b0), .RSTINMODE(1'b0)"
)  # fmt: skip
_ON = "CLK(aclk), .CEA1(1'b0), .CEA2(run), .CEB1(1'b0), .CEB2(run), .CEM(run)"


def _cascade(length: int, offset: int) -> str:
    """Text of a Cascade's module."""
    lines = [
        f"module @name@(input aclk, input run, input [{length * WORD_BITS - 1}:0] a, "
        f"input [{length * FACTOR_BITS - 1}:0] b, output [{SUM_BITS - 1}:0] p);",
        _CHOICE + "\n".join(_slice(k, offset) for k in range(length)), f"assign p = p{length - 1};",
        "`else", *(_plain(k, offset) for k in range(length)), f"assign p = p{length - 1};", "`endif", "endmodule",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _slice(k: int, offset: int) -> str:
    """The k-th slice: the first one adds the constant at its C, the others what comes from the one before."""
    z, pcin, c = ("3'b011", "48'b0", f"48'd{offset}") if k == 0 else ("3'b001", f"c{k - 1}", "48'b0")
    word, factor = _part("a", k, WORD_BITS), _part("b", k, FACTOR_BITS)
    return (
        f"wire [47:0] p{k}, c{k};\n"
        f"DSP48E1 #(.CREG(0), .OPMODEREG(0), .{_SET})\n"
        f"  slice{k}(.{_ON}, .CEP(run), .CEC(1'b0), .CECTRL(1'b0), .{_OFF},\n"
        f"  .A({{{{5{{a[{(k + 1) * WORD_BITS - 1}]}}}}, {word}}}), .B({factor}), .C({c}), .PCIN({pcin}), "
        f".OPMODE({{{z}, 4'b0101}}), .P(p{k}), .PCOUT(c{k}));"
    )


def _plain(k: int, offset: int) -> str:
    word, factor = _part("a", k, WORD_BITS), _part("b", k, FACTOR_BITS)
    before = f"48'sd{offset}" if k == 0 else f"p{k - 1}"
    return (
        f"reg signed [24:0] a{k} = 0; reg signed [17:0] b{k} = 0;\n"
        f"reg signed [42:0] m{k} = 0; reg signed [47:0] p{k} = 0;\n"
        f"always @(posedge aclk) if (run) begin a{k} <= {word}; b{k} <= {factor}; m{k} <= a{k} * b{k}; "
        f"p{k} <= m{k} + {before}; end"
    )


def _part(name: str, k: int, bits: int) -> str:
    return f"{name}[{(k + 1) * bits - 1}:{k * bits}]"


_ACCUMULATOR = f"""module @name@(input aclk, input run, input [24:0] a, input [17:0] b, input first, input [47:0] start,
  input go, output [47:0] p);
{_CHOICE}DSP48E1 #(.CREG(1), .OPMODEREG(1), .{_SET})
  slice(.{_ON}, .CEP(run & go), .CEC(run), .CECTRL(run), .{_OFF},
  .A({{{{5{{a[24]}}}}, a}}), .B(b), .C(start), .PCIN(48'b0), .OPMODE({{2'b01, first, 4'b0101}}), .P(p));
`else
reg signed [24:0] a0 = 0; reg signed [17:0] b0 = 0; reg signed [42:0] m0 = 0;
reg signed [47:0] p0 = 0, c0 = 0; reg f0 = 0;
always @(posedge aclk) if (run) begin
  a0 <= a; b0 <= b; m0 <= a0 * b0; c0 <= start; f0 <= first;
  if (go) p0 <= m0 + (f0 ? c0 : p0);
end
assign p = p0;
`endif
endmodule
"""
