"""ONNX and QONNX files -> Graph; but for the exporter, nothing else in the project knows ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign.fusion import Fusion, Note
from codesign.graph import Graph
from codesign.importer.convert import convert
from codesign.importer.load import load
from codesign.importer.model import Model, parse

CONSTANTS, DEAD = FUSIONS = (
    Fusion(
        "constants",
        "operators whose operands are all constant are computed once",
        "shapes and weights must be known when the model is read",
    ),
    Fusion("dead-code", "what no output needs is left out", "hardware of results that nobody reads cannot be tested"),
)


@dataclass(frozen=True)
class Imported:
    """A real-valued, channels-last graph; the sha256 of its file; what was dropped or assumed on the way.

    `fused`: what the fusions above did, by their names.
    """

    graph: Graph
    model_hash: str
    notes: tuple[str, ...]
    fused: Mapping[str, tuple[Note, ...]]


def import_model(path: str | Path) -> Imported:
    """The graph that computes in float64 what the file's model computes; UserError where it cannot."""
    proto, model_hash = load(Path(path))
    model = parse(proto)
    return Imported(convert(model), model_hash, model.notes, _fused(model))


def _fused(model: Model) -> dict[str, tuple[Note, ...]]:
    constant = [n for n in model.nodes if not model.varying & set(n.outputs)]
    return {
        CONSTANTS.name: tuple(Note((n.origin,), True, f"{n.op} of constants computed once") for n in constant),
        DEAD.name: tuple(Note((n.origin,), True, f"no output needs this {n.op}") for n in model.dead),
    }
