"""What the benchmark of unrolled networks puts around designs, gives to peers and says of figures, on small ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.harness import HARNESS, Ports, harnessed, ports_of
from benchmarks.mapped import Mapped, Routed, mapped
from benchmarks.peer import reference
from benchmarks.peers import cut
from benchmarks.unrolled_page import Compared, Side, bars, page, section
from codesign.formats import Int
from codesign.graph import TensorType
from codesign.ops.threshold import Threshold
from hw.blif import instances
from hw.netlist.dense import Dense
from hw.synth import mapped as blif

DESIGN = """
module top(clk, a, b, q);
  input clk; wire clk;
  input [7:0] a;
  input b;
  output [4:0] q;
  reg [4:0] q;
  always @(posedge clk) q <= a[4:0] ^ {a[7:5], b, b};
endmodule
"""


def test_harness_feeds_every_input_and_keeps_every_output() -> None:
    assert ports_of(DESIGN, "top") == Ports("clk", {"a": 8, "b": 1}, {"q": 5})
    cells = Counter(c.kind for c in instances(blif(harnessed(DESIGN, "top"), f"synth_ecp5 -abc9 -top {HARNESS}")))
    assert cells["TRELLIS_FF"] == 9 + 5 + 5 + 2 + 1  # fed, the design's, held, folded to two, to one
    assert cells["LUT4"] == 5 + 1 + 1  # of the design; four bits folded to one, two to one


def test_ports_of_a_header_in_one_piece() -> None:
    text = "module model (\n    input clk,\n    input wire [3:0] x,\n    output reg [1:0] y\n);\nendmodule\n"
    assert ports_of(text, "model") == Ports("clk", {"x": 4}, {"y": 2})
    with pytest.raises(ValueError, match="no clock"):
        ports_of(text.replace("clk", "ck"), "model")


def test_paths_from_inputs_begin_at_registers() -> None:
    inside = "module m(input clk, input [3:0] a, output reg q);\n{}\nendmodule\n"
    direct = mapped(inside.format("always @(posedge clk) q <= ^a;"), "m")
    registered = mapped(inside.format("reg [3:0] x; always @(posedge clk) begin x <= a; q <= ^x; end"), "m")
    assert direct.delay_ns == registered.delay_ns > 0.5
    assert (direct.ff, registered.ff, direct.lut, direct.lut_paired) == (1, 5, 1, 1)


def layer(rounding: str, bits: int = 4, shift: int = 3) -> Dense:
    """Sums whose level k begins at (k - 1/2) steps, ties to even or up."""
    rng = np.random.default_rng(2)
    weights, bias = rng.integers(-3, 4, (5, 3)), rng.integers(-9, 10, 3)
    levels = np.arange(1, 1 << bits)
    half = (2 * levels - 1 << shift) >> 1
    rows = np.tile(half + (levels % 2 if rounding == "even" else 0), (3, 1)) - np.array([[0], [5], [-4]])
    codes = Int(0, (1 << bits) - 1)
    zero, one = np.zeros((3, 1), np.int64), np.ones((3, 1), np.int64)
    op = Threshold(rows, codes, zero[:, 0], one[:, 0], (1.0,), (0,))
    return Dense(weights, bias, Int(-300, 300), op)


@pytest.mark.parametrize("rounding", ["even", "up"])
def test_peers_are_given_the_same_network_but_for_ties(rounding: str) -> None:
    of = layer(rounding)
    x = np.random.default_rng(3).integers(0, 16, (400, 5))
    sums = x @ of.weights + of.bias
    assert of.activation is not None
    truth = of.activation.run(TensorType((3,), of.sums), sums)
    differ = reference(x, [cut(of)]) != truth
    ties = np.isin(sums, of.activation.thresholds[:, ::2] - 1)
    assert not differ[~ties].any()
    assert differ.any() == (rounding == "even")


def test_staircases_that_are_no_rounding_are_refused() -> None:
    of = layer("up")
    assert of.activation is not None
    uneven = of.activation.thresholds.copy()
    uneven[0, 5] += 2
    with pytest.raises(ValueError, match="no rounding"):
        cut(replace(of, activation=replace(of.activation, thresholds=uneven)))


def side(name: str, luts: int, cycles: int, fmax_mhz: float | None) -> Side:
    size = Mapped(luts + 9, luts, luts - 1, 5, 6, 0, 2.0, 80.0, 1.0)
    placed = None if fmax_mhz is None else Routed("nextpnr-ecp5, 0.11", fmax_mhz, 7, 8.0)
    return Side(name, cycles, 0.5, "0 wrong", size, placed)


def test_ratios_are_to_the_better_peer_of_each_figure() -> None:
    slow, deep = side("slow", 1000, 4, 50.0), side("deep", 1100, 12, 100.0)
    found = {b.what: b for b in bars(Compared("n", 100, side("ours", 700, 8, 120.0), (slow, deep), {"netlist": 0.5}))}
    assert found["paired LUT"].cells == ("paired LUT", "700", "1,000", "0.70", "≤ 0.75", "met")
    assert found["paired LUT, goal"].cells[-1] == "missed"
    assert found["clock on the ECP5, MHz"].judged == pytest.approx(1.2)
    assert found["latency on the ECP5, ns"].judged == pytest.approx((8 / 120) / (4 / 50))


def test_of_ours_the_faster_one_counts_for_the_clock_alone() -> None:
    own, deep, peer = side("ours", 700, 8, 120.0), side("deep", 720, 20, 180.0), side("peer", 1000, 4, 100.0)
    found = {b.what: b for b in bars(Compared("n", 100, own, (peer,), {"netlist": 0.5}, deep))}
    assert found["clock on the ECP5, MHz"].judged == pytest.approx(1.8)
    assert found["latency on the ECP5, ns"].judged == pytest.approx((8 / 120) / (4 / 100))
    assert found["paired LUT"].judged == pytest.approx(0.7)


def test_what_was_not_placed_is_no_figure() -> None:
    found = Compared("n", 100, side("ours", 700, 8, 120.0), (side("slow", 1000, 4, None),), {"netlist": 0.5})
    text = section(found)
    assert text in page([found]) and "on an ECP5-85K by nextpnr-ecp5, 0.11\n" in page([found])
    assert "| clock on the ECP5, MHz | 120.0 | – | – | ≥ 1.5 | – |" in text
