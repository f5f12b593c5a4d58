"""Fully unrolled networks beside what da4ml and alkaid make of them: sizes, delays and clocks by the same tools.

    .venv/bin/python -m benchmarks.unrolled [NETWORK ..] [--route] [-o docs/circuits.md] [--jobs 2] [--clock-mhz 100]

Needs ../shared/data; the peers come from the package index into an environment of their own at the first run. Synthesis
and place and route are kept by content. Without --route only clocks that an earlier run found are shown: place and
route takes 5 to 20 minutes of processor time a design, synthesis 1 to 4.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx

from benchmarks import peers
from benchmarks.binary import Network, network
from benchmarks.cases import DATA, mnist
from benchmarks.mapped import mapped, routed
from benchmarks.unrolled_page import Compared, Side, page, section
from examples.cnv import dense
from hw.rtl import TOP, verilog
from hw.stages.unrolled import Unrolled
from hw.style import Style

SIMULATED = 64  # frames


@dataclass(frozen=True)
class Case:
    """A network's file; samples, and the answers that come with the file, if any; `peers`: whether any can."""

    file: Path
    x: np.ndarray
    y: np.ndarray | None
    peers: bool = True


def bench(name: str) -> Case:
    """The exact integer answers that come with the file."""
    folder = DATA / "models/bench"
    with np.load(folder / f"{name}_vectors.npz") as v:
        return Case(folder / f"{name}_qonnx.onnx", v["x"], v["y_int"] * v["y_scale"])


def tfc() -> Case:
    """Test images; no peer unrolls its 59,008 synapses into this device."""
    return Case(DATA / "models/mnist/TFC_1W1A.onnx", mnist().x[:SIMULATED] / 255, None, peers=False)


CASES: dict[str, Callable[[], Case]] = {
    "digits_mlp_w4a4": partial(bench, "digits_mlp_w4a4"),
    "synth16_mlp_w6a6": partial(bench, "synth16_mlp_w6a6"),
    "TFC_1W1A": tfc,
}


@dataclass(frozen=True)
class Generated:
    """Our RTL, and processor seconds of its parts, the programs that they call included."""

    network: Network
    verilog: str
    seconds: dict[str, float]

    @property
    def stage(self) -> Unrolled:
        """All of it is one netlist."""
        (placed,) = self.network.pipeline.stages
        assert isinstance(placed.stage, Unrolled)
        return placed.stage


def generated(name: str, proto: onnx.ModelProto, x: np.ndarray, clock_mhz: float) -> Generated:
    """From the file to Verilog, every weight in gates of its own, a sample a clock."""
    times = [_used_seconds()]
    read = replace(network(name, proto, 1, 0, x), style=Style("unrolled", clock_mhz))
    times.append(_used_seconds())
    assert read.pipeline.stages
    times.append(_used_seconds())
    text = verilog(read.pipeline)
    times.append(_used_seconds())
    parts = ("reading and fusing", "netlist", "Verilog")
    return Generated(read, text, dict(zip(parts, np.diff(times).tolist(), strict=True)))


def _used_seconds() -> float:
    """Processor time of this program and of those it called."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))


@dataclass(frozen=True)
class Design:
    """What goes to the tools, and what is known of it before them."""

    name: str
    verilog: str
    top: str
    cycles: int
    generation_s: float
    exact: str


def ours(case: Case, made: Generated, name: str = "codesign") -> Design:
    """CheckFailed where a simulated word is not the golden one."""
    of = made.network
    shown = replace(of, x=case.x[:SIMULATED]).simulated()
    exact = f"{shown.frames} samples simulated, 0 words wrong"
    if case.y is not None:
        (answers,) = of.model.run({of.model.before.inputs[0].name: case.x}).values()
        wrong = int((answers != case.y).any(axis=1).sum())
        exact += f"; emulator: {wrong} of {len(case.x)} samples wrong"
    cycles = shown.latency_cycles - 1  # which counts the clocks of both ends
    return Design(name, made.verilog, TOP, cycles, sum(made.seconds.values()), exact)


def theirs(case: Case, made: Generated) -> Iterator[Design]:
    """The same network by every peer, on the integers that go into ours."""
    if not case.peers:
        return
    before = made.network.model.to_core({made.network.model.before.inputs[0].name: case.x})
    x = before[made.network.model.core.inputs[0].name]
    for peer in peers.PEERS:
        of = peers.made(peer, made.stage, x)
        exact = f"its model: {of.wrong} of {of.samples} samples wrong"
        yield Design(peer.name, of.verilog, peers.TOP, of.cycles, of.seconds, exact)


def measured(design: Design, environment: Path, route: bool) -> Side:
    """By the tools."""
    size = mapped(design.verilog, design.top)
    print(f"{design.name}: {size}", flush=True)
    place = None
    try:
        place = routed(design.verilog, design.top, environment, route)
    except RuntimeError as e:  # the other figures stand without it
        print(f"{design.name}: {e}", flush=True)
    print(f"{design.name}: {place}", flush=True)
    return Side(design.name, design.cycles, design.generation_s, design.exact, size, place)


def warmed(clock_mhz: float) -> None:
    """A small network first: imports and compiled programs are no part of what is measured then."""
    generated("small", dense((16, 16)), np.zeros((1, 16), np.float32), clock_mhz)


def compared(name: str, clock_mhz: float, route: bool, jobs: int) -> Compared:
    """One network by everyone, designs side by side in processes of their own, which keeps their times apart."""
    case = CASES[name]()
    proto = onnx.load(case.file)
    made = generated(name, proto, case.x, clock_mhz)
    designs = [ours(case, made), *theirs(case, made)]
    if case.peers:  # which have deep pipelines, too
        deep = generated(name, proto, case.x, 2 * clock_mhz)
        designs.append(ours(case, deep, f"codesign, registers for {2 * clock_mhz:g} MHz"))
    environment = peers.environment()
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        own, *others = pool.map(partial(measured, environment=environment, route=route), designs)
    faster = others.pop() if case.peers else None
    return Compared(name, clock_mhz, own, tuple(others), made.seconds, faster)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="*", choices=[*CASES, []], help="all where none is named")
    parser.add_argument("--route", action="store_true", help="place and route what no earlier run did")
    parser.add_argument("-o", "--output", type=Path, help="the page to write")
    parser.add_argument("--jobs", type=int, default=2, help="designs at a time")
    parser.add_argument("--clock-mhz", type=float, default=100.0, help="sets the registers of ours")
    a = parser.parse_args(arguments)
    warmed(a.clock_mhz)
    found = []
    for name in a.network or CASES:
        found.append(compared(name, a.clock_mhz, a.route, a.jobs))
        print(section(found[-1]), flush=True)
    if a.output is not None:
        a.output.write_text(page(found))


if __name__ == "__main__":
    main()
