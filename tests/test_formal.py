"""The proofs must find what is broken: each rule is broken once, each kind of circuit once wrong."""

# Amaranth declares ports by calls in annotations.
# pyright: reportInvalidTypeForm=false, reportAttributeAccessIssue=false

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Instance, Module, Signal, signed, unsigned
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from codesign.errors import CheckFailed, UserError
from sim.formal import prove_equal, prove_equivalent, prove_stream_rules

BYTE = stream.Signature(unsigned(8))


def text(component: wiring.Component) -> str:
    return rtlil.convert(component, name="top", emit_src=False)


class Stage(wiring.Component):
    """A register stage that adds three; `fault` names what is wrong with it."""

    i: In(BYTE)
    o: Out(BYTE)

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        i, o, fault = self.i, self.o, self.fault
        move = Signal()
        beats = Signal(3, reset_less=fault == "counter survives reset")
        m.d.comb += [move.eq(~o.valid | o.ready), i.ready.eq(move)]
        with m.If(move):
            m.d.sync += [o.valid.eq(i.valid), o.payload.eq(i.payload + 3)]
            m.d.sync += beats.eq(beats + i.valid)
        if "counter" in fault:
            with m.If(move & (beats == 7)):
                m.d.sync += o.payload.eq(0)
        if fault == "valid drops":
            with m.If(o.valid & (o.payload == 77)):
                m.d.sync += o.valid.eq(0)
        if fault == "data change":
            with m.If(o.valid & ~o.ready & (o.payload == 9)):
                m.d.sync += o.payload.eq(10)
        return m


class Late(wiring.Component):
    """A stage whose valid register has no reset."""

    i: In(BYTE)
    o: Out(BYTE)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = Signal(reset_less=True)
        m.d.comb += [self.i.ready.eq(~valid | self.o.ready), self.o.valid.eq(valid)]
        with m.If(self.i.ready):
            m.d.sync += [valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        return m


class Waits(wiring.Component):
    """A stage whose valid waits for ready."""

    i: In(BYTE)
    o: Out(BYTE)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [self.i.ready.eq(self.o.ready), self.o.payload.eq(self.i.payload)]
        m.d.comb += self.o.valid.eq(self.i.valid & self.o.ready)
        return m


class Fifo(wiring.Component):
    """Four beats of memory, then a ROM."""

    i: In(BYTE)
    o: Out(BYTE)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = queue = fifo.SyncFIFOBuffered(width=8, depth=5)
        m.submodules.rom = rom = Memory(shape=unsigned(8), depth=256, init=[k * k % 251 for k in range(256)])
        port = rom.read_port(domain="comb")
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
        ]
        m.d.comb += [self.o.valid.eq(queue.r_rdy), queue.r_en.eq(self.o.ready)]
        m.d.comb += [port.addr.eq(queue.r_data), self.o.payload.eq(port.data)]
        return m


class Fork(wiring.Component):
    """Both outputs take a beat, each in its own time; `eager` false forgets who has taken it."""

    i: In(BYTE)
    o0: Out(BYTE)
    o1: Out(BYTE)

    def __init__(self, eager: bool) -> None:
        self.eager = eager
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        done = [Signal(name=f"done{k}") for k in range(2)]
        outs = [self.o0, self.o1]
        finished = [d | o.ready for d, o in zip(done, outs, strict=True)]
        m.d.comb += self.i.ready.eq(finished[0] & finished[1])
        for d, o in zip(done, outs, strict=True):
            m.d.comb += [o.valid.eq(self.i.valid & ~d), o.payload.eq(self.i.payload)]
            taken = self.i.valid & ~self.i.ready & (d | o.ready)
            m.d.sync += d.eq(taken if self.eager else ~d & taken)
        return m


@pytest.mark.parametrize(
    "design", [Stage(), Stage("counter"), Fifo(), Fork(True)], ids=["reg", "count", "fifo", "fork"]
)
def test_good_streams_are_proven_for_all_time(design: wiring.Component) -> None:
    proof = prove_stream_rules(text(design))
    assert (proof.kind, proof.depth) == ("unbounded", None)


@pytest.mark.parametrize(
    ("design", "rule"),
    [
        (Stage("valid drops"), "valid stays until ready"),
        (Stage("data change"), "data stay while waiting"),
        (Stage("counter survives reset"), "nothing survives a reset"),
        (Late(), "no valid in the cycle after a reset"),
        (Waits(), "o__valid depends on o__ready in the same cycle"),
    ],
    ids=["valid", "data", "reset", "late", "waits"],
)
def test_broken_streams_are_named(design: wiring.Component, rule: str) -> None:
    with pytest.raises(CheckFailed, match=rule):
        prove_stream_rules(text(design))


def test_the_trace_shows_the_fault() -> None:
    with pytest.raises(CheckFailed) as caught:
        prove_stream_rules(text(Stage("data change")))
    before, last = str(caught.value).splitlines()[-2:]
    assert "o__payload=0x9 " in before and "o__ready=0x0" in before
    assert "o__payload=0xa " in last


class TwoCounters(Stage):
    """Valid would drop if two counters fell out of step, which takes very long to prove impossible."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        one, square = Signal(16), Signal(16)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [one.eq(one + self.i.payload), square.eq((one + self.i.payload) * (one + self.i.payload))]
        with m.If(square != (one * one)[:16]):
            m.d.sync += self.o.valid.eq(0)
        return m


def test_what_takes_too_long_is_proven_to_a_depth() -> None:
    proof = prove_stream_rules(text(TwoCounters()), depth=3, patience_s=2)
    assert (proof.kind, proof.depth) == ("bounded", 3)


def test_verilog_with_axi_names() -> None:
    good = """module top(input aclk, aresetn, input [7:0] s_axis_tdata, input s_axis_tvalid, output s_axis_tready,
    output reg [7:0] m_axis_tdata, output reg m_axis_tvalid, input m_axis_tready, output reg m_axis_tlast);
    assign s_axis_tready = !m_axis_tvalid | m_axis_tready;
    always @(posedge aclk) if (!aresetn) begin m_axis_tvalid <= 0; m_axis_tlast <= 0; end
    else if (s_axis_tready) begin m_axis_tvalid <= s_axis_tvalid; m_axis_tdata <= s_axis_tdata;
    m_axis_tlast <= m_axis_tlast ^ s_axis_tvalid; end endmodule"""
    assert prove_stream_rules(good).kind == "unbounded"
    with pytest.raises(CheckFailed, match="nothing survives a reset"):
        prove_stream_rules(good.replace("m_axis_tlast <= 0;", ""))


def test_a_port_of_no_stream_is_refused() -> None:
    with pytest.raises(UserError, match="port mode"):
        prove_stream_rules("module top(input mode, output o_valid, input o_ready); assign o_valid = 1; endmodule")


class Dot(wiring.Component):
    """y = a * b + c, or nearly."""

    a: In(signed(5))
    b: In(signed(5))
    c: In(unsigned(4))
    y: Out(signed(11))

    def __init__(self, wrong: bool = False) -> None:
        self.wrong = wrong
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spoilt = (self.a == -7) & (self.b == 3) & (self.c == 15)
        m.d.comb += self.y.eq(self.a * self.b + self.c + (spoilt if self.wrong else 0))
        return m


def dot(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return a * b + c


def test_every_input_word_against_a_golden() -> None:
    proof = prove_equal(text(Dot()), dot, signed=["a", "b"])
    assert proof.kind == "exhaustive"
    with pytest.raises(CheckFailed, match=r"a=-7, b=3, c=15\): y is 2043, golden 2042"):
        prove_equal(text(Dot(wrong=True)), dot, signed=["a", "b"])


def test_wide_words_against_verilog() -> None:
    gold = """module top(input [19:0] a, output [4:0] y); integer i; reg [4:0] s;
    always @* begin s = 0; for (i = 0; i < 20; i = i + 1) s = s + a[i]; end assign y = s; endmodule"""

    class Count(wiring.Component):
        a: In(20)
        y: Out(5)

        def __init__(self, bits: int) -> None:
            self.bits = bits
            super().__init__()

        def elaborate(self, platform: object) -> Module:
            m = Module()
            halves = [sum(self.a[k : self.bits : 2]) for k in range(2)]
            m.d.comb += self.y.eq(halves[0] + halves[1])
            return m

    assert prove_equivalent(text(Count(20)), gold).kind == "unbounded"
    with pytest.raises(CheckFailed, match="differs from its reference"):
        prove_equivalent(text(Count(19)), gold)


class FullAdders(wiring.Component):
    """Four bits of a + b from four dual-output LUTs and a carry element."""

    a: In(4)
    b: In(4)
    y: Out(5)

    def __init__(self, table: int = 0x6666_6666_8888_8888) -> None:
        self.table = table
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        propagate, generate, carry = Signal(4), Signal(4), Signal(4)
        for k in range(4):
            m.submodules += Instance(
                "LUT6_2", p_INIT=self.table, i_I0=self.a[k], i_I1=self.b[k], i_I2=0, i_I3=0, i_I4=0, i_I5=1,
                o_O6=propagate[k], o_O5=generate[k],
            )  # fmt: skip
        m.submodules += Instance("CARRY4", i_CI=0, i_CYINIT=0, i_DI=generate, i_S=propagate, o_O=self.y[:4], o_CO=carry)
        m.d.comb += self.y[4].eq(carry[3])
        return m


def test_instantiated_primitives_mean_what_cells_sim_says() -> None:
    gold = "module top(input [3:0] a, b, output [4:0] y); assign y = a + b; endmodule"
    prove_equivalent(text(FullAdders()), gold)
    prove_equal(text(FullAdders()), lambda a, b: a + b)
    with pytest.raises(CheckFailed):
        prove_equivalent(text(FullAdders(0x6666_6666_8888_8886)), gold)
    with pytest.raises(CheckFailed):
        prove_equal(text(FullAdders(0x6666_6667_8888_8888)), lambda a, b: a + b)


def test_a_rom_read_past_its_end_is_defined() -> None:
    class Short(wiring.Component):
        i: In(BYTE)
        o: Out(BYTE)

        def elaborate(self, platform: object) -> Module:
            m = Module()
            m.submodules.rom = rom = Memory(shape=unsigned(8), depth=5, init=[3, 1, 4, 1, 5])
            port = rom.read_port(domain="comb")
            m.d.comb += [port.addr.eq(self.i.payload), self.o.payload.eq(port.data)]
            m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
            return m

    assert prove_stream_rules(text(Short())).kind == "unbounded"
