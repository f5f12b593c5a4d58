"""Whole designs placed and routed for the xc7z020 by open tools: sites, slices, and the clock that wires leave.

    .venv/bin/python -m benchmarks.placed [DESIGN ..] [--only TEXT] [--static] [--kept] [-o docs/placed.md] [--jobs 2]

Needs ../shared/data and `nextpnr-himbaechel-xilinx` (a package of Debian) on PATH; the peers come from the package
index. A result is kept by content; a stage takes seconds to minutes of processor time, digits 2 to 5. Every design
stands between registers (harness.py); what nextpnr gets is written out as in `codesign bitstream`: LUT6_2 as a LUT6 and
a LUT5, which it places apart or together as it likes, and carry chains as boards/carries.py leaves them.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import onnx

from benchmarks import binary, max_rate, unrolled
from benchmarks.harness import HARNESS, harnessed
from benchmarks.mapped import child_seconds, kept, known
from benchmarks.pages import put_between, table
from benchmarks.stage_timing import STAGES
from boards import board_named, carries, openxc7
from codesign.flow import Build, compile_model
from codesign.options import Options
from hw.pipeline import alone
from hw.rtl import TOP, verilog
from hw.yosys import run_yosys

FAST = 200.0
PART = board_named("pynq-z2").part
# The harness has three pins: a clock's on the board, and any two.
PINS = "".join(
    f"set_property PACKAGE_PIN {pin} [get_ports {port}]\nset_property IOSTANDARD LVCMOS33 [get_ports {port}]\n"
    for port, pin in (("clk", "H16"), ("si", "R14"), ("so", "P14"))
)


@dataclass(frozen=True)
class Design:
    """Verilog with a top, and the clock that nextpnr is asked for; `maker`: ours, or a peer's with its setting.

    `cycles`: from an input at the pins to its result, simulated where it is ours; 0 where no peer is beside it.
    `placer`: of nextpnr. The static one is the better one for digits as gates; other designs it leaves too dense to be
    routed soon, or does not fit their many enables into slices.
    """

    network: str
    maker: str
    verilog: str
    top: str
    asked_mhz: float = 100
    cycles: int = 0
    placer: tuple[str, ...] = openxc7.ANALYTICAL

    @property
    def name(self) -> str:
        return f"{self.network}, {self.maker}"

    @property
    def ours(self) -> bool:
        return self.maker.startswith("codesign")


@dataclass(frozen=True)
class Placed:
    """`sites`: LUT6s of which at least one half is used; `seconds`: processor time of nextpnr."""

    fmax_mhz: float
    sites: int
    slices: int
    ff: int
    dsp: int
    bram36: float
    worst_path: str
    seconds: float

    @property
    def delay(self) -> str:
        """Of the worst path, its cells and its wires."""
        return self.worst_path.rpartition("), ")[2]


def placed(design: Design, anew: bool = True) -> Placed | None:
    """None where nothing is kept of an earlier run and `anew` is false; RuntimeError where nextpnr fails."""
    command = openxc7.placement(PART, design.asked_mhz, design.placer)
    script = openxc7.synthesis(["design.v"], HARNESS)
    inputs = [harnessed(design.verilog, design.top), script, PINS, *openxc7.FILES.values(), *command[1:]]
    if not anew and not known("placed", inputs):
        return None
    found = Placed(**kept("placed", inputs, lambda: asdict(_place(inputs[0], script, command, design.asked_mhz))))
    print(f"{design.name}: {found}", flush=True)
    return found


def _place(text: str, script: str, command: list[str], asked_mhz: float) -> Placed:
    _, written = run_yosys(script, {"design.v": text, **openxc7.FILES}, [openxc7.NETLIST])
    with tempfile.TemporaryDirectory(prefix="codesign_placed_") as name:
        folder = Path(name)
        (folder / openxc7.NETLIST).write_text(written[openxc7.NETLIST])
        carries.main([str(folder / openxc7.NETLIST)])
        (folder / openxc7.CONSTRAINTS).write_text(PINS)
        started = child_seconds()
        done = subprocess.run([*command, "--quiet"], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"nextpnr ended with status {done.returncode}:\n{done.stderr or done.stdout}")
        seconds = child_seconds() - started
        told = openxc7.read_back(folder, asked_mhz)
        sites, slices = openxc7.occupied(folder)
    return Placed(told.fmax_mhz, sites, slices, told.ff, told.dsp, told.bram36, told.worst_path, seconds)


def gates(name: str) -> Iterator[Design]:
    """A network as gates by everyone: ours with registers for two clocks, and the peers'."""
    case = unrolled.CASES[name]()
    proto = onnx.load(case.file)
    placer = openxc7.STATIC if name == "digits_mlp_w4a4" else openxc7.ANALYTICAL
    for mhz in (100.0, FAST):
        made = unrolled.generated(name, proto, case.x, mhz)
        cycles = unrolled.ours(case, made).cycles
        yield Design(name, f"codesign, registers for {mhz:g} MHz", made.verilog, TOP, mhz, cycles, placer)
        if mhz != FAST:
            for peer in unrolled.theirs(case, made):
                yield Design(name, peer.name, peer.verilog, peer.top, cycles=peer.cycles, placer=placer)


def folded(name: str) -> Iterator[Design]:
    """A binary network at the rate of benchmarks/binary.py."""
    of = binary.NETWORKS[name]()
    yield Design(of.name, f"codesign, a frame every {of.interval} cycles", verilog(of.pipeline), TOP)


def largest(name: str) -> Iterator[Design]:
    """A network at the largest rate, as benchmarks/max_rate.py compiles it."""
    model, _ = max_rate.NETWORKS[name]()
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "build"
        compile_model(model, built, Options(target_fps="max"), lambda text: None)
        rtl = Build.open(built).manifest["rtl"]
        text = "".join((built / file).read_text() for file in rtl["files"])
        yield Design(name, "codesign, largest rate", text, rtl["top"])


def stages() -> Iterator[Design]:
    """Every kind of stage by itself, made for 200 MHz, as benchmarks/stage_timing.py has them."""
    for name, make in STAGES.items():
        yield Design(name, f"codesign, registers for {FAST:g} MHz", verilog(alone(make(FAST))), TOP, FAST)


DESIGNS: dict[str, Callable[[], Iterator[Design]]] = {
    **{name: partial(gates, name) for name in unrolled.CASES},
    **{name: partial(folded, name) for name in ("tfc", "cnv")},
    **{name: partial(largest, name) for name in max_rate.NETWORKS},
    "stages": stages,
}


MARKS = "<!-- designs -->", "<!-- end of designs -->"


def latency_ns(design: Design, of: Placed) -> float:
    return 1000 / of.fmax_mhz * design.cycles


def row(design: Design, of: Placed) -> list[str]:
    latency = (f"{design.cycles}", f"{latency_ns(design, of):.0f}") if design.cycles else ("–", "–")
    return [
        design.name, f"{design.asked_mhz:g}", f"{of.fmax_mhz:.1f}", *latency, f"{of.sites:,}", f"{of.slices:,}",
        f"{of.ff:,}", f"{of.dsp}", f"{of.bram36:g}", of.delay, f"{of.seconds:,.0f}",
    ]  # fmt: skip


COLUMNS = (
    "design", "asked, MHz", "reached, MHz", "cycles", "latency, ns", "LUT6 sites", "slices", "FF", "DSP", "BRAM36",
    "worst path", "nextpnr, s of processor time",
)  # fmt: skip


def ratios(found: Sequence[tuple[Design, Placed]]) -> Iterator[str]:
    """Ours beside the best of the peers in each figure in the same run, a line for each of ours."""
    for network in unrolled.CASES:
        of = [pair for pair in found if pair[0].network == network]
        ours, theirs = [pair for pair in of if pair[0].ours], [pair for pair in of if not pair[0].ours]
        for design, own in ours if theirs else ():
            sites, clock = min(p.sites for _, p in theirs), max(p.fmax_mhz for _, p in theirs)
            latency = latency_ns(design, own) / min(latency_ns(*pair) for pair in theirs)
            yield (
                f"{design.name}: {own.sites / sites:.2f} of the sites of the smallest peer, "
                f"{own.fmax_mhz / clock:.2f} of the clock of the fastest, {latency:.2f} of the shortest latency.\n"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("design", nargs="*", choices=[*DESIGNS, []], help="all where none is named")
    parser.add_argument("--only", default="", metavar="TEXT", help="those with it in their name, such as da4ml")
    parser.add_argument("--static", action="store_true", help="all by nextpnr's static placer")
    parser.add_argument("--kept", action="store_true", help="only those that an earlier run placed")
    parser.add_argument("-o", "--output", type=Path, help="the page whose table is made again")
    parser.add_argument("--jobs", type=int, default=2, help="designs at a time")
    a = parser.parse_args(arguments)
    designs = [d for name in a.design or DESIGNS for d in DESIGNS[name]() if a.only in d.name]
    if a.static:
        designs = [replace(design, placer=openxc7.STATIC) for design in designs]
    with ProcessPoolExecutor(a.jobs, get_context("spawn")) as pool:
        ended = pool.map(partial(placed, anew=not a.kept), designs)
        found = [(design, of) for design, of in zip(designs, ended, strict=True) if of is not None]
    rows = table(COLUMNS, [row(*pair) for pair in found])
    flags = [f"--{flag}" for flag in ("static", "kept") if getattr(a, flag)]
    told = [*a.design, *(["--only", a.only] if a.only else []), *flags]
    command = shlex.join([".venv/bin/python", "-m", "benchmarks.placed", *told])
    text = f"\n    {command}\n\n{rows}\n" + "\n".join(ratios(found))
    print(text)
    if a.output is not None:
        put_between(a.output, *MARKS, text)


if __name__ == "__main__":
    main()
