"""A circuit as an and-inverter graph, evaluated on thousands of input words at once, and its dependencies.

Read from Yosys' ASCII AIGER.  A literal is 2 * node, plus one when inverted; literal 0 is constant false.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hw.yosys import run_yosys

# Gates only; registers become plain D flip-flops.  What is undefined (a ROM read past its end) is zero.
TO_GATES = """
techmap
setundef -zero
opt_expr
opt_merge
simplemap
dfflegalize -cell $_DFF_P_ 01
aigmap
"""


def read_line(design: str, file: str) -> str:
    """The Yosys line that reads an RTLIL or Verilog text lying in `file`."""
    return f"{'read_verilog -sv' if 'endmodule' in design else 'read_rtlil'} {file}"


def flat_script(design: str, file: str, top: str) -> str:
    """Yosys lines that make one flat module of `top` of an RTLIL or Verilog text lying in `file`.

    Memories become registers, and instances of Xilinx primitives what Yosys' cells_sim.v says that they do.
    """
    return f"""
{read_line(design, file)}
read_verilog -defer +/xilinx/cells_sim.v
hierarchy -check -top {top}
proc
flatten -noscopeinfo
opt_expr
wreduce
memory_map
setundef -undriven -zero
opt_expr
opt_merge
opt_clean
"""


Bits = np.ndarray  # bool, one entry a word
Words = dict[str, np.ndarray]  # port -> uint64, or Python integers for ports of more than 64 bits


@dataclass(frozen=True)
class Aig:
    """Ports as literals of their bits (least significant first), latches (literal, next), ands in order.

    Inputs named `init:...` stand for undefined initial values of registers; missing words are zero.
    """

    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    latches: list[tuple[int, int]]
    ands: list[tuple[int, int, int]]

    def step(self, words: Mapping[str, np.ndarray], state: list[Bits] | None = None) -> tuple[dict, list[Bits]]:
        """Output words by port, and the next state; without a state, from the initial one."""
        size = len(next(iter(words.values())))
        zero = np.zeros(size, np.uint64)
        node = {0: np.zeros(size, bool)}
        for name, literals in self.inputs.items():
            for place, literal in enumerate(literals):
                node[literal >> 1] = (words.get(name, zero) >> place) & 1 == 1
        for k, (literal, _) in enumerate(self.latches):
            node[literal >> 1] = state[k] if state else np.zeros(size, bool)
        for literal, left, right in self.ands:
            node[literal >> 1] = _value(node, left) & _value(node, right)
        out = {name: _word(node, literals) for name, literals in self.outputs.items()}
        return out, [_value(node, following) for _, following in self.latches]

    def reads(self, output: str) -> set[str]:
        """The input ports on which an output depends in the same cycle."""
        port = {literal >> 1: name for name, literals in self.inputs.items() for literal in literals}
        fan_in = {literal >> 1: (left >> 1, right >> 1) for literal, left, right in self.ands}
        seen: set[int] = set()
        todo = [literal >> 1 for literal in self.outputs[output]]
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo.extend(fan_in.get(node, ()))
        return {port[node] for node in seen if node in port}


def aig_of(design: str, top: str) -> Aig:
    """The graph of module `top` of an RTLIL or Verilog text."""
    script = flat_script(design, "design.txt", top) + TO_GATES + "write_aiger -ascii -zinit -symbols design.aag\n"
    _, written = run_yosys(script, {"design.txt": design}, ["design.aag"])
    return parse_aag(written["design.aag"])


def parse_aag(text: str) -> Aig:
    """The graph of an ASCII AIGER file with its symbols."""
    header, *lines = text.splitlines()
    _, inputs, latches, outputs, ands, bads = (int(n) for n in [*header.split()[1:], "0"][:6])
    rows = [[int(n) for n in line.split()] for line in lines[: inputs + latches + outputs + bads + ands]]
    names = dict(line.split(" ", 1) for line in lines[len(rows) :] if re.match(r"[io]\d+ ", line))
    first_output = inputs + latches
    return Aig(
        _ports(names, "i", [row[0] for row in rows[:inputs]]),
        _ports(names, "o", [row[0] for row in rows[first_output : first_output + outputs]]),
        [(row[0], row[1]) for row in rows[inputs:first_output]],
        [(a, b, c) for a, b, c in rows[len(rows) - ands :]],
    )


def _ports(names: Mapping[str, str], kind: str, literals: list[int]) -> dict[str, list[int]]:
    """Port name -> its literals, least significant first."""
    ports: dict[str, dict[int, int]] = {}
    for index, literal in enumerate(literals):
        for symbol in names.get(f"{kind}{index}", f"init:{index}").split():  # one bit may have several names
            name, _, place = symbol.rstrip("]").partition("[")
            ports.setdefault(name, {})[int(place or 0)] = literal
    return {name: [places[k] for k in sorted(places)] for name, places in ports.items()}


def _value(node: Mapping[int, Bits], literal: int) -> Bits:
    return ~node[literal >> 1] if literal & 1 else node[literal >> 1]


def _word(node: Mapping[int, Bits], literals: list[int]) -> np.ndarray:
    """The unsigned word of some bits: uint64, or Python integers where it has more than 64."""
    kind = np.uint64 if len(literals) <= 64 else object
    weights = np.array([1 << place for place in range(len(literals))], kind)
    bits = np.array([_value(node, literal) for literal in literals])
    return weights @ bits.astype(kind)
