"""Compression of the residual network without training: accuracy against LUT and DSP, weights kept or answers kept.

    .venv/bin/python -m benchmarks.pareto_residual [--results build/pareto.json] [--docs docs/pareto_residual.md]

Low rank (svd) and channel pruning on models/cifar10/ic_residual_float.onnx. Everything is fitted, selected and
quantized (int8) with CIFAR images 3500-3999, and scored on 0-3499 with the integer network; cost is the estimate at a
fixed rate. A method's two rows have the same layers, and the same ranks or numbers of channels; only where channels go
`in all` each way divides them among the layers by itself. Results are kept in a file as they come; what is there
already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, answers, percent, residual
from benchmarks.pages import figure, put_between, save
from boards import board_named
from codesign.compress.count import count
from codesign.compress.recipe import recipe_of
from codesign.compress.step import Data, rounded
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.quantize import STEPS, quantize, read_precision
from codesign.quantize.regions import Price
from hw.cost import cost_of

BOARD, CLOCK_HZ, FPS = "pynq-z2", 100e6, 1000.0
WIDE = "Conv_74, Conv_84, Conv_87, Conv_97, Conv_99, Conv_105"  # the layers with most of the weights
FREE = "Conv_12, Conv_24, Conv_37, Conv_49, Conv_62, Conv_74, Conv_87, Conv_97, Conv_99, Conv_105"  # tied to no other
WEIGHTS, ANSWERS = "weights", "answers"
START, END = "<!-- table of benchmarks/pareto_residual.py -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Setting:
    """A point: the method and its one number, what it keeps, and the recipe."""

    method: str
    kept: str
    recipe: tuple[Mapping[str, Mapping[str, Any]], ...]

    @property
    def key(self) -> str:
        return json.dumps(self.recipe)


def settings() -> list[Setting]:
    found = [Setting("as given", "", ())]
    for share in (0.8, 0.65, 0.5, 0.35):
        for kept in (WEIGHTS, ANSWERS):
            step = {"svd": {"layers": WIDE, "share": share, "responses": kept == ANSWERS}}
            found.append(Setting(f"svd, {share:.0%} of the weights", kept, (step,)))
    for sparsity in (0.125, 0.25, 0.375, 0.5):
        plain = {"sparsity": sparsity, "layers": FREE}
        found.append(Setting(f"channels, {sparsity:.1%} less of each layer", WEIGHTS, ({"filter-norm": plain},)))
        found.append(Setting(f"channels, {sparsity:.1%} less of each layer", ANSWERS, ({"surgeon": plain},)))
    for sparsity in (0.2, 0.4, 0.55):
        title, plain = (
            f"channels, {sparsity:.0%} less in all",
            {"sparsity": sparsity, "layers": FREE, "scope": "global"},
        )
        found.append(Setting(title, WEIGHTS, ({"filter-norm": plain},)))
        found.append(Setting(title, ANSWERS, ({"surgeon": plain},)))
    return found


@dataclass(frozen=True)
class Point:
    """A setting measured. `share`: of the board's LUT and of its DSP, added up."""

    method: str
    kept: str
    parameters: int
    macs: int
    lut: float
    dsp: float
    bram36: float
    share: float
    real: float
    accuracy: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=Path("build/pareto_residual.json"))
    parser.add_argument("--docs", type=Path)
    a = parser.parse_args()
    a.results.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, dict[str, Any]] = json.loads(a.results.read_text()) if a.results.exists() else {}
    case = residual()
    graph = rounded(import_model(case.model).graph)
    for setting in settings():
        if setting.key not in known:
            known[setting.key] = asdict(measured(graph, case, setting))
            a.results.write_text(json.dumps(known, indent=1))
        print(line(Point(**known[setting.key])), flush=True)
    points = [Point(**known[s.key]) for s in settings()]
    for told in compared(points):
        print(told)
    if a.docs:
        write(a.docs, points)


def measured(graph: Graph, case: Case, setting: Setting) -> Point:
    start, samples = time.perf_counter(), {graph.inputs[0].name: case.calibration}
    found = graph
    for step in recipe_of(setting.recipe) if setting.recipe else ():
        found = rounded(step.apply(found, Data(samples))[0])
    seconds = time.perf_counter() - start
    target = board_named(BOARD).target(CLOCK_HZ, FPS)
    quantized = quantize(found, samples, read_precision("int8"), "mse", STEPS).graph
    cost, counted = Price(cost_of, target).of(quantized), count(found)
    whole = board_named(BOARD).budget
    share = cost.lut / whole.lut + cost.dsp / whole.dsp
    scores = percent(answers(found, case), case), percent(answers(quantized, case), case)
    amounts = cost.lut, cost.dsp, cost.bram36, share
    return Point(setting.method, setting.kept, counted.parameters, counted.macs, *amounts, *scores, seconds)


def line(p: Point) -> str:
    cells = (f"{p.parameters:,}", f"{p.macs:,}", f"{p.lut:,.0f}", f"{p.dsp:.0f}", f"{p.bram36:.1f}", f"{p.share:.1%}")
    return f"| {p.method} | {p.kept} | {' | '.join(cells)} | {p.real:.2f} | {p.accuracy:.2f} |"


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in accuracy at no more cost, the cheapest first."""
    found: list[Point] = []
    for p in sorted(points, key=lambda p: (p.share, -p.accuracy)):
        if not found or p.accuracy > found[-1].accuracy:
            found.append(p)
    return found


def compared(points: Sequence[Point]) -> list[str]:
    """Each point that keeps weights beside the same one that keeps answers, and the best of those at no more cost."""
    told = []
    for p in (p for p in points if p.kept == WEIGHTS):
        twin = next(q for q in points if q.method == p.method and q.kept == ANSWERS)
        cheaper = [q for q in points if q.kept == ANSWERS and q.share <= p.share]
        best = max((q.accuracy for q in cheaper), default=float("nan"))
        gain = f"{twin.accuracy - p.accuracy:+.2f}"
        told.append(
            f"{p.method}: answers {twin.accuracy:.2f} %, weights {p.accuracy:.2f} % ({gain} points); "
            f"the best that keeps answers at no more cost {best:.2f} %"
        )
    return told


def write(page: Path, points: Sequence[Point]) -> None:
    """The table between the page's marks, and the figure beside it."""
    head = "| method | kept | parameters | MACs | LUT | DSP | BRAM36 | LUT + DSP of the board | float, % | int8, % |"
    rows = [head, "|---" * 10 + "|", *map(line, points)]
    put_between(page, START, END, "".join(f"{row}\n" for row in rows))
    draw(page.with_suffix(".svg"), points)


def draw(path: Path, points: Sequence[Point]) -> None:
    drawn, axes = figure(figsize=(7, 4.5))
    given = points[0]
    for kept, colour in ((WEIGHTS, "tab:red"), (ANSWERS, "tab:blue")):
        mine = [p for p in points if p.kept == kept]
        for p in mine:
            axes.plot(100 * p.share, p.accuracy, "s" if p.method.startswith("svd") else "o", color=colour, alpha=0.5)
        best = front([*mine, given])
        axes.plot([100 * p.share for p in best], [p.accuracy for p in best], color=colour, label=f"{kept} kept")
    axes.plot(100 * given.share, given.accuracy, "k*", markersize=12, label="as given")
    axes.set_xlabel(f"LUT + DSP, % of {BOARD}'s each, at {FPS:.0f} frames/s (estimated)")
    axes.set_ylabel("accuracy of the int8 network, %")
    axes.set_title("ic_residual_float, without training (squares: low rank, circles: channels)", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    save(drawn, path)


if __name__ == "__main__":
    main()
