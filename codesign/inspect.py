"""What a model holds, before and after fusion; nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from codesign.cost import Comparison
from codesign.energy import PICOJOULES, RULES, SOURCE
from codesign.errors import UserError
from codesign.fusion import Note
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.layers import Layer, View, layers_of
from codesign.passes import run_passes
from codesign.passes.check import Check
from codesign.passes.split import split
from codesign.savings import notes_of
from codesign.show_fusions import fusion_table, why_table

SHAPES = "channels × rows × columns for images, other tensors as in the model; one sample"
FILE_WIDTH = 180  # of tables in a file or a pipe, which have no width of their own
UNITS = {"mJ": 1e9, "µJ": 1e6, "nJ": 1e3, "pJ": 1.0}
PARAMETERS = "a batch normalization counts its scales (as weights) and shifts (as biases); its statistics are in them"
COUNTED = ("weights", "biases", "thresholds", "macs", "memory_bits", "energy_pj")


@dataclass(frozen=True)
class Inspection:
    """The layers of a model before fusion and after it, or `after_missing`: why there are none after it.

    `fused`: what each fusion did; `source`: the network as imported; `core`: what of it the accelerator computes.
    """

    file: str
    sha256: str
    notes: tuple[str, ...]
    before: tuple[Layer, ...]
    after: tuple[Layer, ...]
    after_missing: str
    checks: tuple[Check, ...]
    fused: Mapping[str, Sequence[Note]]
    source: Graph
    core: Graph | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data: layers with their share of the parameters, and totals."""
        return {
            "model": {"file": self.file, "sha256": self.sha256, "notes": list(self.notes)},
            "shapes": SHAPES,
            "parameters": PARAMETERS,
            "energy": {"source": SOURCE, "rules": RULES, "picojoules": PICOJOULES},
            "before": _described(self.before),
            "after": _described(self.after) if self.after else None,
            "after_missing": self.after_missing,
            "passes": [c.to_dict() for c in self.checks],
        }


def inspect_model(path: Path, off: Collection[str] = (), compare: Comparison | None = None) -> Inspection:
    """The layer tables of an ONNX file without the fusions in `off`; UserError where it cannot be read."""
    imported = import_model(path)
    before = layers_of(imported.graph)
    about = (path.name, imported.model_hash, imported.notes, before)
    try:
        fused, checks = run_passes(imported.graph, off, compare)
        parts = split(fused)
    except UserError as e:
        return Inspection(*about, (), str(e), (), imported.fused, imported.graph, None)
    cut = {"host, before": parts.before, "accelerator": parts.core, "host, after": parts.after}
    where = {n.name: place for place, part in cut.items() for n in part.nodes}
    after = layers_of(fused, where, fused_into(imported.graph, fused))
    notes = notes_of(imported.fused, checks)
    return Inspection(*about, after, "", tuple(checks), notes, imported.graph, parts.core)


def fused_into(before: Graph, after: Graph) -> dict[str, list[str]]:
    """By layer that is left, the layers that went into it: the next ones down the stream that still exist."""
    left = {name for name, _ in View(after).groups}
    into: dict[str, list[str]] = {}
    for (name, _), nodes in View(before).groups.items():
        node = nodes[-1]
        while node.label not in left and before.readers[node.name]:
            node = before.readers[node.name][0]
        if name not in left and node.label in left:
            into.setdefault(node.label, []).append(name)
    return into


def _described(layers: Sequence[Layer]) -> dict[str, Any]:
    totals = {k: sum(getattr(x, k) for x in layers) for k in COUNTED}
    parameters = totals["weights"] + totals["biases"]
    rows = [{**asdict(x), "parameters": x.parameters, "share": x.parameters / max(parameters, 1)} for x in layers]
    return {"layers": rows, "totals": {**totals, "parameters": parameters}}


def print_tables(result: Mapping[str, Any], console: Console) -> None:
    """What `to_dict` gave, for people."""
    if not console.is_terminal:
        console = Console(file=console.file, width=max(console.width, FILE_WIDTH), highlight=False)
    console.print(_table(f"{escape(result['model']['file'])}: the layers of the model", result["before"]))
    if result["after"] is None:
        console.print(f"after fusion: no integer network: {escape(result['after_missing'])}")
    else:
        console.print(_table("after fusion", result["after"]))
    if "fusions" in result:
        console.print(fusion_table(result["fusions"]))
    if "why" in result:
        console.print(why_table(result["why"]))
    for note in result["model"]["notes"]:
        console.print(f"note: {escape(note)}")
    console.print(f"shapes: {result['shapes']}")
    console.print(f"parameters: {result['parameters']}")
    console.print(f"energy: {result['energy']['source']}; {result['energy']['rules']}")


def _table(title: str, part: Mapping[str, Any]) -> Table:
    """One row a layer; the footer holds the totals."""
    table = Table(title=title, title_justify="left", show_footer=True, box=box.SIMPLE)
    totals, unit = part["totals"], _unit(part["totals"]["energy_pj"])
    for name in ("layer", "where", "operator", "input", "output"):
        if name != "where" or part["layers"][-1]["where"]:
            table.add_column(name, "total" if name == "layer" else "", overflow="fold")
    for name in ("weights", "biases", "share", "MACs", "memory bits"):
        key = {"MACs": "macs", "memory bits": "memory_bits"}.get(name, name)
        table.add_column(name, _count(totals[key]) if key in totals else "", justify="right")
    table.add_column(f"energy, {unit}", _energy(totals, unit), justify="right")
    for layer in part["layers"]:
        table.add_row(*_row(layer, unit))
    return table


def _row(x: Mapping[str, Any], unit: str) -> list[str]:
    name = "\n+ ".join(map(escape, (x["name"], *x["also"])))
    place = [x["where"]] if x["where"] else []
    shapes = ["\n".join(map(_tensor, x["inputs"])), _tensor(x["output"])]
    weights = f"{_count(x['weights'])} {escape(x['weight_format'])}".strip()
    share = f"{x['share']:.2%}" if x["parameters"] else ""
    counts = [weights, _count(x["biases"]), share, _count(x["macs"]), _count(x["memory_bits"])]
    return [name, *place, x["operator"], *shapes, *counts, _energy(x, unit)]


def _tensor(t: Mapping[str, Any]) -> str:
    return escape(f"{'×'.join(map(str, t['shape'])) or 'scalar'} {t['format']}")


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _unit(picojoules: float) -> str:
    """The unit in which the total has one to three digits before the point."""
    return next((u for u, size in UNITS.items() if picojoules >= size), "pJ")


def _energy(x: Mapping[str, Any], unit: str) -> str:
    return f"{x['energy_pj'] / UNITS[unit]:,.4g}" if x["energy_pj"] else ""
