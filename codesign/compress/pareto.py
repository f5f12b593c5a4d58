"""The Pareto front of a search: as a picture, as data, and as a page with both."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from codesign.build import replace_file
from codesign.compress.limits import Limits
from codesign.compress.search import Found
from codesign.errors import UserError

COLUMNS = ("lut", "bram36", "dsp", "interval_cycles")


def write_front(stem: Path, title: str, found: Sequence[Found], limits: Limits, won: Found | None) -> dict[str, str]:
    """STEM.pareto.png, .json and .html; their paths by kind."""
    paths = {kind: stem.with_name(f"{stem.name}.pareto.{kind}") for kind in ("png", "json", "html")}
    picture = _picture(title, found, limits, won)
    rows = described(found, won)
    replace_file(paths["png"], picture)
    replace_file(paths["json"], (json.dumps({"title": title, "trials": rows}, indent=1) + "\n").encode())
    replace_file(paths["html"], _page(title, picture, rows).encode())
    return {kind: str(path) for kind, path in paths.items()}


def described(found: Sequence[Found], won: Found | None) -> list[dict[str, Any]]:
    """Plain data, the least loss first."""
    order = sorted(found, key=lambda f: (f.measured.drop, f.use))
    return [
        {
            "trial": f.number, "accuracy_drop": f.measured.drop, "use": f.use, "pareto": f.is_best,
            "won": won is not None and f.number == won.number, "figures": asdict(f.measured.figures),
            "recipe": list(f.recipe),
        }
        for f in order
    ]  # fmt: skip


def _picture(title: str, found: Sequence[Found], limits: Limits, won: Found | None) -> bytes:
    """Points lost over the share of the scarcest resource."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "drawing needs matplotlib; install codesign with its extra: pip install 'codesign[compress]'"
        ) from None
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    front = sorted((f for f in found if f.is_best), key=lambda f: f.use)
    axes.plot([100 * f.use for f in found], [f.measured.drop for f in found], ".", color="0.7", label="tried")
    axes.step([100 * f.use for f in front], [f.measured.drop for f in front], "o-", where="post", label="Pareto front")
    if won is not None:
        axes.plot([100 * won.use], [won.measured.drop], "*", markersize=14, label="chosen")
    axes.axvline(100, linestyle=":", color="0.4")
    axes.axhline(limits.accuracy_drop, linestyle=":", color="0.4")
    axes.set(
        title=title, xlabel="% of the scarcest resource of the budget (estimated)", ylabel="points of accuracy lost"
    )
    axes.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120, metadata={"Software": None})
    return stream.getvalue()


def _page(title: str, picture: bytes, rows: Sequence[dict[str, Any]]) -> str:
    """One self-contained page: the picture, and the front as a table."""
    head = "".join(f"<th>{c}</th>" for c in ("points lost", "use", *COLUMNS, "recipe"))
    body = "".join(_line(r) for r in rows if r["pareto"] or r["won"])
    image = base64.b64encode(picture).decode()
    style = "body{font-family:sans-serif}td,th{padding:.2em .8em;text-align:right}td:last-child{text-align:left}"
    return (
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><h1>{escape(title)}</h1><img alt='Pareto front' src='data:image/png;base64,{image}'>"
        f"<table><tr>{head}</tr>{body}</table></body></html>\n"
    )


def _line(row: dict[str, Any]) -> str:
    numbers = [f"{row['accuracy_drop']:.2f}", f"{row['use']:.0%}", *(f"{row['figures'][c]:,.0f}" for c in COLUMNS)]
    cells = "".join(f"<td>{n}</td>" for n in numbers) + f"<td><code>{escape(json.dumps(row['recipe']))}</code></td>"
    return f"<tr{' style=font-weight:bold' if row['won'] else ''}>{cells}</tr>"
