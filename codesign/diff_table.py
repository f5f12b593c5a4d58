"""The table of `codesign diff`, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from codesign.diff_result import told
from codesign.html import Html, section, table, tag

WIDTH = 1000  # in a file or a pipe nothing is wrapped
HEAD = ("layer", "tensor", "type", "SQNR, dB", "its own, dB", "largest error", "integer", "RTL", "")
NUMBERS = HEAD[3:6]
LEGEND = (
    "SQNR and largest error: quantized against float; its own: of this tensor's rounding and weights alone. "
    "integer: integer network against quantized; fused: into the next tensor that is there. RTL: what the edges of "
    "the simulated design carried against the integer network."
)
EXACT, SILENT = 300.0, 120.0  # dB: no noise at all; none but that of float64

Values = Mapping[str, Any]


def print_diff(result: Values, console: Console) -> None:
    """The table, the layers that add most noise, and the first divergence."""
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDTH, highlight=False)
    shown = Table(title=escape(result["source"]), title_justify="left", box=box.SIMPLE)
    for name in HEAD:
        shown.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for row in shown_rows(result):
        style = "bold" if row["tensor"] in result["worst"] else "dim" if row["fused_into"] else ""
        shown.add_row(*map(escape, cells(result, row)), style=style)
    console.print(shown)
    for line in summary(result):
        console.print(escape(line))


def html_diff(result: Values | None) -> Html:
    """The same as a section of the report; nothing where `codesign diff` has not run."""
    if result is None:
        return Html("")
    rows = [cells(result, row) for row in shown_rows(result)]
    lines = (tag("p", line, class_="soft") for line in (f"{result['source']}. {LEGEND}", *summary(result)))
    return section("Where things differ", *lines, table(HEAD, rows))


def shown_rows(result: Values) -> list[Values]:
    """Without tensors that hold the elements of another, unless something is wrong with them."""
    return [r for r in result["rows"] if not r["same_elements"] or _wrong(r["integer"]) or _wrong(r["rtl"])]


def _wrong(exact: Values | None) -> bool:
    return bool(exact and exact["differing"])


def cells(result: Values, row: Values) -> list[str]:
    """A row as text, in the order of HEAD."""
    rank = result["worst"].index(row["tensor"]) + 1 if row["tensor"] in result["worst"] else 0
    diverges = result["first"] is not None and result["first"]["tensor"] == row["tensor"]
    marks = [f"◀ noise {rank}"] * bool(rank) + ["◀ diverges"] * diverges
    error = f"{row['largest_error']['error']:.4g}" if row["largest_error"] else ""
    integer = "fused" if row["fused_into"] else _said(row["integer"])
    return [
        row["layer"],
        row["tensor"],
        row["type"],
        _db(row["sqnr_db"]),
        _own(row["own_sqnr_db"]),
        error,
        integer,
        _said(row["rtl"]),
        " ".join(marks),
    ]


def _db(value: float | None) -> str:
    if value is None:
        return ""
    return "exact" if value >= EXACT else f"{value:.1f}"


def _own(value: float | None) -> str:
    """Nothing where nothing is rounded."""
    return "" if value is None or value >= SILENT else _db(value)


def _said(exact: Values | None) -> str:
    if exact is None:
        return ""
    if exact["differing"]:
        return f"{exact['differing']:,} of {exact['values']:,} differ"
    return f"equal, {exact['ties']:,} after ties" if exact["ties"] else "equal"


def summary(result: Values) -> list[str]:
    """The float column's meaning, the worst layers, ties, and the first divergence, a line each."""
    rows = {r["tensor"]: r for r in result["rows"]}
    lines = [f"float: {result['float']}"]
    lines += [_worst(k, rows[name]) for k, name in enumerate(result["worst"], 1)]
    if result["ties"]:
        lines.append(f"rounding ties: {len(result['ties'])} samples differ from one on: {_few(result['ties'])}")
    rtl = result["rtl"]
    if rtl["missing"]:
        lines.append(f"RTL: not compared: {rtl['missing']}")
    else:
        of = f"{rtl['samples']} of {result['samples']} samples"
        lines.append(f"RTL: {rtl['values']:,} values on {rtl['edges']} edges compared, {of}")
    return [*lines, f"first divergence: {told(result['first']) if result['first'] else 'none'}"]


def _worst(rank: int, row: Values) -> str:
    at = row["largest_error"]
    place = f"sample {at['sample']}, index ({', '.join(map(str, at['index']))})"
    layer = f" (layer '{row['layer']}')" if row["layer"] and row["layer"] != row["tensor"] else ""
    return (
        f"noise {rank}: '{row['tensor']}'{layer}: {row['own_sqnr_db']:.1f} dB by its own rounding; with all before it, "
        f"largest error at {place}: float {at['wanted']:.6g}, quantized {at['got']:.6g}"
    )


def _few(samples: Sequence[int]) -> str:
    return ", ".join(map(str, samples[:10])) + (" ..." if len(samples) > 10 else "")
