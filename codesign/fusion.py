"""Fusions by name: what a person may switch off, and what each of them did or refused to do at which layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from codesign.cost import Comparison
from codesign.errors import UserError
from codesign.graph import Node

ALL = "all"


@dataclass(frozen=True)
class Fusion:
    """A rewrite by name; `text`: what it does, in one line; `needed`: why it cannot be off (empty where it can)."""

    name: str
    text: str
    needed: str = ""


@dataclass(frozen=True)
class Note:
    """What a fusion did at some of the user's layers, or (not `applied`) why it left them as they are."""

    layers: tuple[str, ...]
    applied: bool
    text: str


@dataclass
class Journal:
    """The notes of one fusion, in the order of its work, and the cost model that it may ask (None: there is none)."""

    compare: Comparison | None = None
    notes: list[Note] = field(default_factory=list)

    def did(self, text: str, *nodes: Node) -> None:
        self._add(True, text, nodes)

    def refused(self, text: str, *nodes: Node) -> None:
        self._add(False, text, nodes)

    def _add(self, applied: bool, text: str, nodes: Sequence[Node]) -> None:
        note = Note(tuple(dict.fromkeys(n.label for n in nodes)), applied, text)
        if note not in self.notes:
            self.notes.append(note)


def switched_off(names: Iterable[str], fusions: Sequence[Fusion]) -> frozenset[str]:
    """The fusions that `--no-fuse` names (commas between several; "all": every one that can be off)."""
    wanted = [n for text in names for n in text.split(",")]
    known = {f.name: f for f in fusions}
    free = [f.name for f in fusions if not f.needed]
    for name in wanted:
        if name != ALL and name not in known:
            raise UserError(f"--no-fuse {name}: fusions that can be switched off are {', '.join(free)}; or {ALL}")
        if name != ALL and known[name].needed:
            raise UserError(f"--no-fuse {name}: it cannot be switched off: {known[name].needed}")
    return frozenset(free if ALL in wanted else wanted)
