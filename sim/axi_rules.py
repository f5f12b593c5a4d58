"""The rules of AXI ports as Verilog, and their proof: a bench whose other side does whatever the rules allow.

A port is named by the prefix of its pins, <prefix>_awvalid ..; its role says which side the design is on. Every
channel: valid low after a reset, then up until ready, with a payload that stays. The rest is in the roles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from codesign.errors import CheckFailed
from sim.formal import Proof, ports_of, prove_bench
from sim.stream_rules import Port


@dataclass(frozen=True)
class Role:
    """Verilog about one port, `P` standing for its prefix: state, what the other side must not do, and rule -> breach.

    The state is cleared by `first`; a breach is an expression that must never be true.
    """

    state: str
    never: tuple[str, ...]
    rules: Mapping[str, str]


_BAD_ADDRESS = "|| ".join(("P_aXaddr[2:0] != 0 ", "P_aXsize != 3 ", "P_aXburst != 1 ", "P_aXlock != 0 "))


def _address_rules(letter: str) -> dict[str, str]:
    """Of a 64-bit master that sends aligned increasing bursts."""
    fields = _BAD_ADDRESS.replace("X", letter)
    beyond = f"{{1'b0, P_a{letter}addr[11:3]}} + P_a{letter}len > 511"
    return {
        f"a{letter}: aligned increasing bursts of 64-bit words": f"P_a{letter}valid && ({fields})",
        f"a{letter}: no burst crosses 4 KiB": f"P_a{letter}valid && ({beyond})",
    }


READ_MASTER = Role(
    state="""
reg [4:0] P_reads = 0;  // bursts asked for less bursts answered
always @(posedge clk) P_reads <= first ? 0 : P_reads + (P_arvalid & P_arready) - (P_rvalid & P_rready & P_rlast);
""",
    never=("P_rvalid && P_reads == 0",),
    rules={**_address_rules("r"), "at most eight bursts unanswered": "P_reads > 8"},
)

# Lengths of accepted bursts whose data are still to come wait in a queue, eight of four bits. Data may be a burst ahead
# of its address, if that is offered (`P_ahead`).
WRITE_MASTER = Role(
    state="""
reg [31:0] P_lengths = 0; reg [3:0] P_waiting = 0, P_beat = 0; reg P_ahead = 0;
reg [4:0] P_whole = 0, P_asked = 0;
wire P_address = P_awvalid & P_awready, P_data = P_wvalid & P_wready, P_ends = P_data & P_wlast;
wire P_some = P_waiting != 0;
wire [3:0] P_length = P_some ? P_lengths[3:0] : P_awlen;
wire P_push = P_address & ~P_ahead & ~(P_ends & ~P_some), P_pop = P_ends & P_some;
wire [31:0] P_left = P_pop ? P_lengths >> 4 : P_lengths;
wire [3:0] P_place = P_waiting - P_pop;
always @(posedge clk) if (first) begin P_waiting <= 0; P_beat <= 0; P_ahead <= 0; P_whole <= 0; P_asked <= 0; end
else begin
  P_waiting <= P_place + P_push;
  P_lengths <= P_push ? (P_left & ~(32'hf << 4 * P_place)) | (P_awlen << 4 * P_place) : P_left;
  P_beat <= P_ends ? 0 : P_beat + P_data;
  P_ahead <= (P_ahead & ~P_address) | (P_ends & ~P_some & ~P_address);
  P_asked <= P_asked + P_address - (P_bvalid & P_bready);
  P_whole <= P_whole + P_ends - (P_bvalid & P_bready);
end
""",
    never=("P_bvalid && (P_asked == 0 || P_whole == 0)",),
    rules={
        **_address_rules("w"),
        "w: data belong to a burst that was asked for": "P_wvalid && !P_some && (P_ahead || !P_awvalid)",
        "w: last with the last beat of the burst": "P_wvalid && P_wlast != (P_beat == P_length)",
        "w: the burst's ID": "P_wvalid && P_wid != 0 || P_awvalid && P_awid != 0",
        "at most eight bursts unanswered": "P_asked > 8",
    },
)

SLAVE = Role(
    state="""
reg P_reading = 0, P_writing = 0, P_written = 0; reg [3:0] P_rleft, P_wleft; reg [11:0] P_rwant, P_bwant;
always @(posedge clk) if (first) begin P_reading <= 0; P_writing <= 0; P_written <= 0; end
else begin
  if (P_rvalid & P_rready) begin P_rleft <= P_rleft - 1; if (P_rleft == 0) P_reading <= 0; end
  if (P_arvalid & P_arready) begin P_reading <= 1; P_rleft <= P_arlen; P_rwant <= P_arid; end
  if (P_wvalid & P_wready) begin P_wleft <= P_wleft - 1; if (P_wleft == 0) P_written <= 1; end
  if (P_bvalid & P_bready) P_writing <= 0;
  if (P_awvalid & P_awready) begin P_writing <= 1; P_written <= 0; P_wleft <= P_awlen; P_bwant <= P_awid; end
end
""",
    never=(),
    rules={
        "one burst at a time": "P_reading && P_arvalid && P_arready || P_writing && P_awvalid && P_awready",
        "w: as many beats as were announced": "P_wvalid && P_wready && (!P_writing || P_written)",
        "r: no response without a request": "P_rvalid && !P_reading",
        "r: the request's ID": "P_rvalid && P_rid != P_rwant",
        "r: last with the last beat": "P_rvalid && P_rlast != (P_rleft == 0)",
        "b: only behind address and all data": "P_bvalid && !(P_writing && P_written)",
        "b: the request's ID": "P_bvalid && P_bid != P_bwant",
    },
)

LITE_MASTER = Role(
    state="""
reg P_reading = 0, P_address = 0, P_data = 0;
always @(posedge clk) if (first) begin P_reading <= 0; P_address <= 0; P_data <= 0; end
else begin
  P_reading <= (P_reading & ~(P_rvalid & P_rready)) | (P_arvalid & P_arready);
  P_address <= (P_address & ~(P_bvalid & P_bready)) | (P_awvalid & P_awready);
  P_data <= (P_data & ~(P_bvalid & P_bready)) | (P_wvalid & P_wready);
end
""",
    never=("P_rvalid && !P_reading", "P_bvalid && !(P_address && P_data)"),
    rules={"one access at a time": "P_arvalid && P_reading || P_awvalid && P_address || P_wvalid && P_data"},
)

LITE_SLAVE = Role(
    state=LITE_MASTER.state,
    never=(),
    rules={
        "r: no response without a request": "P_rvalid && !P_reading",
        "b: only behind address and data": "P_bvalid && !(P_address && P_data)",
    },
)


def prove_axi_rules(
    design: str, roles: Mapping[str, Role], never: Sequence[str] = (), also: Mapping[str, str] | None = None,
    state: str = "", top: str = "top", depth: int = 20, patience_s: int = 20,
) -> Proof:  # fmt: skip
    """Prove the rules of every port (prefix -> role) of module `top` of an RTLIL or Verilog text.

    From any state and a clock of reset on, if the other sides keep the rules. never: what other inputs do not do;
    also: more rules; both may name state of the roles and of `state`, which is Verilog. CheckFailed names the broken
    rule with a trace. Where there is no answer for all time in `patience_s` seconds, `depth` clocks are checked.
    """
    ports = ports_of(design, top)
    breaches = _breaches(ports, roles) | dict(also or {})
    claim = f"{top} keeps the AXI rules of {', '.join(roles)}"
    try:
        return prove_bench(design, top, _bench(ports, roles, never, state, breaches.values()), claim, depth, patience_s)
    except CheckFailed as e:
        if not str(e).startswith(claim):
            raise
        for rule, breach in breaches.items():
            prove_bench(design, top, _bench(ports, roles, never, state, [breach]), f"'{rule}'", depth, patience_s)
        raise


def _breaches(ports: Sequence[Port], roles: Mapping[str, Role]) -> dict[str, str]:
    """Rule -> breach, of all ports."""
    found = {}
    for c in _channels(ports, roles):
        if not c.is_input:
            found[f"{c.name}: valid low after a reset"] = f"was_first && {c.name}valid"
            found |= {f"{c.name}: {rule}": breach for rule, breach in c.waiting().items()}
    for prefix, role in roles.items():
        found |= {f"{prefix}: {rule}": _of(prefix, breach) for rule, breach in role.rules.items()}
    return found


def _bench(
    ports: Sequence[Port], roles: Mapping[str, Role], never: Sequence[str], state: str, breaches: Iterable[str]
) -> str:
    """Module `bench`; what follows a breach of the other side's rules is nobody's fault."""
    channels = _channels(ports, roles)
    foreign = [term for c in channels if c.is_input for term in c.waiting().values()]
    foreign += [_of(prefix, term) for prefix, role in roles.items() for term in role.never]
    pins = [p for p in ports if p.name not in ("clk", "rst")]
    declared = ", ".join(f"{'input' if p.is_input else 'output'} [{p.width - 1}:0] {p.name}" for p in pins)
    wired = ", ".join([".clk(clk)", ".rst(first)", *(f".{p.name}({p.name})" for p in pins)])
    return "\n".join(
        [
            f"module bench(input clk, {declared});",
            "reg first = 1, was_first = 0, broken = 0;",
            f"dut a({wired});",
            *(c.memory() for c in channels),
            *(_of(prefix, role.state) for prefix, role in roles.items()),
            state,
            f"wire breaks = {_any([*foreign, *never])};",
            "always @(posedge clk) begin first <= 0; was_first <= first; broken <= broken | (breaks & ~first); end",
            f"assert property (first || broken || breaks || !({_any(breaches)}));",
            "endmodule",
        ]
    )


@dataclass(frozen=True)
class _Channel:
    """The pins <name>valid, <name>ready, <name>..; `is_input`: the other side sends."""

    name: str
    is_input: bool
    payload: tuple[Port, ...]

    def _data(self) -> str:
        return f"{{{', '.join(p.name for p in self.payload)}}}"

    def memory(self) -> str:
        n, width = self.name, sum(p.width for p in self.payload)
        return (
            f"reg {n}waited = 0; reg [{width - 1}:0] {n}kept;\n"
            f"always @(posedge clk) begin {n}waited <= {n}valid & ~{n}ready & ~first; {n}kept <= {self._data()}; end"
        )

    def waiting(self) -> dict[str, str]:
        n = self.name
        return {
            "valid stays until ready": f"{n}waited && !{n}valid",
            "payload stays while waiting": f"{n}waited && {self._data()} != {n}kept",
        }


def _channels(ports: Sequence[Port], roles: Mapping[str, Role]) -> list[_Channel]:
    found = []
    for valid in ports:
        name = valid.name.removesuffix("valid")
        if name != valid.name and re.fullmatch(r"(a?[rw]|b)", name.rpartition("_")[2]) and _prefix(name) in roles:
            payload = [p for p in ports if p.name.startswith(name) and p.name[len(name) :] not in ("valid", "ready")]
            found.append(_Channel(name, valid.is_input, tuple(payload)))
    return found


def _prefix(channel: str) -> str:
    return channel.rpartition("_")[0]


def _of(prefix: str, text: str) -> str:
    return re.sub(r"\bP_", f"{prefix}_", text)


def _any(terms: Iterable[str]) -> str:
    return " || ".join(f"({term})" for term in terms) or "1'b0"
