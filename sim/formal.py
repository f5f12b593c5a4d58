"""Proofs: that streams keep their rules, that circuits equal their reference.

Yosys turns the design and its question into gates; ABC (inside Yosys) answers: property-directed reachability
(IC3) for all time, or bounded model checking to a stated depth where that takes too long.  Stream rules start
from *any* state of the registers and one cycle of reset, so that nothing a design does may rest on its history.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from codesign.errors import CheckFailed
from hw.yosys import abc_script, run_yosys
from sim.aig import TO_GATES, Aig, aig_of, flat_script, parse_aag, read_line
from sim.stream_rules import RULES, Port, bench, streams

_EXHAUSTIVE_BITS = 20


@dataclass(frozen=True)
class Proof:
    """What was shown: for every input word, for all time, or for the first `depth` cycles after a reset."""

    claim: str
    kind: Literal["exhaustive", "unbounded", "bounded"]
    depth: int | None
    seconds: float


@dataclass(frozen=True)
class _Answer:
    """`kind` of a proof, or a trace that refutes it (one text line a cycle)."""

    kind: Literal["unbounded", "bounded", "refuted"]
    depth: int | None
    trace: str = ""


def prove_stream_rules(design: str, top: str = "top", depth: int = 20, patience_s: int = 20) -> Proof:
    """Prove `sim.stream_rules.RULES` for module `top` of an RTLIL or Verilog text, for any pattern of waiting.

    Given that the inputs keep the rules.  In addition no output's valid or data may depend on an output's
    ready in the same cycle.  CheckFailed names the rule and shows a trace.  After `patience_s` seconds without
    an answer for all time, it is `depth` cycles after a reset that are checked.
    """
    start = time.monotonic()
    ports = ports_of(design, top)
    _refuse_ready_to_valid(design, top, ports)
    files = {"design.txt": design, "bench.v": bench(ports, RULES)}
    answer = _decide(_rules_script(design, top), files, depth, patience_s)
    if answer.kind == "refuted":
        raise CheckFailed(_broken_rule(design, top, ports, depth, patience_s))
    return Proof(f"{top} keeps the stream rules", answer.kind, answer.depth, time.monotonic() - start)


def prove_bench(design: str, top: str, bench: str, claim: str, depth: int = 20, patience_s: int = 20) -> Proof:
    """Prove the assertions of a Verilog module `bench`, which holds module `top` of a design as `dut`.

    The registers of `dut` start from any state. CheckFailed names the claim and shows a trace.
    """
    start = time.monotonic()
    answer = _decide(_rules_script(design, top), {"design.txt": design, "bench.v": bench}, depth, patience_s)
    if answer.kind == "refuted":
        raise CheckFailed(f"{claim}: not so in the last of these cycles:\n{answer.trace}")
    return Proof(claim, answer.kind, answer.depth, time.monotonic() - start)


def prove_equivalent(gate: str, gold: str, top: str = "top", patience_s: int = 60) -> Proof:
    """Prove that module `top` of two texts (RTLIL or Verilog) has equal outputs for equal inputs, for all time.

    Instances of Xilinx primitives mean what Yosys' cells_sim.v says.  CheckFailed shows a differing input.
    """
    start = time.monotonic()
    files = {"gate.txt": gate, "gold.txt": gold}
    script = f"""{flat_script(gate, "gate.txt", top)}
rename {top} gate
design -stash gate
{flat_script(gold, "gold.txt", top)}
rename {top} gold
design -copy-from gate gate
miter -equiv -make_assert -make_outputs -flatten gold gate bench
hierarchy -top bench
"""
    answer = _decide(script, files, 20, patience_s)
    if answer.kind != "unbounded":
        raise CheckFailed(f"{top} differs from its reference ({answer.kind}):\n{answer.trace}")
    return Proof(f"{top} equals its reference", "unbounded", None, time.monotonic() - start)


def prove_equal(
    design: str, golden: Callable[..., np.ndarray], top: str = "top", signed: Collection[str] = ()
) -> Proof:
    """Compare a combinational module with one output to `golden` on every input word (at most 20 input bits).

    `golden` takes one int64 array per input port, by name (ports in `signed` as two's complement), and gives
    the output as integers, compared modulo its width.  CheckFailed shows the first difference.
    """
    start = time.monotonic()
    aig = aig_of(design, top)
    words = _all_words(aig)
    if aig.latches or len(aig.outputs) != 1:
        raise ValueError(f"{top} is not combinational with one output")
    ((name, literals),) = aig.outputs.items()
    got = aig.step(words)[0][name]
    values = {port: _signed(w, len(aig.inputs[port])) if port in signed else w for port, w in words.items()}
    mask = (1 << len(literals)) - 1
    expected = np.broadcast_to(np.asarray(golden(**values)), got.shape).astype(object) & mask
    for k in np.flatnonzero(got.astype(object) != expected)[:1]:
        case = ", ".join(f"{port}={w[k]}" for port, w in values.items())
        raise CheckFailed(f"{top}({case}): {name} is {got[k]}, golden {expected[k]}")
    return Proof(f"{top} equals its golden", "exhaustive", None, time.monotonic() - start)


def ports_of(design: str, top: str) -> list[Port]:
    """The ports of module `top` of an RTLIL or Verilog text."""
    script = f"{read_line(design, 'design.txt')}\ntee -o ports.txt portlist {top}\n"
    _, written = run_yosys(script, {"design.txt": design}, ["ports.txt"])
    found = re.findall(r"^(input|output) \[(\d+):0\] (\S+)", written["ports.txt"], re.MULTILINE)
    return [Port(name, int(high) + 1, way == "input") for way, high, name in found]


def _rules_script(design: str, top: str) -> str:
    """Yosys lines that put `top` into the bench, its registers without initial values."""
    return f"""{flat_script(design, "design.txt", top)}
setattr -unset init w:*
rename {top} dut
read_verilog -sv bench.v
hierarchy -check -top bench
proc
flatten -noscopeinfo
"""


def _broken_rule(design: str, top: str, ports: Sequence[Port], depth: int, patience_s: int) -> str:
    """Text about the first rule that does not hold."""
    for rule in RULES:
        files = {"design.txt": design, "bench.v": bench(ports, [rule])}
        answer = _decide(_rules_script(design, top), files, depth, patience_s)
        if answer.kind == "refuted":
            return f"{top} breaks the stream rule '{rule}', in the last of these cycles:\n{answer.trace}"
    raise AssertionError("some rule was broken")


def _refuse_ready_to_valid(design: str, top: str, ports: Sequence[Port]) -> None:
    """CheckFailed where an output's valid or data reads an output's ready without a register between."""
    aig = aig_of(design, top)
    outputs = [s for s in streams(ports) if not s.is_input]
    ready = {s.ready.name for s in outputs if s.ready}
    for port in [p for s in outputs for p in (s.valid, *s.data) if p]:
        for read in sorted(ready & aig.reads(port.name)):
            raise CheckFailed(f"{top}: {port.name} depends on {read} in the same cycle; put a register between")


def _decide(script: str, files: Mapping[str, str], depth: int, patience_s: int) -> _Answer:
    """Whether the assertions of module bench hold; CheckFailed when neither way of asking ends in time."""
    gates = f"""{script}
chformal -lower
{TO_GATES}
write_aiger -ascii -zinit -symbols trace.aag
delete -output o:*
write_aiger -zinit bench.aig
"""
    said, trace = _ask(gates, files, f"pdr -T {patience_s} -L answer.log", patience_s)
    if said.startswith("snl_UNK"):
        said, trace = _ask(gates, files, f"bmc3 -F {depth} -T {3 * patience_s} -L answer.log", 3 * patience_s)
    status, cycle = said.split()[:2]
    if status == "snl_UNSAT":
        return _Answer("unbounded", None)
    if status == "snl_SAT":
        return _Answer("refuted", int(cycle), _trace(parse_aag(trace), said))
    if int(cycle) + 1 < depth:
        raise CheckFailed(f"undecided: only {int(cycle) + 1} of {depth} cycles checked; allow more time")
    return _Answer("bounded", depth)


def _ask(gates: str, files: Mapping[str, str], command: str, patience_s: int) -> tuple[str, str]:
    """ABC's answer to one command on the bench, and the bench as text."""
    # Merging registers that are always equal (scorr) often settles it alone.
    script = gates + abc_script(["read_aiger bench.aig", "scorr", "write_aiger swept.aig", command])
    wanted = ["answer.log", "trace.aag", "swept.aig"]
    _, written = run_yosys(script, files, wanted, timeout_s=60 + 2 * patience_s)
    said = "snl_UNSAT 0" if _never(written["swept.aig"]) else written["answer.log"]
    return said, written["trace.aag"]


def _never(aiger: str) -> bool:
    """Whether every output of a binary AIGER text is constant 0."""
    header, *lines = aiger.split("\n")
    latches, outputs = (int(n) for n in header.split()[3:5])
    return latches == 0 and all(line == "0" for line in lines[:outputs])


def _trace(aig: Aig, said: str) -> str:
    """The ports of the bench in the cycles of ABC's counterexample, as a text table."""
    bits = said.split("\n")[2].strip()
    order = sorted((literal, name, place) for name, ls in aig.inputs.items() for place, literal in enumerate(ls))
    literals = sorted({literal for literal, _, _ in order})
    state: list[np.ndarray] = []
    rows = []
    for cycle in range(len(bits) // len(literals)):
        given = dict(zip(literals, bits[cycle * len(literals) :], strict=False))
        words = {name: _number(given, ls) for name, ls in aig.inputs.items()}
        out, state = aig.step(words, state)
        shown = {**words, **out}
        rows.append("  ".join(f"{name}={int(w[0]):#x}" for name, w in sorted(shown.items()) if ":" not in name))
    return "\n".join(f"  cycle {k}: {row}" for k, row in enumerate(rows))


def _number(given: Mapping[int, str], literals: Sequence[int]) -> np.ndarray:
    return np.array([sum(int(given[literal]) << place for place, literal in enumerate(literals))], object)


def _all_words(aig: Aig) -> dict[str, np.ndarray]:
    """Every combination of input words, one int64 array a port."""
    total = sum(len(literals) for literals in aig.inputs.values())
    if total > _EXHAUSTIVE_BITS:
        raise ValueError(f"{total} input bits are too many to try all words; use prove_equivalent")
    every, words = np.arange(1 << total, dtype=np.int64), {}
    for name, literals in aig.inputs.items():
        words[name] = every & ((1 << len(literals)) - 1)
        every = every >> len(literals)
    return words


def _signed(words: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned codes read as two's complement."""
    return words - ((words >> (bits - 1)) << bits)
