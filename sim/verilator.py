"""Builds a design and its harness into a shared library with Verilator and g++, cached by content."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from codesign.cache import cache_folder, locked
from codesign.errors import UserError
from sim.design import Design
from sim.simulator import Simulator
from sim.sources import TAPPED_TOP, ports_header, tap_wrapper
from sim.toolchain import ToolMissing, Verilator, find_verilator, require_compiler

_HERE = Path(__file__).parent
_VERILATE = (
    "--cc", "--prefix", "Vdut", "-O3", "--no-timing", "--noassert", "--x-initial", "unique",
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "--timescale", "1ns/1ps",
    "--output-split", "20000", "--output-split-cfuncs", "5000",
)  # fmt: skip
# Symbols stay inside each library: several designs live in one process.
_CXX = (
    "-std=c++17", "-fPIC", "-pthread", "-w", "-fvisibility=hidden", "-fno-gnu-unique", "-DVL_TIME_CONTEXT",
    "-DVM_COVERAGE=0", "-DVM_SC=0",
)  # fmt: skip
_FAST, _SLOW = "-O1", "-O0"  # "slow" is what runs once, such as the initial values of memories
_UNIT_BYTES = 600_000  # generated C++ in one g++ run: headers cost a second a run, memory grows with the size


def build(design: Design, *, waves: Path | None = None, taps: bool = False) -> Simulator:
    """The design ready to run; `waves` (.fst or .vcd) records every run there, `taps` also collects the edges.

    Takes seconds to minutes the first time, nothing when the same was built before. UserError: a tool is missing.
    """
    library = _library(design, _trace_kind(waves), taps)
    return Simulator(design, library, waves, taps)


def _trace_kind(waves: Path | None) -> str:
    if waves is None:
        return ""
    if waves.suffix not in (".fst", ".vcd"):
        raise UserError(f"{waves}: a waveform file ends in .fst or .vcd")
    return waves.suffix[1:]


def _library(design: Design, trace: str, taps: bool) -> Path:
    """The path of the built shared library in the cache."""
    sources = {
        "design.v": design.verilog,
        "tapped.sv": tap_wrapper(design) if taps else "",
        "ports.h": ports_header(design, taps, trace),
        "harness.cpp": (_HERE / "harness.cpp").read_text(),
    }
    return build_library(sources, TAPPED_TOP if taps else design.top, trace)


def build_library(sources: dict[str, str], top: str, trace: str = "") -> Path:
    """design.v and tapped.sv, Verilated from `top` on, with harness.cpp in one shared library, in the cache."""
    try:
        tool = find_verilator()
        require_compiler("g++")
    except ToolMissing as e:
        raise UserError(str(e)) from None
    sources = {**sources, "stalls.h": (_HERE / "stalls.h").read_text()}
    key = _digest(*sources.values(), top, trace, tool.version, *_VERILATE, *_CXX, _FAST, _SLOW)
    runtime = _cached(f"runtime_{_digest(tool.version, trace, *_CXX, _FAST)}", partial(_make_runtime, tool, trace))
    return _cached(f"{key}/libdut.so", partial(_make_library, tool, sources, top, trace, runtime))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """The cached path `name`; its folder is made by `make(folder)` once, whole or not at all."""
    path = cache_folder("verilator") / name
    folder = cache_folder("verilator") / Path(name).parts[0]
    if folder.exists():
        return path
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            work = Path(tempfile.mkdtemp(prefix="making_", dir=folder.parent))
            try:
                make(work)
                work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return path


def _make_runtime(tool: Verilator, trace: str, folder: Path) -> None:
    """Verilator's own C++ files as objects in `folder`; the same for all designs."""
    names = ["verilated", "verilated_threads", *([f"verilated_{trace}_c"] if trace else [])]
    jobs = [(tool.include / f"{n}.cpp", folder / f"{n}.o", _FAST) for n in names]
    _compile(tool, jobs, _trace_flags(trace))


def _make_library(tool: Verilator, sources: dict[str, str], top: str, trace: str, runtime: Path, folder: Path) -> None:
    """libdut.so in `folder`, nothing else."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making_") as name:
        work = Path(name)
        for file, text in sources.items():
            (work / file).write_text(text)
        _verilate(tool, work, top, trace)
        jobs = [(work / "harness.cpp", work / "harness.o", "-O2"), *_units(work)]
        _compile(tool, jobs, ["-I", str(work), *_trace_flags(trace)])
        objects = [str(o) for _, o, _ in jobs] + [str(o) for o in sorted(runtime.glob("*.o"))]
        link = ["-shared", "-pthread", "-Wl,-Bsymbolic", *objects, "-o", str(folder / "libdut.so")]
        _run(["g++", *link], "linking the simulation")


def _verilate(tool: Verilator, work: Path, top: str, trace: str) -> None:
    options = ["--Mdir", str(work), "--top-module", top, *([f"--trace-{trace}"] if trace else [])]
    files = [str(work / "tapped.sv"), str(work / "design.v")]
    _run([str(tool.program), *_VERILATE, *options, *files], "Verilator", tool.environment())


def _units(work: Path) -> list[tuple[Path, Path, str]]:
    """Compilation jobs of the generated C++: few files that include the many."""
    slow = re.compile(r"Slow|__Syms|__Trace.*Slow")
    jobs = []
    for level, wanted in ((_FAST, False), (_SLOW, True)):
        files = [f for f in sorted(work.glob("Vdut*.cpp")) if bool(slow.search(f.name)) == wanted]
        for group in _grouped(files):
            unit = work / f"unit{len(jobs)}.cpp"
            unit.write_text("".join(f'#include "{f.name}"\n' for f in group))
            jobs.append((unit, unit.with_suffix(".o"), level))
    return jobs


def _grouped(files: Sequence[Path]) -> list[list[Path]]:
    """The files in runs of at most _UNIT_BYTES (at least one file each)."""
    groups: list[list[Path]] = []
    room = 0
    for file in files:
        size = file.stat().st_size
        if not groups or size > room:
            groups.append([])
            room = _UNIT_BYTES
        groups[-1].append(file)
        room -= size
    return groups


def _compile(tool: Verilator, jobs: Sequence[tuple[Path, Path, str]], flags: Sequence[str]) -> None:
    """Compile (source, object, optimisation) jobs, a job a core, the biggest first."""
    include = [f"-I{tool.include}", f"-I{tool.include / 'vltstd'}"]

    def one(job: tuple[Path, Path, str]) -> None:
        source, target, level = job
        _run(["g++", *_CXX, level, *flags, *include, "-c", str(source), "-o", str(target)], "g++")

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(one, jobs))


def _trace_flags(trace: str) -> list[str]:
    """VM_TRACE as Verilator's makefile sets it; FST's compression comes from the small headers beside this file."""
    flags = {"": ["-DVM_TRACE=0"], "vcd": ["-DVM_TRACE=1", "-DVM_TRACE_VCD=1"]}
    return flags.get(trace, ["-DVM_TRACE=1", "-DVM_TRACE_FST=1", f"-I{_HERE / 'compression'}"])


def _run(command: Sequence[str], what: str, environment: dict[str, str] | None = None) -> None:
    """Run a tool; RuntimeError with the end of its output when it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{what} failed on the design:\n{(done.stderr + done.stdout).strip()[-3000:]}")
