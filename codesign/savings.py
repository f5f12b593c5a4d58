"""What every fusion saved: the same network laid out at the same rate with that one switched off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from codesign.cost import Comparison, Designer, Figures
from codesign.errors import CheckFailed
from codesign.fusion import Fusion, Note
from codesign.graph import Graph
from codesign.passes import run_passes
from codesign.passes.check import Check
from codesign.passes.split import split

SOURCE = "estimated: the same network at the same rate without this fusion, less the network as it is"
Saved = Figures | str


def savings(
    source: Graph, names: Iterable[str], off: Collection[str], compare: Comparison, design: Designer
) -> dict[str, Saved]:
    """By fusion, what the network takes more without it, or why it does not reach the rate without it."""
    whole, saved = laid_out(source, off, compare, design), dict[str, Saved]()
    for name in names:
        try:
            saved[name] = laid_out(source, {*off, name}, compare, design) - whole
        except CheckFailed as e:
            saved[name] = str(e)
    return saved


def laid_out(source: Graph, off: Collection[str], compare: Comparison, design: Designer) -> Figures:
    """What a quantized network takes with the fusions in `off` switched off."""
    return design(split(run_passes(source, off, compare)[0]).core, off)


def worth_measuring(fusions: Sequence[Fusion], off: Collection[str], notes: Mapping[str, Sequence[Note]]) -> list[str]:
    """The fusions that could be off and did something."""
    return [
        f.name for f in fusions if not f.needed and f.name not in off and any(n.applied for n in notes.get(f.name, ()))
    ]


def notes_of(fused: Mapping[str, Sequence[Note]], checks: Sequence[Check]) -> dict[str, Sequence[Note]]:
    """The notes of all fusions: of the import, and of the passes."""
    return {**fused, **{c.name: c.notes for c in checks}}


def described(
    fusions: Sequence[Fusion],
    off: Collection[str],
    notes: Mapping[str, Sequence[Note]],
    saved: Mapping[str, Saved],
) -> list[dict[str, Any]]:
    """Every fusion as plain data for the manifest; `saved`: empty where it was not measured."""
    return [
        {
            "name": f.name,
            "text": f.text,
            "needed": f.needed,
            "off": f.name in off,
            "notes": [asdict(n) for n in notes.get(f.name, ())],
            "saved": _saved(saved[f.name]) if f.name in saved else {},
        }
        for f in fusions
    ]


def _saved(saved: Saved) -> dict[str, Any]:
    return {"rate_lost": saved} if isinstance(saved, str) else {**asdict(saved), "source": SOURCE}
