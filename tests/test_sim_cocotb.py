"""The bench that a build folder carries: passes on a good design, and finds what is broken in a bad one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import UserError
from sim.bench_run import run_bench
from sim.cocotb_run import copy_bench, run_cocotb
from sim.compare import first_difference
from sim.design import Design
from sim.stalls import Stalls
from sim.toolchain import find_verilator
from tests.sim_designs import chain, random_frames, words_of, write_build


def _build(folder: Path, design: Design, lanes: int) -> Path:
    write_build(folder, design, lanes)
    copy_bench(folder)
    return folder


def test_pytest_of_a_build_folder_needs_no_codesign(tmp_path: Path) -> None:
    """`python -S`-like isolation would lose the wheels; instead the process must never import codesign."""
    build = _build(tmp_path / "build", chain(3), 3)
    (tmp_path / "codesign.py").write_text("raise ImportError('the bench imported codesign')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(build)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_reset_test_finds_state_that_survives(tmp_path: Path) -> None:
    """And only that test fails: the design is right otherwise."""
    build = _build(tmp_path / "build", chain(2, reset=False), 2)
    tools = find_verilator().environment_with(tmp_path / "bin")
    failed = run_bench(build, tmp_path / "scratch", tools)
    assert [f.split(":")[0] for f in failed] == ["reset_in_mid_frame"]


def test_run_cocotb_names_the_stage_of_a_wrong_word(tmp_path: Path) -> None:
    build = _build(tmp_path / "build", chain(2, second_step=2), 2)
    x = random_frames(6, 2, seed=5)
    result = run_cocotb(build, [words_of(x)], Stalls(7))
    difference = first_difference(Design.from_build(build), result, [words_of(x + np.uint8(2))])
    assert re.search(r"made by 'second': frame 0, element 0 .* should be", str(difference))


@pytest.mark.slow
def test_run_cocotb_measures_what_the_fast_engine_measures(tmp_path: Path) -> None:
    build = _build(tmp_path / "build", chain(2), 2)
    x, waves = random_frames(6, 2, seed=5), tmp_path / "waves.vcd"
    result = run_cocotb(build, [words_of(x)], None, waves)
    assert (result.latency_cycles, result.interval_cycles) == (7, 5)
    assert result.edges is not None and np.array_equal(result.edges[1], words_of(x + np.uint8(1)))
    assert b"m_axis_tvalid" in waves.read_bytes()


def test_a_build_without_its_bench_is_refused(tmp_path: Path) -> None:
    write_build(tmp_path / "build", chain(1), 1)
    with pytest.raises(UserError, match=r"lacks sim/bench.py; compile the model again"):
        run_cocotb(tmp_path / "build", [])
