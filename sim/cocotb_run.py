"""The cocotb engine: words through a build folder's own bench; and the files of that bench."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codesign.errors import CheckFailed, UserError
from sim.bench_run import run_bench
from sim.design import Design
from sim.simulator import SimResult
from sim.stalls import Stalls
from sim.toolchain import ToolMissing, find_verilator, require_compiler

_HERE = Path(__file__).parent
_BENCH = ("bench.py", "bench_run.py", "toolchain.py")


def copy_bench(build: Path) -> None:
    """Give a build folder its own bench: BUILD/sim/*.py and BUILD/test_build.py."""
    (build / "sim").mkdir(exist_ok=True)
    for name in _BENCH:
        shutil.copyfile(_HERE / name, build / "sim" / name)
    shutil.copyfile(_HERE / "test_build.py", build / "test_build.py")


def run_cocotb(
    build: Path, words: Sequence[np.ndarray], stalls: Stalls | None = None, waves: Path | None = None
) -> SimResult:
    """Words (frames, beats, words) through the bench; CheckFailed when it fails. The caller compares."""
    _check_usable(build, waves)
    with tempfile.TemporaryDirectory(prefix="codesign_cocotb_") as name:
        scratch = Path(name)
        _run(build, scratch, words, stalls, waves)
        return _result(scratch / "results.npz", len(Design.from_build(build).outputs))


def _check_usable(build: Path, waves: Path | None) -> None:
    if waves is not None and waves.suffix != ".vcd":
        raise UserError(f"{waves}: the cocotb engine records .vcd only; .fst needs --engine verilator")
    if waves is not None and not waves.absolute().parent.is_dir():
        raise UserError(f"cannot write {waves}: {waves.absolute().parent} is no folder")
    for name in _BENCH:
        if not (build / "sim" / name).exists():
            raise UserError(f"{build} lacks sim/{name}; compile the model again")


def _run(build: Path, scratch: Path, words: Sequence[np.ndarray], stalls: Stalls | None, waves: Path | None) -> None:
    try:
        require_compiler("g++", "make")
        tools = find_verilator().environment_with(scratch / "bin")
    except ToolMissing as e:
        raise UserError(str(e)) from None
    for k, stream in enumerate(words):
        np.save(scratch / f"inputs_{k}.npy", stream)
    settings = {"CODESIGN_VECTORS": str(scratch), "CODESIGN_RESULTS": str(scratch / "results.npz")}
    test = "frames_back_to_back"
    if stalls is not None:
        settings["CODESIGN_STALLS"] = f"{stalls.seed},{stalls.idle},{stalls.pressure}"
        test = r"random_stalls.*extra_seed=0"
    failed = run_bench(build, scratch / "sim_build", tools, [test], settings, waves is not None)
    if failed:
        raise CheckFailed("; ".join(failed))
    if waves is not None:
        shutil.copyfile(scratch / "sim_build" / "dump.vcd", waves)


def _result(path: Path, outputs: int) -> SimResult:
    """What the bench saved."""
    saved = np.load(path)
    edges = {int(k.removeprefix("edges_")): saved[k] for k in saved.files if k.startswith("edges_")}
    last = saved["last_out"]
    words = tuple(saved[f"outputs_{k}"] for k in range(outputs))
    return SimResult(words, saved["first_in"], last, int(last.max()) + 1, edges)
