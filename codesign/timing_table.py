"""What static timing found (`hw.sta`), in words: for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Values = dict[str, Any]


def clock(t: Values) -> str:
    """The estimate's range."""
    low, high = t["fmax_mhz"]
    return f"{low:,.0f} to {high:,.0f} MHz"


def path(p: Values) -> str:
    """Times and depth of one path."""
    chain = f", carry chain of {p['carry_bits']} bits" if p["carry_bits"] else ""
    return f"{p['ns']:.2f} ns: logic {p['logic_ns']:.2f}, wires {p['wire_ns']:.2f}; {p['luts']} LUTs{chain}"


def ends(p: Values) -> str:
    """From where to where."""
    return f"{p['start']} to {p['end']}"


def rule(t: Values) -> str:
    """Whether all is inside the pipeline rule."""
    r = t["rule"]
    text = f"{r['levels']} levels, carry chains of {r['carry_bits']} bits, {r['readers']} readers a net"
    if t["holds"]:
        return f"all {t['ends']:,} ends of paths within {text}"
    return f"outside {text}: {t['outside']:,} of {t['ends']:,} ends of paths, {t['wide']:,} nets"


def lines(t: Values) -> Iterator[str]:
    """All of it, a line each."""
    yield f"clock, estimated: {clock(t)} (wires as in one large circuit, or as in a small one; nothing is placed)"
    yield f"worst path: {path(t['worst'])}"
    yield f"  from {t['worst']['start']}"
    yield f"  to   {t['worst']['end']}"
    for cell in t["worst"]["cells"]:
        readers = f" behind a wire of {cell['wire_ns']:.3f} to {cell['readers']} readers" if cell["wire_ns"] else ""
        yield f"  {cell['ns']:.3f} ns {cell['cell']} {cell['pins']}{readers}"
    yield f"pipeline rule at {t['rule']['clock_mhz']:g} MHz: {rule(t)}"
    yield from outside(t)


def outside(t: Values) -> Iterator[str]:
    """The paths and nets that the rule refuses, the first of them."""
    for p in t["paths"]:
        yield f"  {p['levels']:g} levels, carry chain of {p['carry_bits']} bits: {ends(p)}"
    for net in t["nets"]:
        if net["readers"] > t["rule"]["readers"]:
            yield f"  {net['readers']} readers: {net['net']}, one is {net['reader']}"
