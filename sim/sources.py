"""What is written per design beside its Verilog: the C++ binding of its ports, and the wrapper that taps its edges."""

from __future__ import annotations

from sim.design import Design

TAPPED_TOP = "codesign_tapped"


def ports_header(design: Design, edges: bool, trace: str) -> str:
    """ports.h for harness.cpp; `trace` is "", "vcd" or "fst"."""
    lines = ["#pragma once", '#include "Vdut.h"', *_trace_lines(trace), "using Model = Vdut;"]
    lines += [
        f"static void set_clock(Model& m, int level) {{ m.{design.clock} = level; }}",
        f"static void set_reset(Model& m, int level) {{ m.{design.reset} = level; }}",
        "template <class S>",
        "static void bind(Model& m, std::vector<S>& inputs, std::vector<S>& outputs, std::vector<S>& edges) {",
        *(_bind("inputs", f"{p.port}_t", p.port_bits, p.beats, True) for p in design.inputs),
        *(_bind("outputs", f"{p.port}_t", p.port_bits, p.beats, True) for p in design.outputs),
    ]
    if edges:
        lines += [_bind("edges", f"edge{e.index}_", e.data_bits, e.beats, False) for e in design.edges]
    return "\n".join([*lines, "}", ""])


def _trace_lines(trace: str) -> list[str]:
    if not trace:
        return []
    name = {"vcd": "VerilatedVcdC", "fst": "VerilatedFstC"}[trace]
    return [f'#include "verilated_{trace}_c.h"', "#define TRACED", f"using Trace = {name};"]


def _bind(group: str, prefix: str, bits: int, beats: int, last: bool) -> str:
    """One push_back, in the order of Stream's fields: signals, bytes, words, mask of the top word, beats, total."""
    last_signal = f"&m.{prefix}last" if last else "nullptr"
    mask = (1 << (bits - 1) % 32 + 1) - 1
    return (
        f"    {group}.push_back(S{{&m.{prefix}valid, &m.{prefix}ready, {last_signal}, "
        f"&m.{prefix}data, sizeof(m.{prefix}data), {-(-bits // 32)}, {mask:#x}u, {beats}, 0}});"
    )


def tap_wrapper(design: Design) -> str:
    """A SystemVerilog top with the design's own ports, and its edges' wires as outputs beside them."""
    ports = [("input", 1, design.clock), ("input", 1, design.reset)]
    for streams, here, there in ((design.inputs, "input", "output"), (design.outputs, "output", "input")):
        for p in streams:
            ports += [(here, p.port_bits, f"{p.port}_tdata"), (here, 1, f"{p.port}_tvalid")]
            ports += [(here, 1, f"{p.port}_tlast"), (there, 1, f"{p.port}_tready")]
    taps = []
    for e in design.edges:
        taps += [("output", e.data_bits, f"edge{e.index}_data")]
        taps += [("output", 1, f"edge{e.index}_valid"), ("output", 1, f"edge{e.index}_ready")]
    declared = ",\n".join(f"  {way} wire [{bits - 1}:0] {name}" for way, bits, name in ports + taps)
    pins = ", ".join(f".{name}({name})" for _, _, name in ports)
    assigned = "\n".join(f"  assign {name} = dut.{name};" for _, _, name in taps)
    return f"module {TAPPED_TOP} (\n{declared}\n);\n  {design.top} dut ({pins});\n{assigned}\nendmodule\n"
