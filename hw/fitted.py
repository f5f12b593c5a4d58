"""The constants of the cost formulas, fitted to synthesized stages by `benchmarks/cost_model.py`, which writes them.

LUTs are sites: paired, as `hw.synth` counts them. A name says whose constant it is and what one of it is for, as
`buffer.bit`: sites a bit of a buffer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
_values: Mapping[str, float] = json.loads(FILE.read_text())


def fitted(name: str) -> float:
    """The constant of that name."""
    return _values[name]


@contextmanager
def replaced(values: Mapping[str, float]) -> Iterator[None]:
    """Other constants for a while."""
    global _values
    before, _values = _values, values
    try:
        yield
    finally:
        _values = before
