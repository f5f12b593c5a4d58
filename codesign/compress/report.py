"""What each step of a recipe does: to the file, to what the network answers, and to the hardware that computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from codesign.accuracy import accuracy_of, sqnr_db
from codesign.chunks import run_chunked
from codesign.compress.count import Count, count
from codesign.compress.step import Data, Samples, Step, rounded
from codesign.cost import Figures
from codesign.errors import CheckFailed, UserError
from codesign.graph import Graph

GIVEN = "as given"


@dataclass(frozen=True)
class Hardware:
    """Of the network quantized as `precision` says, at one rate for all steps: estimated figures, energy of a sample
    by the table in codesign/energy.py, accuracy of the integer network."""

    precision: str
    figures: Figures
    energy_pj: float
    accuracy: float | None


Costing = Callable[[Graph], Hardware]  # CheckFailed or UserError where it cannot be made


@dataclass(frozen=True, eq=False)
class Scored:
    """Samples by input name that no step sees, and their labels (None: there are none)."""

    samples: Samples
    labels: np.ndarray | None


@dataclass(frozen=True)
class Row:
    """After one step. `sqnr_db`: of the outputs, against those of the network as given; `hardware_missing`: why."""

    step: str
    parameters: Mapping[str, Any]
    paper: str
    notes: tuple[str, ...]
    count: Count
    accuracy: float | None
    sqnr_db: float | None
    hardware: Hardware | None
    hardware_missing: str

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "notes": list(self.notes)}


class Meter:
    """Measures networks against the one that was given."""

    def __init__(self, given: Graph, scored: Scored | None, costing: Costing | None) -> None:
        self.scored, self.costing = scored, costing
        self.wanted = None if scored is None else outputs(given, scored.samples)

    def row(self, graph: Graph, step: Step | None, notes: Sequence[str]) -> Row:
        hardware, missing = self._hardware(graph)
        told = (GIVEN, {}, "") if step is None else (step.name, parameters_of(step), step.paper)
        return Row(*told, tuple(notes), count(graph), *self._answers(graph), hardware, missing)

    def _answers(self, graph: Graph) -> tuple[float | None, float | None]:
        """Accuracy, and the noise at the outputs."""
        if self.scored is None or self.wanted is None:
            return None, None
        got = outputs(graph, self.scored.samples)
        signal = sum(float((w**2).sum()) for w in self.wanted.values())
        noise = sum(float(((w - got[k]) ** 2).sum()) for k, w in self.wanted.items())
        return accuracy(got, self.scored.labels), sqnr_db(signal, noise)

    def _hardware(self, graph: Graph) -> tuple[Hardware | None, str]:
        if self.costing is None:
            return None, "no calibration samples by which to quantize it"
        try:
            return self.costing(graph), ""
        except (CheckFailed, UserError) as e:
            return None, str(e)


def apply_recipe(
    graph: Graph, steps: Sequence[Step], data: Data | None, meter: Meter, progress: Callable[[str], None]
) -> tuple[Graph, tuple[Row, ...]]:
    """The network after all steps, and a row for it as given and after each of them."""
    progress("measuring the network as given")
    graph = rounded(graph)
    rows = [meter.row(graph, None, ())]
    for k, step in enumerate(steps, 1):
        progress(f"step {k} of {len(steps)}: {step.name}")
        graph, notes = step.apply(graph, data)
        graph = rounded(graph)
        rows.append(meter.row(graph, step, notes))
    return graph, tuple(rows)


def outputs(graph: Graph, samples: Samples) -> dict[str, np.ndarray]:
    """Of all samples, in chunks."""
    return run_chunked(graph.run, {i.name: samples[i.name] for i in graph.inputs}, graph.widest)


def accuracy(results: Mapping[str, np.ndarray], labels: np.ndarray | None) -> float | None:
    """Of the first output."""
    return None if labels is None else accuracy_of(next(iter(results.values())), labels)["accuracy"]


def parameters_of(step: Step) -> dict[str, Any]:
    return {f.name: getattr(step, f.name) for f in fields(step)}  # type: ignore[arg-type]
