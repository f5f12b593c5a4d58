"""`codesign compress`, top to bottom: a model, its recipe, what each step costs on the board, the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boards import board_named
from codesign import arrays
from codesign.compress.recipe import read_recipe
from codesign.compress.report import Costing, Hardware, Meter, Scored, accuracy, apply_recipe
from codesign.compress.step import Data, rounded
from codesign.cost import Figures
from codesign.errors import UserError
from codesign.exporter import export_model
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.layers import layers_of
from codesign.passes import run_passes
from codesign.passes.split import Model, split
from codesign.quantize import quantize, read_precision
from codesign.quantize.precision import MIXED
from codesign.scoring import overlap
from hw.cost import BOUNDLESS
from hw.design import figures
from hw.estimate import estimate_interval
from hw.plan import plan_for_interval, plan_modest

Progress = Callable[[str], None]
QUANTIZER_STEPS = ("equalize", "bias")  # the learned rounding of `compile` would take minutes for each step


@dataclass(frozen=True)
class CompressOptions:
    """What a person may say: files, and the hardware in whose terms steps are reported (`target_fps`: the rate of all
    of them; None: what the network as given reaches in a quarter of the board)."""

    recipe: Path | None
    calibration: Path | None = None
    evaluation: Path | None = None
    labels: Path | None = None
    precision: str = "int8"
    board: str = "pynq-z2"
    clock_mhz: float = 100.0
    target_fps: float | None = None


@dataclass(frozen=True, eq=False)
class Given:
    """A model as read, the samples that steps may see, those that score, and the costing of its like."""

    graph: Graph
    data: Data | None
    scored: Scored | None
    costing: Costing | None
    warnings: tuple[str, ...]


def compress_model(model: Path, output: Path, options: CompressOptions, progress: Progress) -> dict[str, Any]:
    """Apply a recipe to a model and write the result as ONNX; what each step did."""
    if options.recipe is None:
        raise UserError("--recipe says what to do; or give a --budget, by which one is searched")
    steps = read_recipe(options.recipe)
    progress(f"importing {model.name}")
    given = read_given(model, options)
    graph, rows = apply_recipe(
        given.graph, steps, given.data, Meter(given.graph, given.scored, given.costing), progress
    )
    size = export_model(graph, output)
    return {
        "model": model.name,
        "output": str(output),
        "file_bytes": size,
        "recipe": options.recipe.name,
        "board": options.board,
        "scored": _scored(options, given),
        "steps": [r.to_dict() for r in rows],
        "warnings": list(given.warnings),
    }


def read_given(model: Path, options: CompressOptions) -> Given:
    """The model and the sample files; UserError where they do not fit each other."""
    if options.labels is not None and options.evaluation is None:
        raise UserError("--labels are classes of --evaluation samples; give both")
    graph = import_model(model).graph
    data = None if options.calibration is None else Data(arrays.read_inputs(options.calibration, graph.inputs))
    scored = None if options.evaluation is None else _read_scored(options.evaluation, options.labels, graph)
    warnings = []
    if data is not None and scored is not None and (both := overlap(scored.samples, data.samples)):
        warnings.append(f"{both} of the samples scored are calibration samples, too: on others it may be worse")
    costing = None if data is None else BoardCosts(graph, data, scored, options)
    return Given(graph, data, scored, costing, tuple(warnings))


def _read_scored(evaluation: Path, labels: Path | None, graph: Graph) -> Scored:
    samples = arrays.read_inputs(evaluation, graph.inputs)
    count = len(next(iter(samples.values())))
    return Scored(samples, None if labels is None else arrays.read_labels(labels, count))


def _scored(options: CompressOptions, given: Given) -> dict[str, Any] | None:
    if given.scored is None:
        return None
    count = len(next(iter(given.scored.samples.values())))
    return {"evaluation": str(options.evaluation), "samples": count, "labels": given.scored.labels is not None}


class BoardCosts:
    """What networks take at the rate asked for, else at that which the given one reaches in a quarter of the board."""

    def __init__(self, given: Graph, data: Data, scored: Scored | None, options: CompressOptions) -> None:
        if options.precision == MIXED:
            raise UserError("--precision mixed is chosen by `compile`; steps are compared at one precision")
        board = board_named(options.board)
        self.given, self.data, self.scored, self.precision = given, data, scored, options.precision
        self.target = board.target(options.clock_mhz * 1e6, options.target_fps)

    @cached_property
    def interval_cycles(self) -> int:
        """From frame to frame."""
        if self.target.interval_cycles is not None:
            return self.target.interval_cycles
        _, parts = integers(rounded(self.given), self.data, self.precision)
        return estimate_interval(plan_modest(parts.core, self.target.budget)[1])

    def __call__(self, graph: Graph) -> Hardware:
        fused, parts = integers(graph, self.data, self.precision)
        energy = sum(x.energy_pj for x in layers_of(fused))
        scored = self.scored
        scores = None if scored is None else accuracy(parts.run(scored.samples), scored.labels)
        return Hardware(self.precision, self.figures_of(parts), energy, scores)

    def figures_of(self, network: Model) -> Figures:
        """Of an integer network at that rate, whatever the size of the board."""
        boundless = self.target.budget.part(BOUNDLESS)
        return figures(plan_for_interval(network.core, boundless, self.interval_cycles)[1])


def integers(network: Graph, data: Data, precision: str) -> tuple[Graph, Model]:
    """A real network (some weights may be integers already) quantized and fused, whole and split."""
    quantized = quantize(network, data.samples, read_precision(precision), steps=QUANTIZER_STEPS)
    fused, _ = run_passes(quantized.graph)
    return fused, split(fused)
