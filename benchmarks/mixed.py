"""Mixed precision at the cost of a uniform one: what a budget of its LUT, DSP and BRAM gives when it is spent by layer.

    .venv/bin/python -m benchmarks.mixed [kws] [residual] [mnist] [--fps 1000]

Calibrated and chosen on the calibration samples of `benchmarks.cases`, scored on its others. Costs are estimates.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace

from benchmarks.cases import CASES, Case, answers, percent
from boards import board_named
from codesign.cost import Cost
from codesign.graph import Graph
from codesign.importer import import_model
from codesign.quantize import STEPS, quantize, read_precision
from codesign.quantize.mixed import quantize_mixed
from codesign.quantize.regions import Price
from hw.cost import cost_of

UNIFORM = ("int8", "w4a8", "w4a4")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=["kws"], choices=list(CASES))
    parser.add_argument("--fps", type=float, default=1000.0)
    a = parser.parse_args()
    print(f"{'network':11} {'precision':14} {'accuracy %':>10} {'LUT':>8} {'DSP':>5} {'BRAM36':>7} {'time s':>7}")
    for name in a.names:
        measure(name, CASES[name](), a.fps)


def measure(name: str, case: Case, fps: float) -> None:
    """A row for each uniform precision, and one for the mixed one that costs at most as much."""
    graph = import_model(case.model).graph
    samples = {graph.inputs[0].name: case.calibration}
    target = board_named("pynq-z2").target(100e6, fps)
    price = Price(cost_of, target)
    for precision in UNIFORM:
        start = time.perf_counter()
        found = quantize(graph, samples, read_precision(precision)).graph
        cost = price.of(found)
        row(name, precision, found, case, cost, start)
        start = time.perf_counter()
        room = {k: math.ceil(getattr(cost, k)) for k in ("lut", "dsp")}
        budget = replace(target.budget, **room, bram36=max(math.floor(cost.bram36), 1))
        inside = replace(price, target=replace(target, budget=budget))
        result, mixed = quantize_mixed(graph, samples, inside, "mse", STEPS, lambda _: None)
        row(name, f"mixed <= {precision}", result.graph, case, mixed.cost, start)


def row(name: str, precision: str, graph: Graph, case: Case, cost: Cost, start: float) -> None:
    score, seconds = percent(answers(graph, case), case), time.perf_counter() - start
    figures = f"{cost.lut:8.0f} {cost.dsp:5.0f} {cost.bram36:7.1f} {seconds:7.1f}"
    print(f"{name:11} {precision:14} {score:10.2f} {figures}", flush=True)


if __name__ == "__main__":
    main()
