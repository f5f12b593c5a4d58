"""A netlist as a Verilog module: 7-series primitives for synthesis, plain expressions for all else.

Synthesis tools define SYNTHESIS; with CODESIGN_GENERIC defined too they read the plain expressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hw.netlist import tables
from hw.netlist.cells import FALSE, TRUE, Carry, Literal, Lut, Netlist, Register
from hw.netlist.fanout import MOST_READERS

PRIMITIVES = "`ifdef SYNTHESIS\n`ifndef CODESIGN_GENERIC\n`define CODESIGN_PRIMITIVES\n`endif\n`endif"
TRUE_BIT = "1'b1"


def module(netlist: Netlist, name: str, enabled: bool = False) -> str:
    """Ports: `aclk` and the netlist's inputs and outputs as vectors, lowest bit first; `run` enables the registers,
    each bit MOST_READERS of them."""
    logic = [cell for cell in netlist.cells if not isinstance(cell, Register)]
    cells = [cell for cell in netlist.cells if isinstance(cell, Register)]
    registers = [(cell, f"run[{k // MOST_READERS}]" if enabled else "") for k, cell in enumerate(cells)]
    stored = {cell.output for cell in cells}
    copied, alone = ([(cell, run) for cell, run in registers if cell.copy == copy] for copy in (True, False))
    lines = [
        f"module {name}({', '.join(_ports(netlist, enabled))});",
        PRIMITIVES,
        *_wires(netlist),
        "`ifdef CODESIGN_PRIMITIVES",
        *(line for cell in logic for line in (_lut_cell(cell) if isinstance(cell, Lut) else _carry_cells(cell))),
        *(_register_cell(cell, run) for cell, run in copied),
        "`else",
        *(line for cell in logic for line in (_lut_plain(cell) if isinstance(cell, Lut) else _carry_plain(cell))),
        *(_register(cell, run) for cell, run in copied),
        "`endif",
        *(_register(cell, run, cell.input in stored) for cell, run in alone),
        *(f"assign {port} = {_vector([_literal(b) for b in bits])};" for port, bits in netlist.outputs.items()),
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def _ports(netlist: Netlist, enabled: bool) -> Iterator[str]:
    yield "input aclk"
    if enabled:
        yield f"input [{run_bits(netlist) - 1}:0] run"
    yield from (f"input [{len(nets) - 1}:0] {port}" for port, nets in netlist.inputs.items())
    yield from (f"output [{len(bits) - 1}:0] {port}" for port, bits in netlist.outputs.items())


def _wires(netlist: Netlist) -> Iterator[str]:
    """Registers in a row stay flip-flops: slices have more of them than they need, a shift register takes a table."""
    registered = {cell.output for cell in netlist.cells if isinstance(cell, Register)}
    kept = '(* keep, shreg_extract = "no" *) '
    for port, nets in netlist.inputs.items():
        yield from (f"wire n{net} = {port}[{k}];" for k, net in enumerate(nets))
    for cell in netlist.cells:
        if isinstance(cell, Register) and cell.copy:
            primitive, plain = f"wire n{cell.output};", f"(* keep *) reg n{cell.output};"
            yield "\n".join(("`ifdef CODESIGN_PRIMITIVES", primitive, "`else", plain, "`endif"))
        elif isinstance(cell, Register):
            yield f"{kept if cell.input in registered else ''}reg n{cell.output};"
        else:
            yield f"wire {', '.join(f'n{net}' for net in cell.outputs)};"


def _vector(bits: Sequence[str]) -> str:
    """Lowest bit first -> a concatenation."""
    return "{" + ", ".join(reversed(bits)) + "}"


def _literal(bit: Literal) -> str:
    if bit in (FALSE, TRUE):
        return f"1'b{bit}"
    return f"~n{bit >> 1}" if bit & 1 else f"n{bit >> 1}"


def _lut_cell(cell: Lut) -> Iterator[str]:
    size = len(cell.inputs)
    pins = [f".I{j}(n{net})" for j, net in enumerate(cell.inputs)]
    if len(cell.tables) == 1:
        size = max(size, 1)
        pins = pins or [".I0(1'b0)"]
        init = f"{1 << size}'h{_repeated(cell.tables[0], len(cell.inputs), size):x}"
        yield f"LUT{size} #(.INIT({init})) u{cell.outputs[0]}({', '.join(pins)}, .O(n{cell.outputs[0]}));"
        return
    six, five = (_highest(t, size) for t in cell.tables)  # the last inputs come last, and the highest pins are fast
    pins = [f".I{j}(1'b0)" for j in range(5 - size)]
    pins += [f".I{5 - size + j}(n{net})" for j, net in enumerate(cell.inputs)] + [".I5(1'b1)"]
    outputs = f".O6(n{cell.outputs[0]}), .O5(n{cell.outputs[1]})"
    yield f"LUT6_2 #(.INIT(64'h{six << 32 | five:016x})) u{cell.outputs[0]}({', '.join(pins)}, {outputs});"


def run_bits(netlist: Netlist) -> int:
    """Enables of the registers."""
    return max(1, -(-sum(isinstance(cell, Register) for cell in netlist.cells) // MOST_READERS))


def _register(cell: Register, run: str, behind: bool = False) -> str:
    """`behind` another one: Yosys is kept from making shift registers of them, which take LUTs and are late."""
    kept, when = "(* keep *) " if behind else "", f"if ({run}) " if run else ""
    return f"{kept}always @(posedge aclk) {when}n{cell.output} <= n{cell.input};"


def _register_cell(cell: Register, run: str) -> str:
    """A primitive, since synthesis makes one of equal registers."""
    pins = f".C(aclk), .CE({run or TRUE_BIT}), .R(1'b0), .D(n{cell.input}), .Q(n{cell.output})"
    return f"FDRE u{cell.output}({pins});"


def _repeated(table: int, size: int, wanted: int) -> int:
    """The table over more inputs, which do not matter."""
    for k in range(size, wanted):
        table |= table << (1 << k)
    return table


def _highest(table: int, size: int) -> int:
    """The table on the highest of five inputs."""
    spread = 1 << (5 - size)
    return sum(((1 << spread) - 1) << (row * spread) for row in range(1 << size) if table >> row & 1)


def _lut_plain(cell: Lut) -> Iterator[str]:
    names = [f"n{net}" for net in cell.inputs]
    for table, net in zip(cell.tables, cell.outputs, strict=True):
        yield f"assign n{net} = {_expression(table, names)};"


def _expression(table: int, names: Sequence[str]) -> str:
    """A table as operators where it is a parity, else as a shifted constant: simulators compile either quickly."""
    size = len(names)
    if not names:
        return f"1'b{table & 1}"
    parity = tables.ones_bit(size, 0)
    if table in (parity, parity ^ tables.mask(size)):
        return ("" if table == parity else "~") + f"({' ^ '.join(names)})"
    return f"{1 << size}'h{table:x} >> {_vector(names)}"


def _carry_cells(cell: Carry) -> Iterator[str]:
    stem, last = f"c{cell.outputs[0]}", len(cell.select) - 1
    for k in range(0, last + 1, 4):
        name = f"{stem}_{k // 4}"
        select, data = ([_literal(b) for b in bits[k : k + 4]] + ["1'b0"] * 4 for bits in (cell.select, cell.data))
        ci, cyinit = (f"{stem}_{k // 4 - 1}_co[3]", 0) if k else ("1'b0", cell.carry_in)
        pins = f".S({_vector(select[:4])}), .DI({_vector(data[:4])}), .CO({name}_co), .O({name}_o)"
        yield f"wire [3:0] {name}_co, {name}_o;"
        yield f"CARRY4 {name}(.CI({ci}), .CYINIT(1'b{cyinit}), {pins});"
        yield from (f"assign n{net} = {name}_o[{j}];" for j, net in enumerate(cell.outputs[:-1][k : k + 4]))
    yield f"assign n{cell.outputs[-1]} = {stem}_{last // 4}_co[{last % 4}];"


def _carry_plain(cell: Carry) -> Iterator[str]:
    """As a sum, for which every device has its own chain: where a select is 0 both numbers have the datum's bit."""
    stem, first = f"c{cell.outputs[0]}", [TRUE_BIT] * cell.carry_in  # a column below that carries
    select, data = (_vector([_literal(b) for b in bits]) for bits in (cell.select, cell.data))
    size = len(cell.select)
    yield f"wire [{size - 1}:0] {stem}_s = {select}, {stem}_d = {data};"
    one, other = (_vector([*first, bits, "1'b0"]) for bits in (f"{stem}_d", f"{stem}_s ^ {stem}_d"))
    sums = _vector([*[f"{stem}_one"] * len(first), *(f"n{net}" for net in cell.outputs)])
    yield from (f"wire {stem}_one;" for _ in first)
    yield f"assign {sums} = {one} + {other};"
