"""The rules of ready/valid streams as Verilog: a bench that drives a design freely and watches every port."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codesign.errors import UserError

# Rule -> what breaks it, in Verilog, for one stream: its valid {v}, ready {r} and data {d}; {waited} and {kept}
# remember v & !r and d of the cycle before.  {w}, {q}, {e} are v, r, d of the second copy of the design.
_SENDER = {
    "valid stays until ready": "!was_reset && {waited} && !{v}",
    "data stay while waiting": "!was_reset && {waited} && {v} && {d} != {kept}",
    "no valid in the cycle after a reset": "was_reset && {v}",
}
# Two copies start in any two states; after the same reset and the same inputs nobody can tell them apart.
_SURVIVES = "nothing survives a reset"
_OUTPUT = {**_SENDER, _SURVIVES: "{w} != {v} || ({v} && {e} != {d})"}
_INPUT = {_SURVIVES: "{q} != {r}"}
RULES = tuple(_OUTPUT)

_CLOCKS = {"clk": "clk", "aclk": "clk"}
_RESETS = {"rst": "reset", "aresetn": "~reset"}


@dataclass(frozen=True)
class Port:
    """A port of a module; `width` in bits."""

    name: str
    width: int
    is_input: bool


@dataclass(frozen=True)
class Stream:
    """One stream of a module: the names of its ports; an absent valid or ready is constant 1."""

    name: str
    is_input: bool
    valid: Port | None
    ready: Port | None
    data: tuple[Port, ...]


def streams(ports: Sequence[Port]) -> list[Stream]:
    """The streams of a module: ports <x>__valid, <x>__ready, <x>__payload, or AXI4-Stream's <x>_tvalid ..."""
    groups: dict[str, dict[str, Port]] = {}
    for port in _stream_ports(ports):
        found = re.fullmatch(r"(\w+?)_{1,2}t?(valid|ready|payload|data|last)", port.name)
        if found is None:
            raise UserError(f"port {port.name} is of no stream; stream ports are <x>__valid, __ready, __payload")
        groups.setdefault(found[1], {})[found[2]] = port
    return [_stream(name, roles) for name, roles in groups.items()]


def bench(ports: Sequence[Port], rules: Sequence[str]) -> str:
    """Verilog of module `bench`: two copies of module `dut`, free inputs that keep the rules, `rules` asserted.

    The first cycle is a reset; later ones come freely.  Outputs are those of the first copy, for a trace.
    """
    found = streams(ports)
    outputs = [port for port in ports if not port.is_input]
    declared = ", ".join(["input clk", "input rst", "output reset", *map(_declared, _stream_ports(ports))])
    breaks = [_SENDER[rule].format(**_terms(s)) for rule in _SENDER for s in found if s.is_input]
    return "\n".join(
        [
            f"module bench({declared});",
            "reg first = 1, was_reset = 0, broken = 0;",
            "assign reset = rst | first;",
            *(f"wire [{port.width - 1}:0] second_{port.name};" for port in outputs),
            _instance("a", ports, ""),
            _instance("b", ports, "second_"),
            *(f"reg {s.name}_waited = 0; reg [{_width(s) - 1}:0] {s.name}_kept;" for s in found),
            f"wire breaks = {_any(breaks)};",
            "always @(posedge clk) begin",
            "first <= 0; was_reset <= reset; broken <= broken | breaks;",
            *("{waited} <= {v} & ~{r}; {kept} <= {d};".format(**_terms(s)) for s in found),
            "end",
            *(_assertion(rule, found) for rule in rules),
            "endmodule",
        ]
    )


def _assertion(rule: str, found: Sequence[Stream]) -> str:
    """One rule for all streams; what follows a broken rule of an input is nobody's fault."""
    kinds = [(s, _INPUT if s.is_input else _OUTPUT) for s in found]
    broken = [kind[rule].format(**_terms(s)) for s, kind in kinds if rule in kind]
    return f"assert property (first || broken || breaks || !({_any(broken)}));"


def _stream(name: str, roles: dict[str, Port]) -> Stream:
    """The stream of ports given by role."""
    data = tuple(roles[role] for role in ("payload", "data", "last") if role in roles)
    return Stream(name, (*data, roles["valid"])[0].is_input, roles.get("valid"), roles.get("ready"), data)


def _terms(s: Stream) -> dict[str, str]:
    """What the letters of the rules stand for."""
    one = {"waited": f"{s.name}_waited", "kept": f"{s.name}_kept"}
    first = {"v": _signal([s.valid], ""), "r": _signal([s.ready], ""), "d": _signal(s.data, "")}
    second = {
        "w": _signal([s.valid], "second_"),
        "q": _signal([s.ready], "second_"),
        "e": _signal(s.data, "second_"),
    }
    return {**one, **first, **second}


def _signal(ports: Sequence[Port | None], copy: str) -> str:
    """The ports side by side as copy `copy` of the design has them (both have the same inputs)."""
    present = [port.name if port.is_input else copy + port.name for port in ports if port is not None]
    return f"{{{', '.join(present)}}}" if present else "1'b1"


def _width(s: Stream) -> int:
    return sum(port.width for port in s.data) or 1


def _any(terms: Sequence[str]) -> str:
    return " || ".join(f"({term})" for term in terms) or "1'b0"


def _stream_ports(ports: Sequence[Port]) -> list[Port]:
    """All ports but clock and reset."""
    return [port for port in ports if port.name not in _CLOCKS and port.name not in _RESETS]


def _declared(port: Port) -> str:
    return f"{'input' if port.is_input else 'output'} [{port.width - 1}:0] {port.name}"


def _instance(name: str, ports: Sequence[Port], copy: str) -> str:
    """One copy of the design; `copy` stands before the names of its outputs."""
    fixed = {**_CLOCKS, **_RESETS}
    wires = [(p.name, fixed.get(p.name, p.name if p.is_input else copy + p.name)) for p in ports]
    return f"dut {name}({', '.join(f'.{port}({wire})' for port, wire in wires)});"
