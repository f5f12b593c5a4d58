"""docs/operators.md is what the code says."""

from __future__ import annotations

from codesign.importer.handlers import ROWS
from docs.make_operators import PAGE, page


def test_page_is_current() -> None:
    """Run `python -m docs.make_operators` where this fails, and read what changed."""
    assert PAGE.read_text() == page()


def test_page_lists_every_operator() -> None:
    lines = PAGE.read_text().splitlines()
    assert {line.split("|")[1].strip() for line in lines if line.startswith("| ")} == {"operator", *ROWS}
