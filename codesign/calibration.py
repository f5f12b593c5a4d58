"""A float model quantized as the user says: options and sample file -> the graph with quantizers, and what it cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign import arrays
from codesign.errors import UserError
from codesign.graph import Graph
from codesign.quantize import STEPS, check_weights, quantize, read_precision
from codesign.quantize.choose_ranges import MEASURED
from codesign.quantize.mixed import quantize_mixed
from codesign.quantize.precision import MIXED
from codesign.quantize.regions import Price


@dataclass(frozen=True)
class Calibration:
    """`samples` by which a real network is quantized, to `precision` (int8), ranges by `observer` (measured), some
    steps left out by name; `evaluation` and `labels`: samples to score before and after, and their classes."""

    samples: Path | None = None
    precision: str | None = None
    observer: str | None = None
    without: tuple[str, ...] = ()
    evaluation: Path | None = None
    labels: Path | None = None


def quantize_model(
    graph: Graph, c: Calibration, price: Price, progress: Callable[[str], None]
) -> tuple[Graph, Graph | None, dict[str, Any]]:
    """The graph with quantizers, the one before, and what they cost; as it is where no calibration is given.

    `price` is what a mixed precision has to stay within.
    """
    if c.samples is None:
        if c.precision or c.observer or c.without:
            raise UserError(
                "--precision, --observer and --without say how to quantize by samples; give them with --calibration"
            )
        check_weights(graph)
        return graph, None, {}
    precision = read_precision(c.precision or "int8") if c.precision != MIXED else None
    samples = arrays.read_inputs(c.samples, graph.inputs)
    observer, steps = c.observer or MEASURED, [s for s in STEPS if s not in c.without]
    if precision is None:
        found, mixed = quantize_mixed(graph, samples, price, observer, steps, progress)
        chosen = {"mixed": mixed.to_dict()}
    else:
        found, chosen = quantize(graph, samples, precision, observer, steps, progress), {}
    return found.graph, found.real, {"calibration": c.samples.name, **found.report.to_dict(), **chosen}
