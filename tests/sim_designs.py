"""Small hand-written designs for the tests of sim/."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sim.design import Design, EdgePort, Elements, StreamPort

BEATS = 5

# A register stage with a skid register, adding one to every lane of 8 bits; the names are those of a stage.
_STAGE = """
module stage #(parameter LANES = 1) (
  input clk, input rst,
  input [8*LANES-1:0] i_data, input i_valid, output i_ready,
  output reg [8*LANES-1:0] o_data, output reg o_valid, input o_ready);
  reg [8*LANES-1:0] skid; reg full;
  wire [8*LANES-1:0] next = full ? skid : i_data;
  reg [8*LANES-1:0] sum;
  integer k;
  always @* for (k = 0; k < LANES; k = k + 1) sum[8*k +: 8] = next[8*k +: 8] + {step};
  assign i_ready = !full;
  initial begin full = 0; o_valid = 0; end
  always @(posedge clk)
    if (rst) begin full <= 0; o_valid <= 0; end
    else if (o_ready || !o_valid) begin o_data <= sum; o_valid <= full || i_valid; full <= 0; end
    else if (i_valid && i_ready) begin skid <= i_data; full <= 1; end
endmodule
"""


def _top(ports: list[str], body: str) -> str:
    header = ",\n".join(["input aclk, input aresetn", *ports])
    return f"module accelerator({header});\nwire rst = !aresetn;\n{body}\nendmodule\n"


def _slave(prefix: str, bits: int) -> str:
    data = f"input [{bits - 1}:0] {prefix}_tdata, input {prefix}_tvalid, input {prefix}_tlast"
    return f"{data}, output {prefix}_tready"


def _master(prefix: str, bits: int) -> str:
    data = f"output [{bits - 1}:0] {prefix}_tdata, output {prefix}_tvalid, output {prefix}_tlast"
    return f"{data}, input {prefix}_tready"


def _edge(k: int, bits: int) -> str:
    return f"wire [{bits - 1}:0] edge{k}_data; wire edge{k}_valid, edge{k}_ready;"


def _counter(beats: int, reset: bool = True) -> str:
    """m_axis_tlast by counting output beats."""
    return f"""
reg [15:0] count = 0; assign m_axis_tlast = count == {beats - 1};
always @(posedge aclk)
  {"if (rst) count <= 0; else" if reset else ""}
  if (m_axis_tvalid && m_axis_tready) count <= m_axis_tlast ? 0 : count + 1;
"""


def _edges(names: list[tuple[str, str]], lanes: int) -> tuple[EdgePort, ...]:
    return tuple(EdgePort(k, a, b, 8 * lanes, BEATS, Elements(lanes, 8)) for k, (a, b) in enumerate(names))


def chain(lanes: int = 1, last_at: int = BEATS, reset: bool = True, second_step: int = 1) -> Design:
    """Two +1 stages over `lanes` bytes; the arguments break tlast, the reset of its counter, the second stage."""
    bits = 8 * lanes
    body = "\n".join([
        *(_edge(k, bits) for k in range(3)),
        "assign edge0_data = s_axis_tdata, edge0_valid = s_axis_tvalid, s_axis_tready = edge0_ready;",
        *(
            f"{name} #({lanes}) stage{k} (aclk, rst, edge{k}_data, edge{k}_valid, edge{k}_ready, "
            f"edge{k + 1}_data, edge{k + 1}_valid, edge{k + 1}_ready);"
            for k, name in enumerate(["stage", "second"])
        ),
        "assign m_axis_tdata = edge2_data, m_axis_tvalid = edge2_valid, edge2_ready = m_axis_tready;",
        _counter(last_at, reset),
    ])  # fmt: skip
    second = _STAGE.replace("module stage", "module second")
    text = _STAGE.replace("{step}", "1") + second.replace("{step}", str(second_step))
    port = ("x", "s_axis", bits, BEATS, Elements(lanes, 8)), ("y", "m_axis", bits, BEATS, Elements(lanes, 8))
    return Design(
        text + _top([_slave("s_axis", bits), _master("m_axis", bits)], body), "accelerator",
        (StreamPort(*port[0]),), (StreamPort(*port[1]),),
        _edges([("x", "first"), ("first", "second"), ("second", "y")], lanes),
    )  # fmt: skip


def adder() -> Design:
    """y = a + b, two inputs of 8 bits that wait for each other, a 16-bit output."""
    body = """
assign s0_axis_tready = m_axis_tready && s1_axis_tvalid, s1_axis_tready = m_axis_tready && s0_axis_tvalid;
assign m_axis_tvalid = s0_axis_tvalid && s1_axis_tvalid, m_axis_tdata = s0_axis_tdata + s1_axis_tdata;
""" + _counter(BEATS)
    ports = [_slave("s0_axis", 8), _slave("s1_axis", 8), _master("m_axis", 16)]
    byte = Elements(1, 8)
    return Design(
        _top(ports, body), "accelerator",
        (StreamPort("a", "s0_axis", 8, BEATS, byte), StreamPort("b", "s1_axis", 8, BEATS, byte)),
        (StreamPort("sum", "m_axis", 16, BEATS, Elements(1, 16)),),
    )  # fmt: skip


def deadlock(after: int) -> Design:
    """Passes `after` beats, then its second edge never becomes ready again."""
    body = f"""
{_edge(0, 8)} {_edge(1, 8)}
assign edge0_data = s_axis_tdata, edge0_valid = s_axis_tvalid, s_axis_tready = edge0_ready;
stage #(1) first (aclk, rst, edge0_data, edge0_valid, edge0_ready, edge1_data, edge1_valid, edge1_ready);
reg [15:0] seen = 0;
wire open = seen < {after};
always @(posedge aclk) if (edge1_valid && edge1_ready) seen <= seen + 1;
assign edge1_ready = m_axis_tready && open, m_axis_tvalid = edge1_valid && open, m_axis_tdata = edge1_data;
""" + _counter(BEATS)
    byte = Elements(1, 8)
    return Design(
        _STAGE.replace("{step}", "1") + _top([_slave("s_axis", 8), _master("m_axis", 8)], body), "accelerator",
        (StreamPort("x", "s_axis", 8, BEATS, byte),), (StreamPort("y", "m_axis", 8, BEATS, byte),),
        _edges([("x", "first"), ("first", "y")], 1),
    )  # fmt: skip


def random_frames(frames: int, lanes: int, seed: int = 0) -> np.ndarray:
    """Bytes (frames, BEATS, lanes)."""
    return np.random.default_rng(seed).integers(0, 256, (frames, BEATS, lanes), dtype=np.uint8)


def words_of(values: np.ndarray) -> np.ndarray:
    """Bytes (..., lanes) -> uint32 words (..., ceil(lanes / 4))."""
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % 4)])
    return np.ascontiguousarray(padded).view("<u4").astype(np.uint32)


def write_build(build: Path, design: Design, lanes: int, frames: int = 3) -> None:
    """A build folder of a chain() as `compile` writes it, with golden words (every stage adds one)."""
    for name in ("rtl", "vectors"):
        (build / name).mkdir(parents=True)
    (build / "rtl/accelerator.v").write_text(design.verilog)
    x = random_frames(frames, lanes)
    np.save(build / "vectors/inputs_0.npy", words_of(x))
    np.save(build / "vectors/outputs_0.npy", words_of(x + np.uint8(2)))
    for k in range(3):
        np.save(build / f"vectors/edges_{k}.npy", words_of(x + np.uint8(k)))
    rtl = {
        "top": design.top, "files": ["rtl/accelerator.v"], "clock": design.clock, "reset": design.reset,
        "inputs": [_entry(p) for p in design.inputs], "outputs": [_entry(p) for p in design.outputs],
        "edges": [_entry(e) for e in design.edges],
    }  # fmt: skip
    (build / "manifest.json").write_text(json.dumps({"rtl": rtl}))


def _entry(stream: StreamPort | EdgePort) -> dict[str, object]:
    entry = asdict(stream)
    elements = entry.pop("elements")
    return {**entry, **elements, "element_bits": elements["bits"]}
