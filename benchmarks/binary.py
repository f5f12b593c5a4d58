"""Binary networks as whole designs: TFC over its foldings, FINN's CNV, and dense layers that fill the chip.

    .venv/bin/python -m benchmarks.binary {tfc,cnv,dense} [--simulate] [--synthesize]

Synthesis goes stage by stage, each with the ports of a design of its own, and is cached; its sum leaves nothing out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import onnx

from benchmarks.cases import DATA
from benchmarks.networks import imported, simulated
from boards import board_named
from codesign.cost import Budget, Cost
from codesign.passes import run_passes
from codesign.passes.split import Model, split
from examples.cnv import cnv, dense, images
from hw.compare import Compare
from hw.estimate import Timing, estimate_cost, estimate_timing
from hw.pipeline import Pipeline, Stage, alone
from hw.plan import plan_for_interval
from hw.rtl import TOP, verilog
from hw.stages.fifo import Fifo
from hw.style import AUTO, Style
from hw.synth import synthesize, timed
from sim.check import Shown

BOARD = board_named("pynq-z2")
CLOCK_MHZ = 100
FRAMES = 3


@dataclass(frozen=True)
class Network:
    """An integer network at a rate; `synapses`: products of a frame; real samples to simulate."""

    name: str
    model: Model
    interval: int
    synapses: int
    x: np.ndarray
    budget: Budget = BOARD.budget
    style: Style = AUTO

    @cached_property
    def pipeline(self) -> Pipeline:
        return plan_for_interval(self.model.core, self.budget, self.interval, style=self.style)[1]

    @cached_property
    def timing(self) -> Timing:
        return estimate_timing(self.pipeline)

    @property
    def estimated(self) -> Cost:
        return estimate_cost(self.pipeline)

    def synthesized(self, told: Callable[[str], None]) -> Cost:
        """Paired LUTs and the rest, the sum of every stage and FIFO by itself."""
        whole = Cost()
        for name, stage in self._parts:
            used = synthesize(verilog(alone(stage)), TOP)
            part = Cost(used.lut_paired, used.ff, used.dsp, used.bram36)
            told(f"{name}: {part}, estimated {stage.cost()}")
            whole += part
        return whole

    @property
    def _parts(self) -> list[tuple[str, Stage]]:
        p = self.pipeline
        fifos = [(f"fifo {k}", Fifo(p.stream_from(e), e.depth)) for k, e in enumerate(p.edges) if e.depth]
        return [*((placed.name, placed.stage) for placed in p.stages), *fifos]

    def fmax_mhz(self) -> tuple[float, float]:
        """Of the slowest part by static timing, with wires as in one large circuit and as in small ones."""
        every = [timed(verilog(alone(stage)), TOP, CLOCK_MHZ) for _, stage in self._parts]
        low, high = zip(*(t.fmax_mhz for t in every if t is not None), strict=True)
        return min(low), min(high)

    def simulated(self) -> Shown:
        """The RTL's words and cycles without stalls; CheckFailed where one is not the emulator's."""
        return simulated(self.model, self.pipeline, {self.model.before.inputs[0].name: self.x})


def network(name: str, proto: onnx.ModelProto, interval: int, synapses: int, x: np.ndarray) -> Network:
    graph, _ = run_passes(imported(proto), frozenset(), Compare(BOARD.budget, interval))
    return Network(name, split(graph), interval, synapses, x)


def tfc(interval: int) -> Network:
    """FINN's example: 784-64-64-64-10 on 28x28 bits, 59,008 synapses."""
    x = np.random.default_rng(1).uniform(size=(FRAMES, 1, 28, 28)).astype(np.float32)
    return network(
        "TFC_1W1A", onnx.load(DATA / "models/mnist/TFC_1W1A.onnx"), interval, 784 * 64 + 2 * 64 * 64 + 640, x
    )


CNV_SYNAPSES = (
    9 * (900 * 3 * 64 + 784 * 64 * 64 + 144 * 64 * 128 + 100 * 128 * 128 + 9 * 128 * 256 + 256 * 256)
    + 256 * 512 + 512 * 512 + 5120
)  # fmt: skip


def finn_cnv(interval: int = 5000) -> Network:
    return network("CNV", cnv(), interval, CNV_SYNAPSES, images(FRAMES))


DENSE = (256, 256, 256, 192)


def filled(interval: int = 4) -> Network:
    """Three dense layers, a vector every four cycles: 45,056 synapses a cycle."""
    x = np.random.default_rng(1).normal(size=(64, DENSE[0])).astype(np.float32)
    return network("dense", dense(DENSE), interval, sum(a * b for a, b in pairwise(DENSE)), x)


NETWORKS: dict[str, Callable[[], Network]] = {"tfc": lambda: tfc(64), "cnv": finn_cnv, "dense": filled}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--synthesize", action="store_true")
    arguments = parser.parse_args()
    of = NETWORKS[arguments.network]()
    print(f"{of.name}: estimated {of.estimated}, {of.timing}", flush=True)
    if arguments.synthesize:
        print("synthesized, LUTs paired:", of.synthesized(lambda text: print(text, flush=True)))
    if arguments.simulate:
        shown = of.simulated()
        print(f"simulated: {shown.frames} frames, {shown.words} words, all equal; interval {shown.interval_cycles}")


if __name__ == "__main__":
    main()
