"""Fusions as people read them: what each did and saved, and why one left a layer as it is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from codesign import html
from codesign.errors import UserError

Told = Mapping[str, Any]
SAVED = {
    "stages": "stages",
    "latency_cycles": "latency, cycles",
    "lut": "LUT",
    "bram36": "BRAM36",
    "fifo_bits": "FIFO bits",
}


def fusion_table(fusions: Sequence[Told]) -> Table:
    """One row a fusion; what it saves only where that was measured."""
    measured = any(f["saved"] for f in fusions)
    table = Table(title="fusions" + (", and what each saves" if measured else ""), title_justify="left", box=box.SIMPLE)
    for name in ("fusion", "what it does", "applied", "refused"):
        table.add_column(name, overflow="fold")
    for title in SAVED.values() if measured else ():
        table.add_column(title, justify="right")
    for f in fusions:
        done = sum(n["applied"] for n in f["notes"])
        counts = ["off" if f["off"] else str(done or ""), str(len(f["notes"]) - done or "")]
        saved = saved_cells(f["saved"]) if measured else []
        table.add_row(f["name"], escape(f["text"]), *counts, *saved)
    return table


def saved_cells(saved: Told) -> list[str]:
    """A cell a figure; without some fusions the rate is not reached at all."""
    if "rate_lost" in saved:
        return ["the rate"] + [""] * (len(SAVED) - 1)
    return [f"{saved[k]:,.5g}" if saved else "" for k in SAVED]


def why(layer: str, fusions: Sequence[Told], layers: Sequence[str]) -> dict[str, Any]:
    """What every fusion says of a layer; UserError where there is none of that name."""
    known = {*layers, *(x for f in fusions for n in f["notes"] for x in n["layers"])}
    if layer not in known:
        near = difflib.get_close_matches(layer, known, n=3, cutoff=0.3)
        raise UserError(f"--why {layer}: no such layer; near are {', '.join(near) or ', '.join(sorted(known)[:5])}")
    return {"layer": layer, "fusions": [_at(layer, f) for f in fusions]}


def _at(layer: str, fusion: Told) -> dict[str, Any]:
    here = [n for n in fusion["notes"] if layer in n["layers"]]
    nothing = "switched off" if fusion["off"] else f"found nothing to do here ({fusion['text']})"
    return {
        "name": fusion["name"],
        "applied": any(n["applied"] for n in here),
        "said": [f"{'' if n['applied'] else 'not done: '}{n['text']}{_others(layer, n)}" for n in here] or [nothing],
    }


def _others(layer: str, note: Told) -> str:
    others = [x for x in note["layers"] if x != layer]
    return f" (with {', '.join(others)})" if others else ""


def why_table(answer: Told) -> Table:
    table = Table(title=f"why: {escape(answer['layer'])}", title_justify="left", box=box.SIMPLE)
    for name in ("fusion", "done", "what it says"):
        table.add_column(name, overflow="fold")
    for f in answer["fusions"]:
        table.add_row(f["name"], "yes" if f["applied"] else "", escape("\n".join(f["said"])))
    return table


def html_fusions(fusions: Sequence[Told]) -> html.Html:
    """What each fusion did and refused, and what it saves where that was measured."""
    head = ("fusion", "what it does", "applied", "refused", *SAVED.values())
    rows = [
        (
            html.tag("code", f["name"]),
            f["text"],
            *("\n".join(_said(f, done)) for done in (True, False)),
            *saved_cells(f["saved"]),
        )
        for f in fusions
    ]
    note = (
        "Savings, where `compile --savings` measured them: what the network takes more without the fusion, estimated."
    )
    return html.join((html.tag("p", note, class_="soft"), html.table(head, rows)))


def _said(fusion: Told, applied: bool) -> list[str]:
    return [f"{', '.join(n['layers'])}: {n['text']}" for n in fusion["notes"] if n["applied"] == applied]
