"""Static timing: paths as Yosys' own analysis finds them, levels, chains and readers as counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.mapped import delay_ns
from boards import board_named
from codesign.formats import Int
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.split import split
from hw.blif import instances
from hw.fuse import fuse
from hw.netlist.clock import levels_at, net_ps
from hw.pipeline import Pipeline, alone
from hw.plan import plan_for_interval
from hw.rtl import TOP, verilog
from hw.sta import Timing, timing
from hw.stages.fifo import Fifo
from hw.stages.global_pool import GlobalPool
from hw.stages.matvec import MatVec
from hw.stages.unrolled import Unrolled
from hw.stream import StreamType
from hw.style import Style
from hw.synth import mapped, timed
from tests.test_fuse import chain
from tests.test_netlist import random_layer

CLOCK_BUFFER_PS = 96  # which Yosys counts, and which moves all registers alike


def netlist(ports: str, body: str) -> str:
    return mapped(f"module m(input c, {ports});\n{body}\nendmodule\n", "synth_xilinx -family xc7 -flatten -abc9 -top m")


def found(blif: str, clock_mhz: float = 200) -> Timing:
    result = timing(instances(blif), clock_mhz)
    assert result is not None
    return result


def adders(links: int) -> str:
    """A chain of full adders, each one a LUT6_2: O6 the sum, O5 the carry."""
    cells = "\n".join(
        f"LUT6_2 #(.INIT(64'h96969696e8e8e8e8)) u{k}(.I0(x[{k}]), .I1(y[{k}]), .I2(w[{k}]), .I3(1'b0), .I4(1'b0), "
        f".I5(1'b1), .O5(w[{k + 1}]), .O6(s[{k}]));"
        for k in range(links)
    )
    return f"""reg [{links - 1}:0] x, y; reg first; wire [{links}:0] w; wire [{links - 1}:0] s;
    assign w[0] = first;
    always @(posedge c) begin x <= a; y <= b; first <= i; q <= {{w[{links}], s}}; end
    {cells}"""


CIRCUITS = {
    "chain of LUT6_2": ("input [15:0] a, b, input i, output reg [16:0] q", adders(16)),
    "adder": (
        "input [15:0] a, b, output reg [15:0] q",
        "reg [15:0] x, y; always @(posedge c) begin x <= a; y <= b; q <= x + y; end",
    ),
    "multiplexer": (
        "input [63:0] a, input [5:0] b, output reg q",
        "reg [63:0] x; reg [5:0] y; always @(posedge c) begin x <= a; y <= b; q <= x[y] ^ ^x; end",
    ),
    "enable": (
        "input [11:0] a, b, output reg [11:0] q",
        "reg [11:0] x; always @(posedge c) begin x <= a; if (^x) q <= b; end",
    ),
    "memory in tables": (
        "input [5:0] a, b, output reg [5:0] q",
        """(* ram_style = "distributed" *) reg [5:0] m [63:0]; reg [5:0] x, y;
        always @(posedge c) begin x <= a; y <= b; m[y] <= x; q <= m[x] ^ y; end""",
    ),
    "block RAM": (
        "input [9:0] a, output reg q",
        """(* ram_style = "block" *) reg [35:0] m [1023:0]; reg [35:0] r; reg [9:0] x;
        always @(posedge c) begin x <= a; m[x] <= {a, r[25:0]}; r <= m[a]; q <= ^r; end""",
    ),
    "shift register": (
        "input a, output reg q, r",
        "reg [20:0] s; reg x; always @(posedge c) begin x <= a; s <= {s, x}; q <= s[20] ^ x; r <= x; end",
    ),
}


QUICK = ("chain of LUT6_2", "memory in tables")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CIRCUITS])
def test_logic_on_the_worst_path_is_what_yosys_finds(name: str) -> None:
    blif = netlist(*CIRCUITS[name])
    logic = timing(instances(blif), 200, lambda readers: 0)
    assert logic is not None
    assert round(1000 * logic.worst.ns) == round(1000 * delay_ns(blif, "m")) - CLOCK_BUFFER_PS


def test_a_chain_of_sixteen_dual_tables_is_seen() -> None:
    blif = netlist(*CIRCUITS["chain of LUT6_2"])
    worst, deepest = found(blif).worst, found(blif).deepest
    assert (worst.luts, deepest.levels, worst.carry_bits) == (16, 16, 0)
    assert worst.start in ("first", "x[0]", "y[0]")
    assert worst.logic_ns == pytest.approx(0.303 + 0.631 + 15 * 0.407, abs=0.3)
    assert sum(cell.cell == "LUT6_2" for cell in worst.cells) == 16
    assert (found(blif).holds, found(blif).outside) == (False, 14)  # sums 3 .. 15 and the last carry


def test_inputs_that_do_not_matter_are_no_path() -> None:
    half = "LUT6_2 #(.INIT(64'haaaaaaaa_cccccccc)) u(.I0(x), .I1(y), .I2(1'b0), .I3(1'b0), .I4(1'b0), .I5(1'b1), "
    blif = netlist(
        "input a, b, output reg p, q",
        f"reg x, y; wire d, e; {half} .O5(e), .O6(d)); always @(posedge c) begin x <= a; y <= b; p <= d; q <= e; end",
    )
    assert sorted(len(p.cells) for p in (found(blif).worst, found(blif).deepest)) == [3, 3]
    assert found(blif).ends == 2


def test_a_chain_counts_a_level_and_its_bits() -> None:
    body = "reg [{0}:0] x, y; always @(posedge c) begin x <= a; y <= b; q <= x + y; end"
    ports = "input [{0}:0] a, b, output reg [{0}:0] q"
    short, long = (found(netlist(ports.format(n - 1), body.format(n - 1))) for n in (16, 24))
    assert (short.deepest.levels, short.holds, long.deepest.levels) == (2, True, 2)
    assert 13 <= short.worst.carry_bits <= 16 < (bits := long.paths[0].carry_bits) <= 24  # tables take the lowest
    assert long.outside == bits - 16
    assert found(netlist(ports.format(23), body.format(23)), 100).holds


def test_readers_are_counted_by_cells_enables_included() -> None:
    blif = netlist(
        "input e, f, input [69:0] a, output reg [69:0] q, output reg [65:0] r, output reg s",
        """reg on, x; always @(posedge c) begin on <= e; x <= f; s <= x; if (on) q <= a;
        r <= {66{x}} & a[65:0]; end""",
    )
    result = found(blif)
    assert [(net.net, net.readers) for net in result.nets[:2]] == [("on", 70), ("x", 67)]
    assert (result.wide, result.holds, result.outside) == (2, False, 0)
    assert result.worst.wire_ns == pytest.approx(net_ps(70) / 1000)
    assert (result.worst.start, result.worst.end[-9:]) == ("on", "(FDRE CE)")


def test_a_block_ram_goes_straight_into_registers() -> None:
    body = """(* ram_style = "block" *) reg [35:0] m [1023:0]; reg [35:0] r; reg [9:0] x;
    always @(posedge c) begin x <= a; m[x] <= a; r <= m[x]; {} end"""
    for text, slow, fast in (("q <= ^r;", True, False), ("q <= r[7];", True, True)):
        blif = netlist("input [9:0] a, output reg q", body.format(text))
        assert (found(blif, 100).holds, found(blif, 200).holds) == (slow, fast)


def test_a_netlist_without_paths_between_registers_has_no_timing() -> None:
    assert timing(instances(netlist("input [1:0] a, output q", "assign q = &a;")), 100) is None
    assert timing(instances(netlist("input a, output reg q", "always @(posedge c) q <= a;")), 100) is None


def of_design(pipeline: Pipeline, clock_mhz: float) -> Timing:
    result = timed(verilog(pipeline), TOP, clock_mhz)
    assert result is not None
    return result


def folded(clock_mhz: float) -> MatVec:
    """16 neurons of 64 synapses, 16 a clock: weights in tables, a vector read four times."""
    weights = np.random.default_rng(0).integers(-8, 8, (64, 16))
    return MatVec(StreamType((4, 64), Int(0, 15), 16), weights, Int(-8, 7), 4, 16, levels=levels_at(clock_mhz))


def test_folded_products_are_as_deep_as_the_clock_allows() -> None:
    circuits = [folded(clock).folded.sums for clock in (100, 200, 250)]
    assert circuits[0].latency < circuits[1].latency < circuits[2].latency
    fast = of_design(alone(folded(200)), 200)
    assert (fast.holds, fast.deepest.levels, fast.ends > 1000) == (True, 3, True)
    assert of_design(alone(folded(100)), 100).deepest.levels > 3


@pytest.mark.slow
def test_the_rule_of_250_holds_in_the_products_of_its_clock_only() -> None:
    def outside(stage: MatVec) -> int:
        return of_design(alone(stage), 250).outside

    assert outside(folded(250)) <= 40 < 100 < outside(folded(100))  # what is left is the control of the vector


def test_a_queue_holds_200_mhz() -> None:
    assert of_design(alone(Fifo(StreamType((64, 16), Int(0, 255), 4), 32)), 200).holds


@pytest.mark.slow
def test_a_folded_network_compiled_for_200_mhz_is_inside_its_rule() -> None:
    graph = import_model(Path(__file__).parent.parent / "examples/digits_mlp_w1a2.onnx").graph
    core = split(run_passes(graph)[0]).core
    budget = board_named("pynq-z2").budget
    found = {}
    for clock in (100, 200):
        plan, pipeline = plan_for_interval(core, budget, 200, style=Style("folded", clock))
        assert levels_at(clock) in {f.levels for f in plan.folding.values()}
        found[clock] = of_design(pipeline, 200).outside
    assert found[200] == 0 < found[100]


def test_a_sum_behind_layers_as_gates_is_inside_the_rule() -> None:
    """It reads their queue as a register: nothing stands behind that memory."""
    x = StreamType((8, 6), Int(0, 9), 6)
    gates = Unrolled(x, (random_layer(x.format, (6, 8), 15, "late", 1),))
    (made,) = gates.outputs
    assert of_design(fuse(chain(gates, GlobalPool(StreamType((2, 4, 8), made.format, 8), "sum"))), 100).holds
