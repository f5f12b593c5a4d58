"""`codesign compress --budget`, top to bottom: networks tried within a budget, the front, the recipe that won."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from boards import board_named
from codesign import arrays
from codesign.accuracy import accuracy_of, answers_of
from codesign.build import replace_file
from codesign.compress.limits import Limits, read_limits
from codesign.compress.pareto import described, write_front
from codesign.compress.recipe import recipe_of, written
from codesign.compress.report import Meter, apply_recipe, outputs
from codesign.compress.search import Found, Measured, search, winner
from codesign.compress.step import Data, Step, rounded
from codesign.errors import CheckFailed, UserError
from codesign.exporter import export_model
from codesign.flow_compress import BoardCosts, CompressOptions, Given, Progress, integers, read_given
from codesign.graph import Graph


@dataclass(frozen=True)
class SearchOptions:
    """What a person may say of a search beside what `compress` takes anyway; `study`: the URL of its data base (None: a
    file beside the output); `labels`: of the calibration samples, on which networks are chosen."""

    budget: str
    labels: Path | None = None
    study: str | None = None
    trials: int = 60
    seed: int = 0


def search_model(
    model: Path, output: Path, options: CompressOptions, wanted: SearchOptions, progress: Progress
) -> dict[str, Any]:
    """Try recipes within a budget, write the network of the one that won, its recipe, and the Pareto front."""
    if options.calibration is None:
        raise UserError("--budget chooses by samples; give some with --calibration")
    limits = read_limits(wanted.budget, asdict(board_named(options.board).budget))
    options = replace(options, target_fps=limits.fps or options.target_fps)
    given = read_given(model, options)
    assert given.data is not None and isinstance(given.costing, BoardCosts)
    graph = rounded(given.graph)
    measure = Selection(graph, given.data, given.costing, wanted.labels)
    storage = wanted.study or f"sqlite:///{output.with_suffix('.study.db').absolute()}"
    name = f"{model.stem}-{_fingerprint(model, options, wanted)}"
    found = search(graph, given.data, limits, measure, storage, name, wanted.trials, wanted.seed, progress)
    return _finished(model, output, options, given, found, limits, measure.by, progress)


class Selection:
    """Measures a network by its integers' answers on the calibration samples: points of accuracy lost by their labels,
    or, without labels, the share of answers that are not those of the model as given."""

    def __init__(self, given: Graph, data: Data, costs: BoardCosts, labels: Path | None) -> None:
        count = len(next(iter(data.samples.values())))
        self.data, self.costs = data, costs
        first = next(iter(outputs(given, data.samples).values()))
        self.wanted = answers_of(first) if labels is None else arrays.read_labels(labels, count)
        self.best = accuracy_of(first, self.wanted)["accuracy"]
        self.by = "answers of the model as given" if labels is None else labels.name

    def __call__(self, graph: Graph) -> Measured:
        _, parts = integers(graph, self.data, self.costs.precision)
        got = next(iter(parts.run(self.data.samples).values()))
        right = float((answers_of(got) == self.wanted).mean())
        return Measured(100 * (self.best - right), self.costs.figures_of(parts))


def _fingerprint(model: Path, options: CompressOptions, wanted: SearchOptions) -> str:
    """What trials of one study must share: the model, the samples and the hardware."""
    digest = hashlib.sha256()
    for path in (model, options.calibration, wanted.labels):
        digest.update(path.read_bytes() if path is not None else b"")
    told = (options.board, options.clock_mhz, options.target_fps, options.precision, wanted.budget)
    digest.update(repr(told).encode())
    return digest.hexdigest()[:12]


def _finished(
    model: Path, output: Path, options: CompressOptions, given: Given, found: list[Found], limits: Limits, by: str,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """The files and the report; the front is drawn where nothing fits, too."""
    stem, failed = output.with_suffix(""), ""
    try:
        won = winner(found, limits)
    except CheckFailed as e:
        won, failed = None, str(e)
    front = write_front(stem, f"{model.name} on {options.board}", found, limits, won) if found else {}
    if won is None:
        raise CheckFailed(f"{failed}; the front is in {front.get('html', 'no file')}")
    steps: tuple[Step, ...] = recipe_of(won.recipe) if won.recipe else ()
    recipe = stem.with_suffix(".recipe.yaml")
    replace_file(recipe, written(steps).encode())
    meter = Meter(given.graph, given.scored, given.costing)
    graph, rows = apply_recipe(given.graph, steps, given.data, meter, progress)
    return {
        "model": model.name, "output": str(output), "file_bytes": export_model(graph, output), "recipe": str(recipe),
        "board": options.board, "selected_by": by, "front": front, "trials": described(found, won),
        "steps": [r.to_dict() for r in rows], "warnings": list(given.warnings),
    }  # fmt: skip
