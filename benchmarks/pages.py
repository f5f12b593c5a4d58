"""What the benchmarks' pages are made of: Markdown tables, text between marks, figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column is text."""
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(head) - 1), *lines[1:]]) + "\n"


def put_between(page: Path, start: str, end: str, text: str) -> None:
    """Write a page anew with other text between two marks, each of which stands in it once."""
    before, rest = page.read_text().split(start)
    _, after = rest.split(end)
    page.write_text(f"{before}{start}\n{text}{end}{after}")


def figure(**options: Any) -> tuple[Any, Any]:
    """matplotlib's figure and axes, drawn without a screen, the same bytes on every run."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "codesign"
    from matplotlib import pyplot

    return pyplot.subplots(**options)


def save(drawn: Any, path: Path) -> None:
    """A figure as SVG."""
    drawn.tight_layout()
    drawn.savefig(path, metadata={"Date": None})
