"""Utilisation of designs whose counts are known by hand, and the rule of LUT pairing."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.errors import UserError
from hw.pairing import pair_luts
from hw.synth import Utilisation, synthesize
from hw.yosys import YosysError

netlists = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=6), max_size=30)


def use(ports: str, body: str) -> Utilisation:
    """Utilisation of a small module."""
    return synthesize(f"module m({ports});\n{body}\nendmodule\n", "m")


def can_share(a: list[str], b: list[str]) -> bool:
    """Whether LUTs of these input nets fit one site, whose two tables have five inputs together."""
    return len({*a, *b}) <= 5


@given(netlists)
def test_pairs_are_legal_and_maximal(luts: list[list[str]]) -> None:
    pairs = pair_luts(luts)
    used = [k for pair in pairs for k in pair]
    assert len(used) == len(set(used))
    assert all(can_share(luts[a], luts[b]) for a, b in pairs)
    alone = sorted(set(range(len(luts))) - set(used))
    assert not any(can_share(luts[a], luts[b]) for a in alone for b in alone if a < b)
    assert len(luts) / 2 <= len(luts) - len(pairs) <= len(luts)


@given(netlists)
def test_pairing_is_a_function_of_the_netlist(luts: list[list[str]]) -> None:
    assert pair_luts(luts) == pair_luts([list(reversed(lut)) for lut in luts])


def test_six_inputs_never_share() -> None:
    assert pair_luts(["abcdef", "a", "b"]) == [(1, 2)]
    assert pair_luts(["abcdef", "abcdef"]) == []


def test_pairing_of_a_large_netlist_takes_seconds() -> None:
    rng = random.Random(1)
    luts = [[f"n{rng.randrange(200)}" for _ in range(rng.randrange(1, 7))] for _ in range(60_000)]
    start = time.process_time()
    pair_luts(luts)
    assert time.process_time() - start < 10


def test_two_functions_of_the_same_five_inputs_share_a_site() -> None:
    found = use("input [4:0] a, output x, y", "assign x = ^a; assign y = &a;")
    assert (found.lut, found.lut_paired) == (2, 1)


def test_six_input_functions_do_not_share() -> None:
    found = use("input [5:0] a, output x, y", "assign x = ^a; assign y = &a;")
    assert (found.lut, found.lut_paired) == (2, 2)


def test_gates_of_two_inputs_pair_without_common_nets() -> None:
    found = use("input [15:0] a, b, output [15:0] x", "assign x = a ^ b;")
    assert (found.lut, found.lut_paired) == (16, 8)


def test_instantiated_dual_lut_counts_once() -> None:
    found = use(
        "input [5:0] a, output x, y",
        "LUT6_2 #(.INIT(64'h96)) u(.I0(a[0]), .I1(a[1]), .I2(a[2]), .I3(a[3]), .I4(a[4]), .I5(a[5]), .O5(x), .O6(y));",
    )
    assert (found.lut, found.lut_paired) == (1, 1)


def test_adder_uses_a_carry_element_for_four_bits() -> None:
    found = use("input [7:0] a, b, output [7:0] s", "assign s = a + b;")
    assert (found.carry4, found.lut, found.ff) == (2, 8, 0)
    assert found.lut_paired == 8  # each select comes from its own site, though two of them have but four inputs


@given(netlists, st.sets(st.integers(0, 29)))
def test_luts_tied_to_o6_share_with_others_only(luts: list[list[str]], tied: set[int]) -> None:
    tied &= set(range(len(luts)))
    pairs = pair_luts(luts, tied)
    assert not any(a in tied and b in tied for a, b in pairs)
    alone = sorted(set(range(len(luts))) - {k for pair in pairs for k in pair})
    assert not any(can_share(luts[a], luts[b]) for a in alone for b in alone if a < b and not {a, b} <= tied)


def test_registers_and_multiplier() -> None:
    registers = use("input clk, input [8:0] d, output reg [8:0] q", "always @(posedge clk) q <= d;")
    assert (registers.ff, registers.lut) == (9, 0)
    assert use("input signed [17:0] a, b, output signed [35:0] p", "assign p = a * b;").dsp == 1


@pytest.mark.parametrize(("words", "bram36"), [(1024, 1.0), (512, 0.5)])
def test_memories_in_block_ram(words: int, bram36: float) -> None:
    body = f"""(* ram_style = "block" *) reg [35:0] mem [{words - 1}:0];
    always @(posedge clk) begin if (we) mem[w] <= d; q <= mem[r]; end"""
    ports = f"input clk, we, input [{words.bit_length() - 2}:0] w, r, input [35:0] d, output reg [35:0] q"
    assert use(ports, body).bram36 == bram36


def test_distributed_ram_counts_its_luts() -> None:
    # 32 x 6 bits of simple dual port is one RAM32M: four LUTs of one slice.
    body = """(* ram_style = "distributed" *) reg [5:0] mem [31:0];
    always @(posedge clk) if (we) mem[w] <= d;
    assign q = mem[r];"""
    found = use("input clk, we, input [4:0] w, r, input [5:0] d, output [5:0] q", body)
    assert (found.lut, found.lut_paired, found.bram36) == (4, 4, 0)


def test_result_names_its_origin_and_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODESIGN_CACHE", str(tmp_path))
    first = use("input a, output x", "assign x = ~a;")
    assert first.lut == 1
    assert first.command == "synth_xilinx -family xc7 -flatten -abc9 -top m"
    assert first.yosys.startswith("Yosys ")
    (kept,) = (tmp_path / "synth").iterdir()
    kept.write_text(kept.read_text().replace('"lut": 1', '"lut": 7'))
    assert use("input a, output x", "assign x = ~a;").lut == 7


def test_broken_verilog_and_unknown_cells_are_refused() -> None:
    with pytest.raises(YosysError, match="syntax error"):
        use("input a", "assign = ;")
    with pytest.raises(UserError, match="URAM288"):
        use("input a, output x", "(* keep *) URAM288 u();")
