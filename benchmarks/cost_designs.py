"""Whole small designs that the cost model is tried on and never fitted to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.cases import DATA
from benchmarks.networks import simulated
from boards import board_named
from codesign.cost import Cost
from codesign.importer import import_model
from codesign.passes import run_passes
from codesign.passes.check import sample_input
from codesign.passes.split import Model, split
from hw.compare import Compare
from hw.estimate import Timing, estimate_cost, estimate_timing
from hw.pipeline import Pipeline
from hw.plan import plan_for_interval, plan_modest
from hw.rtl import TOP, verilog
from hw.synth import Utilisation, synthesize
from tests.models import cnn, mlp
from tests.test_random_networks import Network

EXAMPLES, MODELS = Path(__file__).parent.parent / "examples", DATA / "models"
BOARD = board_named("pynq-z2")
FRAMES = 3
FITTED = (20, 24, 25, 111, 114, 115, 116, 120, 121, 122, 123, 124, 126, 130, 131, 142)  # seeds of random networks


@dataclass(frozen=True)
class Design:
    """A network laid out; `interval`: cycles a frame at most (None: a quarter of the board)."""

    name: str
    model: Callable[[Path], Path]  # writes the file, or leaves it, and says where it is
    interval: int | None = None

    @cached_property
    def network(self) -> Model:
        with tempfile.TemporaryDirectory() as folder:
            source = import_model(self.model(Path(folder) / "model.onnx")).graph
        return split(run_passes(source, frozenset(), Compare(BOARD.budget, self.interval))[0])

    @cached_property
    def pipeline(self) -> Pipeline:
        core = self.network.core
        if self.interval is None:
            return plan_modest(core, BOARD.budget)[1]
        return plan_for_interval(core, BOARD.budget, self.interval)[1]

    @cached_property
    def estimated(self) -> Cost:
        return estimate_cost(self.pipeline)

    @cached_property
    def timing(self) -> Timing:
        return estimate_timing(self.pipeline)

    @cached_property
    def synthesized(self) -> Utilisation:
        return synthesize(verilog(self.pipeline), TOP)

    @cached_property
    def simulated(self) -> Timing:
        """Cycles of the RTL without stalls; CheckFailed where a word is not the emulator's."""
        feeds = {i.name: sample_input(i, FRAMES, 1) for i in self.network.before.inputs}
        shown = simulated(self.network, self.pipeline, feeds)
        assert shown.interval_cycles is not None
        return Timing(shown.latency_cycles, shown.interval_cycles)


def stored(path: Path) -> Callable[[Path], Path]:
    return lambda _: path


def random_network(seed: int) -> Callable[[Path], Path]:
    """One of those that the tests run."""
    return lambda path: Network(seed).save(path)


def fitted_designs() -> Iterator[Design]:
    """Those that a constant is fitted to; none of them is in `designs`."""
    for seed in FITTED:
        yield Design(f"random network {seed}", random_network(seed), 2000)


def designs(large: bool = False) -> Iterator[Design]:
    """Those whose files are there; `large`: also those of many thousand LUTs."""
    yield Design("mlp 6-4-3, 4 bits", mlp)
    yield Design("cnn 8x8, 4 bits", cnn)
    yield Design("digits_mlp_w1a2", stored(EXAMPLES / "digits_mlp_w1a2.onnx"), 100)
    yield Design("digits_mlp_w1a2, slow", stored(EXAMPLES / "digits_mlp_w1a2.onnx"), 2000)
    yield Design("mnist_cnn_w4a4 (example)", stored(EXAMPLES / "mnist_cnn_w4a4.onnx"), 5000)
    for seed in (1, 4, 9):
        yield Design(f"random network {seed}", random_network(seed), 2000)
    yield from shared(large)


def shared(large: bool) -> Iterator[Design]:
    if not MODELS.exists():
        return
    yield Design("jets", stored(MODELS / "jets/qkeras_jettagging.onnx"), 64)
    for interval in (64, 784, 12544):
        yield Design(f"TFC_1W1A, {interval}", stored(MODELS / "mnist/TFC_1W1A.onnx"), interval)
    yield Design("mnist_cnn_w4a4", stored(MODELS / "bench/mnist_cnn_w4a4_qdq.onnx"), 20000)
    if large:
        yield Design("kws int8", stored(MODELS / "kws/kws_dscnn_int8_qdq.onnx"), 200000)
        yield Design("residual int8", stored(MODELS / "cifar10/ic_residual_int8_qdq.onnx"), 1000000)
