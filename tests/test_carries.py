"""Netlists with carry chains before and after boards/carries.py: the same function, and what nextpnr packs."""

import copy
import json
from typing import Any

import pytest

from boards.carries import PLACES, Netlist, prepared
from boards.openxc7 import FILES, NETLIST, synthesis
from hw.yosys import run_yosys

PORTS = "input [6:0] a, b, input [4:0] c, input k, output [8:0] y, output [6:0] z"
BODIES = {
    # The lowest selects have other readers, LUTs as well as pins.
    "sums": "assign y = a + b; assign z = (a ^ b) & {7{k}};",
    "difference": "wire [7:0] d = a - b; assign y = d; assign z = {7{a[0] ^ b[0] ^ k}} & c;",
    # A chain's sum as the data of the next, selects of several inputs, and an end at each place.
    "sums of sums": "wire [7:0] s = a + b; assign y = s + (c & {5{k}}); assign z = s[3:0] + c[3:0] + {c[1], k};",
    "choices": "assign y = (k ? a : c) + (b & {7{c[0]}}); assign z = (k ? c : a) ^ (b & {7{c[0]}});",
    # Only the last carry is read.
    "comparison": "assign y = {a, c} > {b, z}; assign z = {7{a[0] ^ c[1]}} & b;",
    "a carry in": "assign y = a + b + k; assign z = a[5:0] - c - 1'b1;",
}


@pytest.fixture(scope="module", params=BODIES)
def mapped(request) -> dict[str, Any]:
    """Yosys' netlist of a body, in JSON, without the cells of its library."""
    text = f"module top({PORTS}); {BODIES[request.param]} endmodule"
    _, written = run_yosys(synthesis(["top.v"], "top"), {"top.v": text, **FILES}, [NETLIST])
    return {"modules": {"top": json.loads(written[NETLIST])["modules"]["top"]}}


@pytest.fixture(scope="module")
def changed(mapped: dict[str, Any]) -> dict[str, Any]:
    after = copy.deepcopy(mapped)
    prepared(after["modules"]["top"])
    assert after != mapped
    return after


def test_the_function_stays(mapped, changed) -> None:
    script = """read_verilog +/xilinx/cells_sim.v
read_json before.json
rename top gold
read_json after.json
rename top gate
miter -equiv -make_assert gold gate miter
hierarchy -check -top miter
proc
flatten
opt_clean
sat -verify -prove-asserts -enable_undef -set-def-inputs miter
"""
    run_yosys(script, {"before.json": json.dumps(mapped), "after.json": json.dumps(changed)}, [])


def test_a_chain_alone_reads_its_selects(changed) -> None:
    module = changed["modules"]["top"]
    netlist = Netlist(module)
    carry4 = [(n, "S", place) for n, c in module["cells"].items() for place in PLACES if c["type"] == "CARRY4"]
    muxcy = [(n, "S", 0) for n, c in module["cells"].items() if c["type"] == "MUXCY"]
    assert carry4 or muxcy
    for pin in carry4 + muxcy:
        bit = netlist.at(pin)
        beside = {module["cells"][name]["type"] for name, _, _ in netlist.readers(bit) - {pin}}
        assert beside <= ({"XORCY"} if pin in muxcy else set()) or not netlist.lut(bit)


def test_every_chain_ends_where_nothing_more_is_read(changed) -> None:
    module = changed["modules"]["top"]
    netlist = Netlist(module)
    for cell in module["cells"].values():
        if cell["type"] == "CARRY4":
            last = [cell["connections"][port][3] for port in ("O", "CO") if port in cell["connections"]]
            assert any(netlist.readers(bit) for bit in last)


def lut(inputs: list[int], output: int) -> dict[str, Any]:
    ports = {f"I{k}": [bit] for k, bit in enumerate(inputs)}
    directions = {**dict.fromkeys(ports, "input"), "O": "output"}
    init = "10" * (1 << len(inputs) - 1)
    return {"type": f"LUT{len(inputs)}", "parameters": {"INIT": init}, "port_directions": directions,
            "connections": {**ports, "O": [output]}}  # fmt: skip


@pytest.mark.parametrize(("data", "table"), [(2, "10"), ("0", "00"), ("1", "11")])
def test_data_goes_beside_a_select_of_five_inputs(data: int | str, table: str) -> None:
    """A net that the select reads too, or a constant: from a table that the chain alone reads."""
    directions = {"CI": "input", "CYINIT": "input", "S": "input", "DI": "input", "O": "output", "CO": "output"}
    pins = {"CI": ["0"], "CYINIT": ["0"], "S": [7] * 4, "DI": [data] * 4, "O": [8, 9, 10, 11], "CO": [12, 13, 14, 15]}
    chain = {"type": "CARRY4", "parameters": {}, "port_directions": directions, "connections": pins}
    module = {"ports": {"y": {"bits": [15]}}, "cells": {"select": lut([2, 3, 4, 5, 6], 7), "chain": chain}}
    prepared(module)
    netlist = Netlist(module)
    for place in PLACES:
        bit = netlist.at(("chain", "DI", place))
        assert netlist.readers(bit) == {("chain", "DI", place)}
        assert module["cells"][netlist.lut(bit)]["parameters"]["INIT"] == table
