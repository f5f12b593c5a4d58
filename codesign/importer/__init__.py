"""ONNX and QONNX files -> Graph; nothing else in the project knows ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codesign.graph import Graph
from codesign.importer.convert import convert
from codesign.importer.load import load
from codesign.importer.model import parse


@dataclass(frozen=True)
class Imported:
    """A real-valued, channels-last graph; the sha256 of its file; what was dropped or assumed on the way."""

    graph: Graph
    model_hash: str
    notes: tuple[str, ...]


def import_model(path: str | Path) -> Imported:
    """The graph that computes in float64 what the file's model computes; UserError where it cannot."""
    proto, model_hash = load(Path(path))
    model = parse(proto)
    return Imported(convert(model), model_hash, model.notes)
